//! Where the process's own exit meets the plan (spec 2.6, 6.4, 6.5, 8.6; embedding H).
//!
//! - `at_exit` (on_exit): return from main and `exit()` are triggers; the exiting thread waits for the phases. An exit call
//!   inside a hook ends that hook and proposes its status; its thread waits like any other.
//! - `last_act` (.fini_array): after every finaliser, the decided status replaces the host's, or the process dies by the
//!   signal that started the shutdown.
//!
//! One thread owns the exit; others that come here are parked, because concurrent `exit` is undefined.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

use super::{Shared, install, watchdog};
use crate::clock::At;
use crate::config::Exit;
use crate::engine::{Event, ExitPlan, Reason, ReasonKind};
use crate::hook::{Context, HookError};
use crate::process;
use crate::signal;
use crate::wake::Wake;

thread_local! {
    /// The hook this thread runs, for an exit call inside it.
    static INSIDE: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Thread that owns the exit; 0: nobody.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Pid in which `at_exit` was registered; 0: nowhere.
static REGISTERED_IN: AtomicU32 = AtomicU32::new(0);
/// Status the host itself was leaving with.
static HOST_STATUS: AtomicI32 = AtomicI32::new(0);
static NEVER_WOKEN: Wake = Wake::new();

unsafe extern "C" {
    fn on_exit(f: extern "C" fn(libc::c_int, *mut libc::c_void), arg: *mut libc::c_void) -> libc::c_int;
}

/// Notes that this thread runs that hook, while `f` runs.
pub(super) fn inside_hook<T>(context: &Context, f: impl FnOnce() -> T) -> T {
    let outer = INSIDE.with(|i| i.borrow_mut().replace(context.clone()));
    let result = f();
    INSIDE.with(|i| *i.borrow_mut() = outer);
    result
}

/// True on a thread that runs a hook.
pub(super) fn is_inside_hook() -> bool {
    INSIDE.try_with(|i| i.borrow().is_some()).unwrap_or(false)
}

/// Registers `at_exit`, once per process image (a forked child inherits it).
pub(super) fn register() {
    if REGISTERED_IN.swap(process::raw::pid(), SeqCst) == 0 {
        // SAFETY: `at_exit` is a plain function of the required type; the library is pinned before (spec 10.4).
        unsafe { on_exit(at_exit, std::ptr::null_mut()) };
    } else {
        OWNER.store(0, SeqCst);
    }
}

/// The host's own exit for programs without a runtime of their own: atexit handlers, destructors, stdio flush.
pub fn exit_now(code: i32) {
    if own_exit() {
        // SAFETY: exit takes an integer; this thread owns the exit, so no other thread is in it.
        unsafe { libc::exit(code) }
    }
}

fn tid() -> i32 {
    // SAFETY: gettid takes nothing and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

fn own_exit() -> bool {
    let me = tid();
    OWNER.compare_exchange(0, me, SeqCst, SeqCst).map_or_else(|owner| owner == me, |_| true)
}

/// True when some thread of the process is already in `exit`.
pub(super) fn host_is_exiting() -> bool {
    OWNER.load(SeqCst) != 0
}

fn park() -> ! {
    loop {
        let seen = NEVER_WOKEN.seen();
        NEVER_WOKEN.wait(seen, At::NEVER);
    }
}

extern "C" fn at_exit(status: libc::c_int, _: *mut libc::c_void) {
    // A panic must not leave an extern "C" function: it would abort the host.
    let _ = std::panic::catch_unwind(|| meet_exit(status));
}

fn meet_exit(status: i32) {
    let Some(shared) = install::current_shared() else { return };
    if shared.config.exit.value == Exit::Manual {
        return;
    }
    HOST_STATUS.store(status, SeqCst);
    let inside = INSIDE.try_with(|i| i.borrow().clone()).ok().flatten();
    match inside {
        Some(context) => end_hook_by_exit(&shared, &context, status),
        None => shared.trigger(Reason::new(ReasonKind::HostEnd, None), None, Some(status)),
    }
    if !own_exit() {
        park();
    }
    shared.door.shake();
    let _ = shared.door.wait(At::NEVER, false, || shared.closed.load(SeqCst));
    if shared.with_engine(|e| e.native_still_running()) {
        // Destructors would pull the ground from under a hook that still runs (spec 6.5).
        last_act();
    }
}

fn end_hook_by_exit(shared: &Arc<Shared>, context: &Context, status: i32) {
    let (ending, code) = crate::hook::ending_of(Err(HookError::Exit(status)));
    shared.engine_event(Event::Done(context.inner.id, ending, code));
}

#[used]
#[unsafe(link_section = ".fini_array")]
static LAST_ACT: extern "C" fn() = {
    extern "C" fn fini() {
        let _ = std::panic::catch_unwind(last_act);
    }
    fini
};

/// What the process leaves with, if graceshut decided it.
fn decided() -> Option<ExitPlan> {
    let shared = install::current_shared()?;
    if shared.config.exit.value == Exit::Manual {
        return None;
    }
    let (_, plan) = shared.with_engine(|e| e.finished())?;
    let status = HOST_STATUS.load(SeqCst);
    // A program that chose a status of its own after the shutdown keeps it; 0 is what "did not care" looks like.
    (status == 0 || status == plan.code).then_some(plan)
}

fn last_act() {
    if REGISTERED_IN.load(SeqCst) != process::raw::pid() {
        return;
    }
    let Some(plan) = decided() else { return };
    if plan.die_by.is_none() && plan.code == HOST_STATUS.load(SeqCst) && !still_running() {
        return;
    }
    // SAFETY: fflush(NULL) flushes every open output stream and has no precondition.
    unsafe { libc::fflush(std::ptr::null_mut()) };
    match plan.die_by {
        Some(signo) => signal::die_by(signo),
        None => watchdog::leave(plan.code),
    }
}

fn still_running() -> bool {
    install::current_shared().is_some_and(|s| s.with_engine(|e| e.native_still_running()))
}
