//! Signals that the program takes without a handler: it blocks them and waits for them in `sigwait`, reads them from a signalfd,
//! or keeps them off for the length of a critical section (spec 3.8).
//!
//! The engine's thread has the managed signals unblocked, so the kernel gives it what all other threads block. It acts on such
//! a signal and hands it on: it blocks the signal itself from then on and sends it to the process again, where it stays pending
//! until the program takes it. The code of what is sent again is `SI_QUEUE`, with our own pid.
//!
//! The mask of the thread that installs says which signals these are. A program that blocks one only later is asked at the
//! signal: the kernel gives a signal of the process to another thread where the main thread has it blocked, and where it has
//! ended (or has another signal before it), so its mask is looked at (`main_thread`). Such a signal is handed on like the others,
//! but only if it begins the shutdown, since hooks run afterwards whose threads must have it blocked as well; and it is given up
//! again once it came back, which means that the program has unblocked it.
//!
//! Plain atomics: the handler reads them, after it has made sure that this is the process that armed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use super::disposition::bit;
use super::{main_thread, mask};
use crate::process::raw;

/// The signals that are handed on: blocked at install.
static BLOCKED: AtomicU64 = AtomicU64::new(0);
/// Those that are handed on where the main thread is found to have them blocked.
static ASKED: AtomicU64 = AtomicU64::new(0);
/// Of those, the ones that were handed on and have not come back.
static AWAY: AtomicU64 = AtomicU64::new(0);
/// The engine's thread.
static ENGINE: AtomicU32 = AtomicU32::new(0);
/// Those that the engine's thread was given, and has not handed on yet.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Of `signals` those that the calling thread blocks are handed on, and of `later` those that the main thread has blocked when
/// they come. No others.
pub fn keep_blocked(signals: impl Iterator<Item = i32>, later: impl Iterator<Item = i32>) {
    let set = |signals: &mut dyn Iterator<Item = i32>| signals.fold(0, |set, signo| set | bit(signo));
    let (wanted, mut later) = (set(&mut { signals }), later);
    let blocked = mask::current() & wanted;
    ENGINE.store(0, SeqCst);
    TAKEN.store(0, SeqCst);
    AWAY.store(0, SeqCst);
    BLOCKED.store(blocked, SeqCst);
    ASKED.store(set(&mut later) & !blocked, SeqCst);
}

/// From now on only what was blocked at install is handed on.
pub fn ask_no_more() {
    ASKED.store(0, SeqCst);
}

/// The calling thread is the engine's: what it is given is handed on.
pub fn from_this_thread() {
    ENGINE.store(raw::tid(), SeqCst);
}

/// For the handler: notes that this thread was given `signo` in the program's place. No handler of the program's is called here
/// then: it is called when the program unblocks the signal.
pub(super) fn takes(signo: i32) -> bool {
    if ENGINE.load(SeqCst) != raw::tid() {
        return false;
    }
    let takes = BLOCKED.load(SeqCst) & bit(signo) != 0 || ASKED.load(SeqCst) & bit(signo) != 0 && main_thread::blocks(signo);
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

/// The signals that were blocked after the install, were handed on and have not come back.
#[must_use]
pub fn away() -> u64 {
    AWAY.load(SeqCst)
}

/// On the engine's thread: the program has unblocked `signo`. Where it had blocked it after the install, this thread takes it again.
pub fn came_back(signo: i32) {
    if AWAY.fetch_and(!bit(signo), SeqCst) & bit(signo) != 0 {
        mask::swap(mask::current() & !bit(signo));
    }
}

/// On the engine's thread: blocks `signo` here from now on, or until it comes back, and sends it to the process again.
pub fn hand_on(signo: i32) {
    if BLOCKED.load(SeqCst) & bit(signo) == 0 {
        AWAY.fetch_or(bit(signo), SeqCst);
    }
    mask::swap(mask::current() | bit(signo));
    // SAFETY: getuid takes nothing and cannot fail.
    let uid = unsafe { libc::getuid() };
    let info = Queued { signo, errno: 0, code: libc::SI_QUEUE, gap: 0, pid: raw::pid(), uid, rest: [0; 13] };
    // SAFETY: the kernel reads one siginfo_t, which `info` is in size and alignment.
    unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, raw::pid(), signo, &raw const info) };
}
