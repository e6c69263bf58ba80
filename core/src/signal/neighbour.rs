//! Whose handler a signal meets beside ours, and whether calling it after ours does harm (spec 3.5, 6.6; embedding C24, D30, E35).
//!
//! A program's own handler begins the program's own stop: it is called after ours, as it would be without graceshut. The handler
//! with which a language runtime starts is another matter: it ends the process at once, or begins an exit of its own beside the
//! plan. Where the runtime's binding is loaded that binding knows what to do; here it is only a neighbour of a C or Rust program.

use super::chain::saved;
use super::disposition::{Disposition, query};
use crate::process::objects::{self, Object};

/// Programs and libraries whose handler ends the process: the file's name, up to a version.
const ENDERS: &[&str] = &["libjvm", "libnode", "node", "nodejs", "bun", "deno"];

/// What the kernel calls for a signal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handler {
    /// The function's address.
    pub address: usize,
    /// It is graceshut's.
    pub ours: bool,
    /// The mapped object it lies in; `None` for code that belongs to none (made at run time).
    pub object: Option<String>,
}

/// The function that the kernel has for `signo` now, asked by raw system call; `None` for SIG_DFL, SIG_IGN and what is no signal.
/// Any thread; waits for the loader's short lock only.
#[must_use]
pub fn handler_now(signo: i32) -> Option<Handler> {
    let found = query(signo).filter(Disposition::is_function)?;
    let ours = saved(signo).is_some_and(|s| s.is_ours(found.handler));
    Some(Handler { address: found.handler, ours, object: objects::owner_of(found.handler) })
}

/// True when the handler at `address` ends the process or begins an exit of its own: one of a runtime that is not the host's.
/// Any thread; waits for the loader's short lock only.
#[must_use]
pub fn ends_the_process(address: usize) -> bool {
    let mut ends = false;
    objects::each(&mut |object| {
        let found = object.holds(address, 1, 0);
        if found {
            ends = is_ender(&object.name()) || object.is_main() && is_go(object);
        }
        found
    });
    ends
}

fn is_ender(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.split(['.', '-']).next().unwrap_or(file);
    ENDERS.contains(&stem.trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// True for a Go program: it owns TERM and INT from its start and dies by them (D30). A Go library takes a signal only where its
/// code asked for it.
fn is_go(object: &Object<'_>) -> bool {
    object.segments(libc::PT_NOTE).any(|note| {
        let (mut at, end) = (note.start, note.start.saturating_add(note.len));
        while at.saturating_add(16) <= end && object.holds(at, 16, libc::PF_R) {
            // SAFETY: sixteen bytes in a loaded, readable segment of an object that stays mapped during the visit.
            let [name, desc, kind, word] = unsafe { (at as *const [u32; 4]).read_unaligned() };
            if (name, kind) == (4, 4) && word == u32::from_ne_bytes(*b"Go\0\0") {
                return true;
            }
            let padded = |n: u32| (n as usize).saturating_add(3) & !3;
            at = at.saturating_add(12).saturating_add(padded(name)).saturating_add(padded(desc));
        }
        false
    })
}

/// True when something else than graceshut hears of `signo` too: a handler that is called after ours, was, or is in our place. One
/// that has put ours back does not count; a program that had the signal ignored does, which has something to end.
/// Any thread, never blocks.
#[must_use]
pub fn another_hears(signo: i32) -> bool {
    let Some(saved) = saved(signo) else { return false };
    let now = query(signo).unwrap_or(Disposition::DEFAULT);
    let generation = saved.generation(now.handler);
    let in_our_place = now.is_function() && !saved.is_ours(now.handler);
    in_our_place || saved.is_set_aside() || saved.has_called(generation) || saved.called_after(generation).is_some()
}

/// The function that is called after ours for `signo`, if one is. Any thread, never blocks.
#[must_use]
pub fn called_after_ours(signo: i32) -> Option<usize> {
    let (saved, now) = (saved(signo)?, query(signo)?);
    saved.called_after(saved.generation(now.handler))
}

/// True when a handler stands between ours and the host's, and is not called because it ends the process: nothing of the host's own
/// hears of `signo` either. Any thread, never blocks.
#[must_use]
pub fn is_left_out(signo: i32) -> bool {
    let (Some(saved), Some(now)) = (saved(signo), query(signo)) else { return false };
    let generation = saved.generation(now.handler);
    saved.asks_first() && saved.under(generation).is_function() && saved.called_after(generation).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_known_by_their_files() {
        for path in ["/usr/lib/jvm/x/lib/server/libjvm.so", "/usr/bin/node", "/usr/lib/libnode.so.115", "node20", "/opt/bun"] {
            assert!(is_ender(path), "{path}");
        }
        for path in ["/usr/lib/libuv.so.1", "/srv/mynode", "", "/usr/bin/nginx", "libjvmlike.so", "/srv/node/server"] {
            assert!(!is_ender(path), "{path}");
        }
    }

    #[test]
    fn this_program_is_not_go_and_ends_nothing() {
        assert!(!ends_the_process(runtimes_are_known_by_their_files as *const () as usize));
        assert!(!ends_the_process(1));
    }
}
