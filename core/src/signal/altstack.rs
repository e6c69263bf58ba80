//! The alternate stack of a Rust program's main thread, on which its signal handlers run.
//!
//! `std::process::exit` unmaps the one that Rust's runtime made for the main thread, on whatever thread it is called: in a hook, say,
//! while the main thread still runs the handler that started the shutdown, or before the next signal comes (spec 8.6). So the main
//! thread gets one that nobody unmaps.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::process;

/// Room for the frames of many signals at once, also with wide registers; only what is touched costs memory.
const SIZE: usize = 64 * 1024;
/// Below it, so that an overflow is a fault and not somebody's memory.
const GUARD: usize = 4096;

static DONE: AtomicBool = AtomicBool::new(false);

/// Replaces the main thread's alternate stack, if this is the main thread and it has one. Once a process; what cannot be done is left
/// as it was.
pub fn keep() {
    if process::raw::tid() != process::raw::pid() || DONE.swap(true, SeqCst) {
        return;
    }
    let mut now = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: only reads into `now`, which is writable.
    let known = unsafe { libc::sigaltstack(std::ptr::null(), &raw mut now) } == 0;
    if !known || now.ss_flags & (libc::SS_DISABLE | libc::SS_ONSTACK) != 0 {
        return;
    }
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), GUARD + SIZE, access, kind, -1, 0) };
    if base == libc::MAP_FAILED {
        return;
    }
    // SAFETY: the first page of the mapping made above, which nothing uses.
    unsafe { libc::mprotect(base, GUARD, libc::PROT_NONE) };
    let ours = libc::stack_t { ss_sp: base.wrapping_byte_add(GUARD), ss_flags: 0, ss_size: SIZE };
    // SAFETY: `ours` is mapped for the life of the process, and this thread is on no alternate stack now.
    unsafe { libc::sigaltstack(&raw const ours, std::ptr::null_mut()) };
}
