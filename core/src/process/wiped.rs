//! Private memory that a forked child finds zeroed (embedding A3, A4, F40; spec 3.2).
//!
//! Everything that is alive (owner word, ring of caught signals, locks) is kept in such memory, so that a child never
//! sees half-written state or a lock held by a thread it does not have, even after a raw `clone` that runs no
//! `pthread_atfork` handler. The kernel wipes it (`MADV_WIPEONFORK`, Linux 4.14); where it will not, the child handler
//! of `pthread_atfork` does ([`wipe_by_hand`]).
//!
//! A vfork child shares this memory unwiped; for that the raw pid is compared (`fork::is_owner_certain`).

use std::mem::size_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::error::Error;

/// Types for which all-zero bytes are a valid, fresh value.
///
/// # Safety
/// The implementor consists of atomics only and is valid (and "new") when every byte is zero.
pub unsafe trait Zeroed: Sync + 'static {}

/// A `T` in wiped memory, mapped at the first [`map`](Wiped::map) and never unmapped (handlers may be inside).
#[derive(Debug)]
pub struct Wiped<T: Zeroed> {
    at: AtomicPtr<T>,
}

impl<T: Zeroed> Default for Wiped<T> {
    fn default() -> Self {
        Wiped::new()
    }
}

impl<T: Zeroed> Wiped<T> {
    /// Not mapped yet; loading the library does nothing (spec 2.1).
    #[must_use]
    pub const fn new() -> Wiped<T> {
        Wiped { at: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The value, if it was mapped. Async-signal-safe.
    #[must_use]
    pub fn get(&self) -> Option<&'static T> {
        let at = self.at.load(Ordering::Acquire);
        // SAFETY: `at` is null or what `map` stored: a mapping of at least size_of::<T>() bytes, page aligned, valid
        // when zero (Zeroed), never unmapped once stored.
        unsafe { at.as_ref() }
    }

    /// The value, mapped if need be.
    ///
    /// # Errors
    /// `Os` when the kernel gives no memory.
    pub fn map(&self) -> Result<&'static T, Error> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        // SAFETY: a new private anonymous mapping; no existing memory is touched.
        let new = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if new == libc::MAP_FAILED {
            return Err(Error::os("memory for the signal words", &std::io::Error::last_os_error()));
        }
        // SAFETY: the range was mapped just above and belongs to nobody else yet.
        let wipes = unsafe { libc::madvise(new, size_of::<T>(), libc::MADV_WIPEONFORK) } == 0;
        // Acquire/Release pair: whoever loads the pointer in `get` sees the zeroed mapping.
        match self.at.compare_exchange(ptr::null_mut(), new.cast(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                if !wipes {
                    remember(new as usize, size_of::<T>());
                }
            }
            Err(_) => {
                // SAFETY: another thread won; this mapping was never published.
                unsafe { libc::munmap(new, size_of::<T>()) };
            }
        }
        self.get().ok_or_else(|| Error::new(crate::error::ErrorKind::Internal, "mapped memory vanished"))
    }
}

/// Regions the kernel refused to wipe: address and length.
static BY_HAND: [(AtomicUsize, AtomicUsize); 8] = [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; 8];

fn remember(at: usize, len: usize) {
    for (address, length) in &BY_HAND {
        if address.compare_exchange(0, at, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            length.store(len, Ordering::Release);
            return;
        }
    }
}

/// Zeroes what the kernel did not. Only for the `pthread_atfork` child handler, where there is one thread.
pub(super) fn wipe_by_hand() {
    for (address, length) in &BY_HAND {
        let (at, len) = (address.load(Ordering::Acquire), length.load(Ordering::Acquire));
        if at != 0 {
            // SAFETY: `remember` stored a live private mapping of `len` bytes (0 until then); Zeroed says zero is valid.
            unsafe { ptr::write_bytes(at as *mut u8, 0, len) };
        }
    }
}
