//! The one place where everything wakes: a private futex word (embedding A1-A3, G48: no descriptor, never shared memory).

use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::At;

/// A word that counts wake-ups. Waiters remember what they saw; a change between the look and the wait is never missed.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Wake {
    word: AtomicU32,
}

impl Wake {
    /// A word nobody has woken yet.
    #[must_use]
    pub const fn new() -> Wake {
        Wake { word: AtomicU32::new(0) }
    }

    /// What to hand to [`wait`](Wake::wait); read it before looking for work.
    #[must_use]
    pub fn seen(&self) -> u32 {
        self.word.load(Ordering::SeqCst)
    }

    /// Wakes every waiter. Async-signal-safe: one atomic add and one futex call; changes errno.
    pub fn notify(&self) {
        self.word.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the address is that of a live, aligned u32; FUTEX_WAKE reads no other memory.
        unsafe {
            libc::syscall(libc::SYS_futex, self.word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, i32::MAX);
        }
    }

    /// Sleeps until somebody called [`notify`](Wake::notify) after `seen` was read, or until `until`.
    /// May return early (a signal handler ran); the caller looks again.
    pub fn wait(&self, seen: u32, until: At) {
        let ts = until.timespec();
        let limit = if until.is_never() { std::ptr::null() } else { &raw const ts };
        // SAFETY: the word is live and aligned, `limit` is null or points to `ts`, which outlives the call;
        // FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
                seen,
                limit,
                std::ptr::null::<u32>(),
                u32::MAX,
            );
        }
    }
}
