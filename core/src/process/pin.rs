//! Keeps the object that holds our code mapped for ever (spec 10.4): a handler in an unloaded library is a crash
//! (embedding A10, C28).

use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::bounded::{LIMIT, within};
use super::objects;
use crate::error::{Error, ErrorKind};

/// Addresses whose objects are pinned; a fork child inherits the pins and this.
static PINNED: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

const PENDING: u32 = 0;
const DONE: u32 = 1;
const UNKNOWN: u32 = 2;

/// Pins the object this code is in; nothing to do for the main program. Once is enough, a fork child inherits it.
///
/// # Errors
/// `Os` when the loader does not find the object again.
pub fn pin() -> Result<(), Error> {
    pin_holder(pin as fn() -> Result<(), Error> as usize)
}

/// Pins the object that `at` lies in. When another thread is inside `dlopen`, a quarter of a second at most: then the pin
/// follows as soon as that one is through; should it never be (the lock was lost in a fork), nobody can unload either.
///
/// # Errors
/// `Os` when the loader does not find the object again, `Internal` when no object holds `at`.
pub(super) fn pin_holder(at: usize) -> Result<(), Error> {
    if PINNED.iter().any(|p| p.load(Ordering::SeqCst) == at) {
        return Ok(());
    }
    match library_of(at)? {
        Holder::Main => remember(at),
        Holder::Unknowable => {}
        Holder::Library(name) => {
            let state = Arc::new(AtomicU32::new(PENDING));
            let (shown, result, answer) = (name.to_string_lossy().into_owned(), Arc::clone(&state), &state);
            within(LIMIT, move || {
                // SAFETY: NOLOAD loads nothing and runs no constructor; the name is NUL-terminated. The loader compares it
                // with its own names first, so a deleted file or another working directory does no harm. The handle is
                // kept on purpose.
                let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
                result.store(if handle.is_null() { UNKNOWN } else { DONE }, Ordering::SeqCst);
            });
            match answer.load(Ordering::SeqCst) {
                DONE => remember(at),
                UNKNOWN => {
                    let message = format!("cannot keep {shown} loaded: the loader does not know it by that name");
                    return Err(Error::new(ErrorKind::Os, message));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn remember(at: usize) {
    for pinned in &PINNED {
        if pinned.compare_exchange(0, at, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return;
        }
    }
}

enum Holder {
    Main,
    Library(CString),
    /// The loader cannot be asked (`bounded`); nothing can be unloaded then.
    Unknowable,
}

fn library_of(at: usize) -> Result<Holder, Error> {
    let mut holder = None;
    let looked = objects::each(&mut |object| {
        if object.holds(at, 1, 0) {
            let name = || Holder::Library(object.loader_name().to_owned());
            holder = Some(if object.is_main() { Holder::Main } else { name() });
        }
        holder.is_some()
    });
    if !looked {
        return Ok(Holder::Unknowable);
    }
    holder.ok_or_else(|| Error::new(ErrorKind::Internal, format!("no loaded object holds address {at:#x}")))
}
