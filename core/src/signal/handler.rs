//! The handler (spec 3.2). Every call made inside it, each async-signal-safe:
//!
//! - system calls through libc's `syscall`: getpid, gettid, tgkill, futex (wake), rt_sigprocmask, rt_sigaction
//! - `clock_gettime(CLOCK_MONOTONIC)`, `__errno_location`
//! - atomic loads, stores and compare-and-swaps in static and in mapped memory
//! - the host's own saved handler, when asked to chain
//! - on the engine's thread alone: openat, read and close of `/proc/self/status` (`main_thread`)
//!
//! No allocation, no lock, no descriptor that is kept, no thread-local storage of ours, no panic. `arm` makes each of these calls once
//! before the first signal can come, so that no symbol is left to be bound lazily here.
//!
//! The context and siginfo are looked at only when they lie where the kernel puts them, on this stack above us: a foreign
//! handler that saved ours may call it with one argument, and then the others are whatever the registers held.

use std::ffi::c_void;
use std::mem::align_of;

use super::chain::{Saved, saved};
use super::disposition::{Disposition, SA_RESTORER, query, set_raw};
use super::entry::Handler;
use super::guard::{Call, Entered};
use super::words::{Caught, LIVE, Live, wake};
use super::{hand_on, mask};
use crate::clock::At;
use crate::process::{fork, raw};

/// How far above our frame the kernel's frame may lie: handlers between the kernel and us have their own frames.
const REACH: usize = 1 << 20;

/// Called through one of the `entries`, with its number.
pub(super) extern "C" fn on_signal(signo: i32, info: *mut libc::siginfo_t, ctx: *mut c_void, entry: u32) {
    // SAFETY: always returns the calling thread's errno; in a vfork child the suspended parent's, hence kept too.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the location is valid as long as the thread runs.
    let before = unsafe { errno.read() };
    serve(signo, info, ctx, entry);
    // SAFETY: as above.
    unsafe { errno.write(before) };
}

fn serve(signo: i32, info: *mut libc::siginfo_t, ctx: *mut c_void, entry: u32) {
    let Some(saved) = saved(signo) else { return };
    let generation = saved.generation_of(u64::from(entry));
    // A4, F40: first of all, whose process is this?
    let live = if fork::is_owner_certain() { LIVE.get().filter(|live| live.is_armed(signo)) } else { None };
    let Some(live) = live else {
        outside(signo, saved, generation, info, ctx);
        return;
    };
    let mark = 0_u8;
    let frame = (&raw const mark) as usize;
    let now = At::now();
    let caught = read(signo, now, info, frame);
    if hand_on::takes(signo) || !saved.is_chained() {
        record(live, &caught);
        return;
    }
    let ctx_seen = if on_stack(ctx as usize, frame) { ctx as usize } else { 0 };
    // Through an older entry: what was found on top of it since has taken itself out, or is calling us.
    let depth = saved.depth(generation);
    match live.guard.enter(Call { tid: raw::tid(), ctx: ctx_seen, info: info as usize, frame, now: now.0, depth }) {
        Entered::New(ticket) => {
            record(live, &caught);
            if let Some(next) = saved.next(depth) {
                call(next, signo, info, ctx);
            }
            ticket.leave();
        }
        Entered::Back { ticket, depth, info: kernels_info, ctx: kernels_ctx } => {
            if let Some(next) = saved.next(depth) {
                if kernels_ctx == 0 {
                    call(next, signo, info, ctx);
                } else {
                    call(next, signo, kernels_info as *mut libc::siginfo_t, kernels_ctx as *mut c_void);
                }
            }
            ticket.leave();
        }
        Entered::Stop => record(live, &caught),
    }
}

fn on_stack(at: usize, frame: usize) -> bool {
    at > frame && at - frame < REACH && at.is_multiple_of(align_of::<usize>())
}

/// What siginfo says, as far as it can be believed (A13).
fn read(signo: i32, at: At, info: *mut libc::siginfo_t, frame: usize) -> Caught {
    let unknown = Caught { signo, at, code: libc::SI_USER, pid: 0, uid: 0 };
    if !on_stack(info as usize, frame) {
        return unknown;
    }
    // SAFETY: aligned and on this thread's own stack above us, hence readable.
    let info = unsafe { &*info };
    if info.si_signo != signo {
        return unknown;
    }
    if !matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL) {
        return Caught { code: info.si_code, ..unknown };
    }
    // SAFETY: for these codes the kernel fills in the sender.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let uid = unsafe { info.si_uid() };
    Caught { code: info.si_code, pid, uid, ..unknown }
}

/// Stores and wakes, with every signal blocked: words, invariant 3.
fn record(live: &Live, caught: &Caught) {
    let before = mask::swap(mask::everything());
    live.push(caught);
    wake().notify();
    mask::swap(before);
}

fn call(handler: usize, signo: i32, info: *mut libc::siginfo_t, ctx: *mut c_void) {
    // SAFETY: the kernel or libc named this address as a signal handler. Called with all three arguments whatever its flags
    // say, as the kernel itself does on every platform of spec 14.
    let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
    handler(signo, info, ctx);
}

/// Not our process (a fork or vfork child), or not armed: as though graceshut had never been loaded (spec 10.1). Touches
/// nothing but this process's own dispositions.
fn outside(signo: i32, saved: &Saved, generation: u64, info: *mut libc::siginfo_t, ctx: *mut c_void) {
    let Some(current) = query(signo) else { return };
    if saved.is_ours(current.handler) {
        let previous = saved.outside(generation);
        if previous.handler == libc::SIG_IGN {
            // SAFETY: SIG_IGN needs no handler.
            unsafe { set_raw(signo, &Disposition { handler: libc::SIG_IGN, ..Disposition::DEFAULT }) };
        } else if !previous.is_function() {
            // SAFETY: SIG_DFL needs no handler.
            unsafe { set_raw(signo, &Disposition::DEFAULT) };
            // Pending until we return, since it is blocked in its own handler.
            raw::raise_here(signo);
        } else {
            // Put back for good, which also makes a call back end in the branch below.
            if previous.has(libc::SA_RESETHAND) {
                // SAFETY: SIG_DFL needs no handler.
                unsafe { set_raw(signo, &Disposition::DEFAULT) };
            } else if previous.flags & SA_RESTORER != 0 || !cfg!(target_arch = "x86_64") {
                // SAFETY: exactly what the kernel held before, restorer included.
                unsafe { set_raw(signo, &previous) };
            }
            call(previous.handler, signo, info, ctx);
        }
    } else if current.handler == libc::SIG_DFL {
        // The default came back while this signal was on its way to us.
        raw::raise_here(signo);
    } else if current.is_function() {
        // A foreign handler on top called what it had saved.
        if let Some(next) = saved.below(current.handler) {
            call(next, signo, info, ctx);
        }
    }
}

/// Every libc function of the handler, called once, so that a lazily linked program binds it before a signal comes.
pub(super) fn bind() {
    // SAFETY: has no precondition.
    unsafe { libc::__errno_location() };
    let _ = At::now();
    let _ = raw::pid();
}
