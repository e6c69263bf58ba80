//! An abort of the exit that graceshut itself has called does not decide the process's status (spec 6.5).
//!
//! The exit runs the program's static destructors on a thread of graceshut, at a moment that the program has not chosen: a running
//! `std::thread` in a global ends it in `std::terminate`. By the signal alone the program would not have run them at all.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

use super::disposition::{Disposition, query, set, set_raw};
use super::{die, mask};
use crate::process::raw;

/// The thread that exits; 0: none.
static EXITING: AtomicU32 = AtomicU32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
/// The signal to die by; 0: none.
static DIE_BY: AtomicI32 = AtomicI32::new(0);

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);

/// The calling thread is about to call `exit`: should it abort in there, the process leaves as was decided, by `code` or dead by
/// `die_by`. Only where the program leaves SIGABRT to its default. For the rest of the process's life.
pub fn does_not_decide(code: i32, die_by: Option<i32>) {
    if query(libc::SIGABRT).is_none_or(|now| now.handler != libc::SIG_DFL) {
        return;
    }
    CODE.store(code, SeqCst);
    DIE_BY.store(die_by.unwrap_or(0), SeqCst);
    EXITING.store(raw::tid(), SeqCst);
    let handler = on_abort as Handler as usize;
    let new = Disposition { handler, flags: libc::SA_SIGINFO as u64, restorer: 0, mask: mask::everything() };
    // SAFETY: the handler takes three arguments (SA_SIGINFO), and the library is pinned since install (A10). A failure leaves
    // the default.
    let _ = unsafe { set(libc::SIGABRT, &new) };
}

/// Async-signal-safe: system calls and atomic loads.
extern "C" fn on_abort(signo: i32, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes a valid siginfo to a handler with SA_SIGINFO.
    let raised = !info.is_null() && unsafe { (*info).si_code } == libc::SI_TKILL;
    // The id of a thread in a forked child is another one.
    if raised && raw::tid() == EXITING.load(SeqCst) {
        match DIE_BY.load(SeqCst) {
            0 => raw::exit_group(CODE.load(SeqCst)),
            by => die::die_by(by),
        }
    }
    // SAFETY: SIG_DFL needs no handler and no restorer.
    unsafe { set_raw(signo, &Disposition::DEFAULT) };
    // Pending until we return, since it is blocked in its own handler.
    raw::raise_here(signo);
}
