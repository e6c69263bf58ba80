//! Where the process's own exit meets the plan (spec 2.6, 6.4, 6.5, 8.6; embedding H).
//!
//! - `at_exit` (on_exit): return from main and `exit()` are triggers; the exiting thread waits for the phases. An exit call
//!   inside a hook ends that hook and proposes its status; its thread waits like any other.
//! - `last_act` (.fini_array): after every finaliser, the decided status replaces the host's, or the process dies by the
//!   signal that started the shutdown.
//!
//! One thread owns the exit; others that come here are parked, because concurrent `exit` is undefined. libc forgets an
//! exit handler once it was called, so `at_exit` registers itself again for whoever comes second.
//!
//! What it does not do: handlers registered after `install` run before ours when main returns without `wait`, and so before
//! the hooks. From glibc 2.41 on a second `exit` waits inside libc: a hook that calls it while main is already in `exit` is
//! not seen here, and is abandoned at its deadline.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::SeqCst};

use super::{Shared, install, watchdog};
use crate::clock::At;
use crate::engine::{Event, ExitPlan, Reason, ReasonKind};
use crate::hook::{Context, HookError};
use crate::process;
use crate::signal;
use crate::wake::Wake;

thread_local! {
    /// The hook this thread runs, for an exit call inside it; points into the frame of `inside_hook`. Without a destructor:
    /// `exit` runs those of its thread's variables before its handlers.
    static INSIDE: Cell<*const Context> = const { Cell::new(std::ptr::null()) };
}

/// Thread that owns the exit; 0: nobody.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Pid in which `at_exit` was registered; 0: nowhere.
static REGISTERED_IN: AtomicU32 = AtomicU32::new(0);
/// The owner has met the plan, and its way is free.
static PASSED: AtomicBool = AtomicBool::new(false);
/// `wait` has put `at_exit` in front of the handlers registered since install.
static IN_FRONT: AtomicBool = AtomicBool::new(false);
/// Status the host itself was leaving with.
static HOST_STATUS: AtomicI32 = AtomicI32::new(0);
/// The plan was over before the host began to leave: its status is a choice of its own.
static CHOSEN_AFTER: AtomicBool = AtomicBool::new(false);
static NEVER_WOKEN: Wake = Wake::new();

/// What Rust's runtime leaves with after a panic in main.
const RUST_PANIC: i32 = 101;

unsafe extern "C" {
    fn on_exit(f: extern "C" fn(libc::c_int, *mut libc::c_void), arg: *mut libc::c_void) -> libc::c_int;
}

/// Notes that this thread runs that hook, while `f` runs.
pub(super) fn inside_hook<T>(context: &Context, f: impl FnOnce() -> T) -> T {
    let outer = INSIDE.replace(context);
    let result = f();
    INSIDE.set(outer);
    result
}

/// The hook this thread runs.
fn inside() -> Option<&'static Context> {
    // SAFETY: non-null only while `inside_hook` is on this thread's stack, whose caller holds the context; whoever asks does
    // so further down the same stack.
    unsafe { INSIDE.get().as_ref() }
}

/// True on a thread that runs a hook. In the child of a hook that forked, no thread does.
pub(crate) fn is_inside_hook() -> bool {
    inside().is_some_and(|context| context.inner.shared.pid == process::raw::pid())
}

/// How many threads may call `exit` in the same instant: libc takes a handler off its list before calling it, and a thread that
/// finds none runs the finalisers, past `last_act`, while the owner still waits for the phases.
const AT_ONCE: usize = 8;

/// Registers `at_exit`, once per process image (a forked child inherits it).
pub(super) fn register() {
    if REGISTERED_IN.swap(process::raw::pid(), SeqCst) == 0 {
        for _ in 0..AT_ONCE {
            put_in_front();
        }
    } else {
        OWNER.store(0, SeqCst);
        PASSED.store(false, SeqCst);
        IN_FRONT.store(false, SeqCst);
    }
}

/// libc calls the handler registered last first; being called more than once does no harm.
fn put_in_front() {
    // SAFETY: `at_exit` is a plain function of the required type; the library is pinned before (spec 10.4).
    unsafe { on_exit(at_exit, std::ptr::null_mut()) };
}

/// The plan is over and this thread comes from `wait` to leave. Does not return while another thread is leaving.
pub(super) fn waited() {
    let owner = OWNER.load(SeqCst);
    if owner != 0 && owner != tid() {
        park();
    }
    if !IN_FRONT.swap(true, SeqCst) {
        put_in_front();
    }
}

/// The host's own exit for programs without a runtime of their own: atexit handlers, destructors, stdio flush.
pub fn exit_now(code: i32) {
    if own_exit() {
        if REGISTERED_IN.load(SeqCst) == process::raw::pid() {
            put_in_front();
        }
        let plan = decided().unwrap_or(ExitPlan { code, die_by: None });
        signal::abort::does_not_decide(plan.code, plan.die_by);
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
    if !shared.leaves() {
        return;
    }
    if PASSED.load(SeqCst) && OWNER.load(SeqCst) == tid() {
        return skip_destructors(&shared);
    }
    // For whoever calls `exit` while this thread is in it.
    put_in_front();
    let over = shared.door.is_finished();
    if !shared.host.exit_is_trigger() {
        return pass_by(&shared, status, over);
    }
    match inside() {
        Some(context) => end_hook_by_exit(&shared, context, status),
        None => shared.trigger(reason_of(&shared, status), None, Some(status)),
    }
    if !own_exit() {
        park();
    }
    // Between the end of the plan and the opening of the door as well: nothing has taken this status into account.
    let over = over || shared.with_engine(|e| e.host_came_late());
    HOST_STATUS.store(status, SeqCst);
    CHOSEN_AFTER.store(over, SeqCst);
    shared.door.shake();
    let _ = shared.door.wait(At::NEVER, false, || shared.closed.load(SeqCst));
    if over {
        shared.host_leaves(status);
    }
    PASSED.store(true, SeqCst);
    skip_destructors(&shared);
}

/// The host has told of its end before, or leaves at once: nothing to wait for.
fn pass_by(shared: &Arc<Shared>, status: i32, over: bool) {
    if own_exit() {
        HOST_STATUS.store(status, SeqCst);
        if over {
            shared.host_leaves(status);
        }
        // The status of an exit call inside a hook arrives here last; the plan has taken it into account.
        CHOSEN_AFTER.store(over && !shared.with_engine(|e| e.was_proposed_a_code()), SeqCst);
        PASSED.store(true, SeqCst);
        skip_destructors(shared);
    }
}

/// Destructors would pull the ground from under a hook that still runs (spec 6.5).
fn skip_destructors(shared: &Shared) {
    if shared.with_engine(|e| e.native_still_running()) {
        last_act();
    }
}

/// A panic in a Rust program's main is known by its status alone.
fn reason_of(shared: &Shared, status: i32) -> Reason {
    if status == RUST_PANIC && shared.host.language() == "rust" {
        return Reason::new(ReasonKind::Uncaught, Some("exit status 101: a panic in main".to_owned()));
    }
    Reason::new(ReasonKind::HostEnd, None)
}

fn end_hook_by_exit(shared: &Arc<Shared>, context: &Context, status: i32) {
    let (ending, code) = crate::hook::ending_of(Err(HookError::Exit(status)));
    shared.engine_event(Event::Done(context.inner.id, ending, code));
}

#[used]
#[unsafe(link_section = ".fini_array")]
static LAST_ACT: extern "C" fn() = {
    extern "C" fn fini() {
        let _ = std::panic::catch_unwind(|| {
            if let Some(shared) = install::current_shared() {
                shared.unlink_admin();
            }
            last_act();
        });
    }
    fini
};

/// What the process leaves with, if graceshut decided it.
fn decided() -> Option<ExitPlan> {
    let shared = install::current_shared()?;
    if !shared.leaves() {
        return None;
    }
    let (_, plan) = shared.with_engine(|e| e.finished())?;
    let status = HOST_STATUS.load(SeqCst);
    // A program that chose a status of its own after the shutdown keeps it; 0 is what "did not care" looks like. One it had
    // chosen before, the plan has taken into account (spec 6.4).
    let own_choice = CHOSEN_AFTER.load(SeqCst) && status != 0 && status != plan.code;
    (!own_choice).then_some(plan)
}

fn last_act() {
    if REGISTERED_IN.load(SeqCst) != process::raw::pid() {
        return;
    }
    let Some(plan) = decided() else { return };
    // H50: another thread than the owner comes here when main returns while the owner exits; its status must not win.
    let owner = OWNER.load(SeqCst) == tid();
    if owner && plan.die_by.is_none() && plan.code == HOST_STATUS.load(SeqCst) && !still_running() {
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
