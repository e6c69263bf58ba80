//! Signals that the program takes without a handler: it blocks them and waits for them in `sigwait`, reads them from a signalfd,
//! or keeps them off for the length of a critical section (spec 3.8).
//!
//! The engine's thread has the managed signals unblocked, so the kernel gives it what all other threads block. It acts on such
//! a signal and hands it on: it blocks the signal itself from then on and sends it to the process again, where it stays pending
//! until the program takes it. The code of what is sent again is `SI_QUEUE`, with our own pid.
//!
//! Which signals these are is said by the mask of the thread that installs. Plain atomics: the handler reads them, after it has
//! made sure that this is the process that armed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use super::disposition::bit;
use super::mask;
use crate::process::raw;

/// The signals that are handed on.
static BLOCKED: AtomicU64 = AtomicU64::new(0);
/// The engine's thread.
static ENGINE: AtomicU32 = AtomicU32::new(0);
/// Those that the engine's thread was given, and has not handed on yet.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Of `signals` those that the calling thread blocks are handed on, and no others.
pub fn keep_blocked(signals: impl Iterator<Item = i32>) {
    let wanted = signals.fold(0, |set, signo| set | bit(signo));
    ENGINE.store(0, SeqCst);
    TAKEN.store(0, SeqCst);
    BLOCKED.store(mask::current() & wanted, SeqCst);
}

/// The calling thread is the engine's: what it is given is handed on.
pub fn from_this_thread() {
    ENGINE.store(raw::tid(), SeqCst);
}

/// For the handler: notes that this thread was given `signo` in the program's place. No handler of the program's is called here
/// then: it is called when the program unblocks the signal.
pub(super) fn takes(signo: i32) -> bool {
    let takes = BLOCKED.load(SeqCst) & bit(signo) != 0 && ENGINE.load(SeqCst) == raw::tid();
    if takes {
        TAKEN.fetch_or(bit(signo), SeqCst);
    }
    takes
}

/// True when the engine's thread was given `signo` in the program's place since it was asked last.
#[must_use]
pub fn was_taken(signo: i32) -> bool {
    TAKEN.fetch_and(!bit(signo), SeqCst) & bit(signo) != 0
}

/// The head of the kernel's `siginfo_t` for `SI_QUEUE`, at its full size.
#[repr(C, align(8))]
struct Queued {
    signo: i32,
    errno: i32,
    code: i32,
    gap: i32,
    pid: u32,
    uid: u32,
    rest: [u64; 13],
}

const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>());

/// On the engine's thread: blocks `signo` here from now on and sends it to the process again.
pub fn hand_on(signo: i32) {
    mask::swap(mask::current() | bit(signo));
    // SAFETY: getuid takes nothing and cannot fail.
    let uid = unsafe { libc::getuid() };
    let info = Queued { signo, errno: 0, code: libc::SI_QUEUE, gap: 0, pid: raw::pid(), uid, rest: [0; 13] };
    // SAFETY: the kernel reads one siginfo_t, which `info` is in size and alignment.
    unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, raw::pid(), signo, &raw const info) };
}
