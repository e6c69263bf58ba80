//! Putting the handler in place, looking whether it still is, and taking it away (spec 3.4, 3.5, 3.7).
//!
//! Invariants:
//! 1. A signal's armed bit is set before its disposition changes, and cleared after it was put back: our handler never runs
//!    armed in the kernel but not in memory in a process that owns it.
//! 2. What ours replaces is saved before ours can be called, and never is a handler of any copy of graceshut (A11).
//! 3. Dispositions are compared and changed under `Live::lock`, which a fork child finds free (wiped memory). The handler
//!    never takes it. Nobody allocates, loads or walks objects under it, except to tell another copy's handler.

use std::io;
use std::sync::atomic::Ordering;

use super::chain::{Saved, saved};
use super::disposition::{Disposition, bit, query, set};
use super::name::name_of;
use super::words::{LIVE, Live};
use super::{entry, handler, mask, neighbour};
use crate::error::{Error, ErrorKind};
use crate::process::{fork, objects, rendezvous};

/// Repairs per signal that [`look`] makes before it only watches (spec 3.5).
pub const MAX_REPAIRS: u32 = 3;

/// Whether the handler that was there before is called after ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Chain {
    /// Never.
    #[default]
    Never,
    /// When it is a function; SIG_DFL is never acted on.
    Always,
    /// As `Always`, but never a runtime's own handler that ends the process, a JVM's for instance (see `neighbour`).
    UnlessItExits,
}

/// A signal to take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Managed {
    /// Its number.
    pub signo: i32,
    /// What to do about the previous handler.
    pub chain: Chain,
    /// Take HUP, INT and QUIT although they are ignored (A12: that was nohup's choice).
    pub even_if_ignored: bool,
}

/// What became of a [`Managed`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Armed {
    /// Its number.
    pub signo: i32,
    /// It was ignored before.
    pub inherited_ignored: bool,
    /// Ours is installed.
    pub taken: bool,
}

/// A signal whose handler was no longer ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replaced {
    /// Its number.
    pub signo: i32,
    /// Ours is on top again.
    pub repaired: bool,
    /// The program ignores it (HUP, INT and QUIT only), and that is left so.
    pub ignored: bool,
    /// The object the foreign handler lies in; `SIG_DFL` or `SIG_IGN`; `None` for code that belongs to no object.
    pub by: Option<String>,
}

/// What [`disarm`] did about a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disarmed {
    /// What ours had replaced is back.
    Restored(i32),
    /// The kernel no longer held ours; what it holds was left alone.
    LeftForeign(i32),
}

struct Locked<'a>(&'a Live);

impl<'a> Locked<'a> {
    fn take(live: &'a Live) -> Locked<'a> {
        // Held for a few system calls by a thread of this process (invariant 3), so waiting is short.
        while live.lock.swap(1, Ordering::Acquire) != 0 {
            std::thread::yield_now();
        }
        Locked(live)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.lock.store(0, Ordering::Release);
    }
}

/// The live state, if this process has armed it.
fn mine() -> Option<&'static Live> {
    LIVE.get().filter(|_| fork::is_owner_certain())
}

fn said(signo: i32) -> String {
    name_of(signo).map_or_else(|| signo.to_string(), |name| format!("SIG{name}"))
}

fn check(signo: i32) -> Result<(), Error> {
    let why = match signo {
        libc::SIGKILL | libc::SIGSTOP => "cannot be caught",
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP | libc::SIGABRT | libc::SIGSYS => {
            "belongs to the host's crash handling and is never taken"
        }
        _ if name_of(signo).is_none() => "is no signal of this platform",
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::BadValue, format!("{} {why}: remove it from the signals", said(signo))))
}

/// Installs the handler for each signal; for one that is armed already only the chain policy changes. The calling thread's mask
/// is remembered as the host's. Signals ignored before: HUP, INT and QUIT are left ignored unless asked for. In a fork child it
/// starts afresh, with what the first ancestor saved.
///
/// # Errors
/// `BadValue` for a signal that cannot or must not be taken, before anything changes; `Os` when the system refuses, with the
/// signals taken so far by this call given back.
pub fn arm(signals: &[Managed]) -> Result<Vec<Armed>, Error> {
    for managed in signals {
        check(managed.signo)?;
    }
    // A10, before the first sigaction; fork::prepare pins.
    fork::prepare()?;
    let live = LIVE.map()?;
    handler::bind();
    rendezvous::own().show_handler(entry::address(0), tell_saved);
    if !fork::is_owner_certain() || live.armed.load(Ordering::SeqCst) == 0 {
        mask::remember_host();
    }
    fork::claim()?;
    let verdicts = verdicts(&|signo| signals.iter().any(|m| m.signo == signo && m.chain == Chain::UnlessItExits));
    let mut done = Vec::with_capacity(signals.len());
    let mut fresh = Vec::with_capacity(signals.len());
    let _lock = Locked::take(live);
    for managed in signals {
        let Some(saved) = saved(managed.signo) else { continue };
        match take(live, saved, managed, &verdicts) {
            Ok((armed, new)) => {
                done.push(armed);
                if new {
                    fresh.push(managed.signo);
                }
            }
            Err(error) => {
                for signo in fresh {
                    give_back(live, signo);
                }
                return Err(Error::os(&format!("sigaction for {}", said(managed.signo)), &error));
            }
        }
    }
    Ok(done)
}

/// A handler that is, or is about to be, under ours, and whether it is to be called after ours ([`Chain::UnlessItExits`]). Found out without the lock, since the
/// loader is asked (invariant 3), and before ours is put on top, so that no signal comes between.
type Verdict = (i32, usize, bool);

fn verdicts(asks: &dyn Fn(i32) -> bool) -> Vec<Verdict> {
    let mut found = Vec::new();
    for signo in 1..=64 {
        let (Some(saved), Some(now)) = (saved(signo).filter(|_| asks(signo)), query(signo)) else { continue };
        let under =
            if saved.is_ours(now.handler) { saved.under(saved.generation(now.handler)) } else { not_a_copy(now, signo) };
        if under.is_function() {
            found.push((signo, under.handler, !neighbour::ends_the_process(under.handler)));
        }
    }
    found
}

/// Whether what is under ours is called after it, where that is asked anew for every handler: as the verdict on it says. One
/// that came after the verdict is not called: nothing is known of it.
fn chain_by(verdicts: &[Verdict], saved: &Saved, signo: i32) {
    if saved.asks_first() {
        let top = saved.top();
        let verdict = verdicts.iter().find(|(n, handler, _)| (*n, *handler) == (signo, top.handler));
        saved.set_harmless(verdict.is_some_and(|(_, _, harmless)| *harmless));
    }
}

fn take(live: &Live, saved: &Saved, managed: &Managed, verdicts: &[Verdict]) -> io::Result<(Armed, bool)> {
    let signo = managed.signo;
    let found = query(signo).ok_or_else(io::Error::last_os_error)?;
    saved.settle(found.handler);
    let previous = if saved.is_ours(found.handler) { saved.top() } else { found };
    let inherited_ignored = previous.handler == libc::SIG_IGN;
    let users_choice = is_users_choice(signo, previous);
    let was_armed = live.is_armed(signo);
    if users_choice && !managed.even_if_ignored && !was_armed {
        if saved.is_ours(found.handler) {
            // A fork child that no longer asks for it: ours is there from the parent, and would ignore it anyway.
            put_back(saved, signo)?;
        }
        return Ok((Armed { signo, inherited_ignored, taken: false }, false));
    }
    saved.set_chain(managed.chain);
    if was_armed {
        chain_by(verdicts, saved, signo);
    } else {
        live.armed.fetch_or(bit(signo), Ordering::SeqCst);
        saved.note_set_aside(false);
        if let Err(error) = put_ours(saved, signo, found, verdicts) {
            live.armed.fetch_and(!bit(signo), Ordering::SeqCst);
            return Err(error);
        }
    }
    Ok((Armed { signo, inherited_ignored, taken: true }, !was_armed))
}

/// Ignored by the user's or the program's own wish: nohup's, a shell's, system(3)'s while its child runs.
fn is_users_choice(signo: i32, found: Disposition) -> bool {
    found.handler == libc::SIG_IGN && matches!(signo, libc::SIGHUP | libc::SIGINT | libc::SIGQUIT)
}

/// Puts ours on top of `found`, and saves what was there.
fn put_ours(saved: &Saved, signo: i32, found: Disposition, verdicts: &[Verdict]) -> io::Result<()> {
    let mut found = found;
    for _ in 0..3 {
        if saved.is_ours(found.handler) {
            saved.settle(found.handler);
        } else {
            saved.adopt(&not_a_copy(found, signo));
        }
        chain_by(verdicts, saved, signo);
        let top = saved.top();
        let old = {
            // SAFETY: our handler takes three arguments (SA_SIGINFO) and is pinned (A10).
            unsafe { set(signo, &ours_over(&top, saved)) }?
        };
        let shown = query(signo).map_or(0, |now| now.handler);
        saved.show(if shown == libc::SIG_DFL || shown == libc::SIG_IGN { 0 } else { shown });
        if old.handler == found.handler || saved.is_ours(old.handler) && saved.depth(saved.generation(old.handler)) == 1 {
            return Ok(());
        }
        // Another one came between the look and the change, or the one found has just taken itself out; what was there is
        // what ours replaced.
        found = old;
    }
    Ok(())
}

/// Our handler with the flags that suit what it replaces (A6, D31).
fn ours_over(previous: &Disposition, saved: &Saved) -> Disposition {
    let mut flags = (libc::SA_SIGINFO | libc::SA_ONSTACK) as u64;
    if previous.is_function() {
        // Its effect on blocking calls must not change; nor what a CHLD handler asked for.
        let keep = libc::SA_RESTART | libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT;
        flags |= previous.flags & keep as u64;
    } else {
        flags |= libc::SA_RESTART as u64;
    }
    // Everything is blocked while it runs: TERM, INT and HUP arriving together would nest their frames, and two of them
    // overflow the 8 KiB alternate stack that Rust gives its threads (a frame holds the AVX-512 state).
    Disposition { handler: saved.address(), flags, restorer: 0, mask: mask::everything() }
}

/// A11: another copy's handler is never a previous; what it saved is.
fn not_a_copy(found: Disposition, signo: i32) -> Disposition {
    let mut found = found;
    // One step per copy; a ring of copies that saved each other ends as SIG_DFL.
    for _ in 0..8 {
        if !found.is_function() {
            return found;
        }
        match rendezvous::saved_by_copy(found.handler, signo) {
            None => return found,
            Some([handler, flags, restorer, mask]) => {
                found = Disposition { handler: handler as usize, flags, restorer: restorer as usize, mask };
            }
        }
    }
    Disposition::DEFAULT
}

/// What we saved, for other copies: a [`rendezvous::SavedFn`].
unsafe extern "C" fn tell_saved(handler: usize, signo: i32, out: *mut rendezvous::Disposition) -> i32 {
    let Some(saved) = saved(signo).filter(|_| entry::number(handler).is_some()) else { return 0 };
    let top = saved.under(saved.generation(handler));
    // SAFETY: the caller passes memory for one disposition (SavedFn).
    unsafe { out.write([top.handler as u64, top.flags, top.restorer as u64, top.mask]) };
    1
}

/// Compares what the kernel holds with ours for every armed signal, and names who replaced it. With `repair`, and fewer than
/// [`MAX_REPAIRS`] repairs of that signal so far, ours is put on top again, chaining to what was found as the signal's
/// [`Chain`] says. HUP, INT and QUIT that the program ignores stay so, as long as it leaves them so. Where ours is back through an
/// older entry, what was adopted since is forgotten. 0.5 µs per signal when nothing was replaced; never waits for the loader's
/// long lock.
#[must_use]
pub fn look(repair: bool) -> Vec<Replaced> {
    let Some(live) = mine() else { return Vec::new() };
    let mut replaced = Vec::new();
    let mut places = Vec::new();
    let armed = live.armed.load(Ordering::SeqCst);
    let verdicts = verdicts(&|signo| {
        let asks = armed & bit(signo) != 0 && repair;
        asks && saved(signo).is_some_and(|s| s.asks_first() && query(signo).is_some_and(|now| !s.is_ours(now.handler)))
    });
    {
        let lock = Locked::take(live);
        let armed = live.armed.load(Ordering::SeqCst);
        for signo in (1..=64).filter(|s| armed & bit(*s) != 0) {
            let (Some(saved), Some(found)) = (saved(signo), query(signo)) else { continue };
            if saved.is_ours(found.handler) {
                saved.settle(found.handler);
                continue;
            }
            saved.expose();
            let count = &live.repairs[signo as usize];
            let mut repaired = false;
            let ignored = is_users_choice(signo, found);
            if repair
                && !ignored
                && count.load(Ordering::SeqCst) < MAX_REPAIRS
                && put_ours(saved, signo, found, &verdicts).is_ok()
            {
                count.fetch_add(1, Ordering::SeqCst);
                saved.note_set_aside(found.handler == libc::SIG_IGN);
                repaired = true;
            }
            places.push(found.handler);
            replaced.push(Replaced { signo, repaired, ignored, by: None });
        }
        drop(lock);
    }
    for (replaced, place) in replaced.iter_mut().zip(places) {
        replaced.by = match place {
            libc::SIG_DFL => Some("SIG_DFL".to_owned()),
            libc::SIG_IGN => Some("SIG_IGN".to_owned()),
            place => objects::owner_of(place),
        };
    }
    replaced
}

/// Puts ours on top again for one armed signal and sets its chain policy; not counted as a repair (a binding's shim knows of
/// the change and asks for it, B17, C24).
///
/// # Errors
/// `NotInstalled` when the signal is not armed in this process; `Os` when the system refuses.
pub fn rearm(signo: i32, chain: Chain) -> Result<(), Error> {
    let not_armed = || {
        let what = said(signo);
        Error::new(ErrorKind::NotInstalled, format!("{what} is not managed in this process: install first, or name it there"))
    };
    let live = mine().ok_or_else(not_armed)?;
    let verdicts = verdicts(&|n| n == signo && chain == Chain::UnlessItExits);
    let _lock = Locked::take(live);
    let saved = saved(signo).filter(|_| live.is_armed(signo)).ok_or_else(not_armed)?;
    let failed = |error| Error::os(&format!("sigaction for {}", said(signo)), &error);
    let found = query(signo).ok_or_else(|| failed(io::Error::last_os_error()))?;
    saved.set_chain(chain);
    saved.settle(found.handler);
    if saved.is_ours(found.handler) {
        chain_by(&verdicts, saved, signo);
    } else {
        saved.expose();
        put_ours(saved, signo, found, &verdicts).map_err(failed)?;
    }
    Ok(())
}

/// Puts back what ours replaced, where the kernel still holds ours, and gives the state up. Does nothing in a process that has
/// not armed. A signal on its way is still recorded: [`drain`](super::drain) once more.
pub fn disarm() -> Vec<Disarmed> {
    let Some(live) = mine() else { return Vec::new() };
    let mut done = Vec::new();
    let lock = Locked::take(live);
    let armed = live.armed.load(Ordering::SeqCst);
    for signo in (1..=64).filter(|s| armed & bit(*s) != 0) {
        done.push(give_back(live, signo));
    }
    fork::release();
    drop(lock);
    done
}

fn give_back(live: &Live, signo: i32) -> Disarmed {
    let restored = saved(signo).is_some_and(|saved| put_back(saved, signo).unwrap_or(false));
    // Invariant 1: a handler that started before the change above still records.
    live.armed.fetch_and(!bit(signo), Ordering::SeqCst);
    live.repairs[signo as usize].store(0, Ordering::SeqCst);
    if let Some(saved) = saved(signo) {
        saved.forget_calls();
    }
    if restored { Disarmed::Restored(signo) } else { Disarmed::LeftForeign(signo) }
}

/// True when the kernel held ours and now holds what ours replaced.
fn put_back(saved: &Saved, signo: i32) -> io::Result<bool> {
    let found = query(signo).ok_or_else(io::Error::last_os_error)?;
    if !saved.is_ours(found.handler) {
        saved.expose();
        return Ok(false);
    }
    saved.settle(found.handler);
    let old = {
        // SAFETY: exactly what ours replaced, which the host had put there.
        unsafe { set(signo, &saved.top()) }?
    };
    if saved.is_ours(old.handler) {
        return Ok(true);
    }
    // A foreign one came between the look and the change.
    saved.expose();
    // SAFETY: exactly what was there a moment ago.
    unsafe { set(signo, &old) }?;
    Ok(false)
}

/// True while `signo` is armed in this process (the kernel may hold a foreign handler all the same: [`look`]).
#[must_use]
pub fn armed(signo: i32) -> bool {
    mine().is_some_and(|live| live.is_armed(signo))
}

/// How often [`look`] has repaired `signo` since it was armed.
#[must_use]
pub fn repairs(signo: i32) -> u32 {
    let live = mine();
    let count = live.zip(usize::try_from(signo).ok()).and_then(|(live, n)| live.repairs.get(n));
    count.map_or(0, |n| n.load(Ordering::SeqCst))
}
