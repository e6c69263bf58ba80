//! Which thread takes which signal (spec 3.8, 10.3; embedding A8, A9).
//!
//! The mask is inherited over exec, a handler is not: whoever starts a program resets the mask first.
//! Never blocked: synchronous signals (a fault with its signal blocked is death without a word from the host's crash
//! handler), and the two glibc keeps to itself (blocking SIGSETXID would hang the host's next `setuid`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::disposition::{SET_BYTES, bit, sigset};
use super::hand_on;

static HOST: AtomicU64 = AtomicU64::new(0);
static SAVED: AtomicBool = AtomicBool::new(false);
/// The program takes every signal itself, on a thread of its own choice: none of ours may be handed one.
static ELSEWHERE: AtomicBool = AtomicBool::new(false);

fn never_blocked() -> u64 {
    bit(libc::SIGSEGV)
        | bit(libc::SIGBUS)
        | bit(libc::SIGFPE)
        | bit(libc::SIGILL)
        | bit(libc::SIGTRAP)
        | bit(libc::SIGABRT)
        | bit(libc::SIGSYS)
        | bit(32)
        | bit(33)
}

/// Every signal that may be blocked.
pub(super) fn everything() -> u64 {
    // Where signals are taken elsewhere, also a fault sent from outside has to find every thread of ours closed; a fault of
    // our own still kills, blocked or not.
    let open = if taken_elsewhere() { bit(32) | bit(33) } else { never_blocked() };
    !open
}

/// Replaces the calling thread's mask and returns the one before. Async-signal-safe.
pub(super) fn swap(new: u64) -> u64 {
    let mut old = 0_u64;
    // SAFETY: both point to live eight-byte sets, which is the size passed.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const new, &raw mut old, SET_BYTES) };
    old
}

/// The calling thread's mask. Async-signal-safe.
pub(super) fn current() -> u64 {
    let mut now = 0_u64;
    // SAFETY: a null new set changes nothing; `now` is a live eight-byte set.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, std::ptr::null::<u64>(), &raw mut now, SET_BYTES) };
    now
}

/// Remembers the calling thread's mask as the host's. `arm` does it at the first install of a process.
pub(super) fn remember_host() {
    HOST.store(current(), Ordering::SeqCst);
    SAVED.store(true, Ordering::SeqCst);
}

/// From now on no thread of graceshut takes a signal, and programs that hooks start get `mask`.
pub fn leave_signals_to_program(mask: &libc::sigset_t) {
    // SAFETY: `mask` is a valid set.
    let word = (1..=64).filter(|s| unsafe { libc::sigismember(mask, *s) } == 1).fold(0, |word, s| word | bit(s));
    HOST.store(word, Ordering::SeqCst);
    SAVED.store(true, Ordering::SeqCst);
    ELSEWHERE.store(true, Ordering::SeqCst);
}

/// See [`leave_signals_to_program`].
pub fn taken_elsewhere() -> bool {
    ELSEWHERE.load(Ordering::SeqCst)
}

fn host() -> u64 {
    if SAVED.load(Ordering::SeqCst) { HOST.load(Ordering::SeqCst) } else { current() }
}

/// The mask of the thread that armed, as it was then; the calling thread's own before that.
#[must_use]
pub fn host_mask() -> libc::sigset_t {
    sigset(host())
}

/// Gives the calling thread the host's mask as it was at install: between fork and exec. Async-signal-safe.
pub fn set_host_mask() {
    swap(host());
}

/// Gives the calling thread the mask that a hook runs with: the host's, and what was handed on to the program and is pending for
/// it, which must not be delivered here.
pub fn set_hook_mask() {
    swap(host() | hand_on::away());
}

/// Blocks everything on the calling thread except `managed` (the engine's thread) or everything (`None`: the watchdog's),
/// always except the signals of this module's head.
pub fn block_all_but(managed: Option<&[i32]>) {
    let managed = managed.filter(|_| !taken_elsewhere());
    let open = managed.unwrap_or(&[]).iter().fold(0, |set, signo| set | bit(*signo));
    swap(everything() & !open);
}
