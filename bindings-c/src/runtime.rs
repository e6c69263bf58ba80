//! The runtime handle.

use std::ffi::{c_char, c_int, c_void};

use graceshut::{Chain, Error, ErrorKind, HookError, Installer, Native, OwnHandler, Runtime, State};

use crate::callback::{UserData, graceshut_destroy_fn};
use crate::error::{guard, guard_or};
use crate::host::{ForeignHost, GRACESHUT_CHAIN_ALWAYS, GRACESHUT_CHAIN_NEVER, GRACESHUT_CHAIN_UNLESS_IT_EXITS};
use crate::options::{graceshut_options, limit, micros, read};
use crate::text::{c_string, give, null, optional, required};

/// A handle to the one runtime of this process. Any thread, also several at once.
pub struct graceshut_t {
    pub(crate) runtime: Runtime,
}

/// Uninstalled, or a forked child that has not installed.
pub const GRACESHUT_IDLE: c_int = 0;
/// Waiting for a trigger.
pub const GRACESHUT_ARMED: c_int = 1;
/// Phases are running.
pub const GRACESHUT_STOPPING: c_int = 2;
/// Every phase is over.
pub const GRACESHUT_STOPPED: c_int = 3;

/// # Safety
/// `gs` is null or a live handle.
pub(crate) unsafe fn handle<'a>(gs: *const graceshut_t) -> Result<&'a Runtime, Error> {
    // SAFETY: null or live by the caller's promise.
    unsafe { gs.as_ref() }.map(|g| &g.runtime).ok_or_else(|| null("gs"))
}

fn boxed(runtime: Runtime) -> *mut graceshut_t {
    Box::into_raw(Box::new(graceshut_t { runtime }))
}

/// Installs signal handlers and threads, and writes a handle to `out`; free it with `graceshut_free`, or keep it as long as
/// the process. `options` may be null. Armed when it returns; before it, the library does nothing at all. (spec 2.1, 2.5)
///
/// A second call gives another handle to the same runtime if its options agree. (spec 2.4) Any thread; blocks for the making
/// of a few threads. Not in a signal handler, and not between fork and exec in a program with threads.
///
/// Errors: BAD_CONFIG, BAD_TIME, BAD_VALUE, BAD_PLAN, PLAN_DOES_NOT_FIT, NOT_UTF8, UNSUPPORTED, DISAGREE, ABI_MISMATCH (also
/// for a wrong `size`), OS, TIMEOUT (another thread has been installing for 5 s), NULL. Nothing is installed then.
///
/// # Safety
/// `options` is null or valid, `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_install(options: *const graceshut_options, out: *mut *mut graceshut_t) -> c_int {
    guard(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        #[cfg(feature = "wasm")]
        graceshut_wasm::enable();
        // SAFETY: forwarded from the caller.
        let (options, host) = unsafe { read(options) }?;
        let installer = if host.is_null() {
            Installer::new(Box::new(Native { language: "c" }))
        } else {
            // SAFETY: not null, and valid by the caller's promise.
            Installer::new(Box::new(unsafe { ForeignHost::read(host) }?))
        };
        let runtime = installer.install(options)?;
        // SAFETY: not null, writable by the caller's promise.
        unsafe { *out = boxed(runtime) };
        Ok(())
    })
}

/// A new handle to what is installed in this process, or null when nothing is (also in a forked child). Free it with
/// `graceshut_free`. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_current() -> *mut graceshut_t {
    guard_or(std::ptr::null_mut(), || {
        let missing = || Error::new(ErrorKind::NotInstalled, "nothing is installed in this process; call graceshut_install");
        graceshut::current().map(boxed).ok_or_else(missing)
    })
}

/// Frees a handle. The runtime itself stays installed and armed. Null is fine. Any thread; never blocks.
///
/// # Safety
/// `gs` came from `graceshut_install` or `graceshut_current` and was not freed before; no other thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_free(gs: *mut graceshut_t) {
    if !gs.is_null() {
        // SAFETY: made by `boxed`, by the caller's promise.
        drop(unsafe { Box::from_raw(gs) });
    }
}

/// Ends the install: previous handlers back (where the kernel still holds ours), threads ended, the data of callbacks that did
/// not run destroyed, every handle CLOSED from now on; still to be freed. For `GRACESHUT_EXIT_MANUAL` and tests. Any thread
/// but a hook's; blocks for at most about 1 s. (spec 2.1, 3.7)
///
/// Errors: CLOSED, TOO_LATE (a shutdown is under way, or the process is leaving), WRONG_THREAD (inside a hook), NULL.
///
/// # Safety
/// `gs` is null or a live handle. The same for every function below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_uninstall(gs: *const graceshut_t) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        gs.uninstall().map(drop)
    })
}

/// Ends an install held with `GRACESHUT_HOLD`: what came meanwhile takes effect. Any thread; never blocks. (spec 2.5)
///
/// Errors: CLOSED, NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ready(gs: *const graceshut_t) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        gs.ready()
    })
}

/// Says whether this process accepts connections (0: no), should that change after the install: it decides about the announce
/// delay. Any thread; never blocks. (spec 4.2)
///
/// Errors: NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_set_serving(gs: *const graceshut_t, serving: c_int) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        gs.set_serving(serving != 0);
        Ok(())
    })
}

/// Starts the shutdown, or shortens the one under way. `reason` goes to report and hooks, may be null. `grace_us`: from now,
/// 200 ms to 366 days in microseconds; 0: the configured `grace_normal`. Any thread, also inside a hook; never blocks: use
/// `graceshut_wait`. (spec 2.2, 2.7, 8.6)
///
/// Errors: BAD_TIME, CLOSED, NOT_UTF8, NULL.
///
/// # Safety
/// As `graceshut_uninstall`; `reason` is null or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_stop(gs: *const graceshut_t, reason: *const c_char, grace_us: i64) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        // SAFETY: forwarded from the caller.
        let reason = unsafe { optional(reason, "reason") }?.unwrap_or("");
        let grace = if grace_us == 0 { None } else { Some(micros(grace_us, "grace_us")?) };
        gs.stop(reason, grace)
    })
}

/// Blocks until every phase is over and the report is written, at most `timeout_us` microseconds, `GRACESHUT_FOREVER` without
/// limit. Writes the decided status to `exit_code` (may be null): return it from main. The thread that waits here is the one that
/// leaves; a program that never calls it is left by `exit` on a thread of graceshut. Any thread but a hook's. (spec 6.4, 6.5)
///
/// If another thread is already inside `exit`, the process leaves there and this call does not return.
///
/// Errors: TIMEOUT, BAD_TIME (negative), WRONG_THREAD (inside a hook), CLOSED, NULL.
///
/// # Safety
/// As `graceshut_uninstall`; `exit_code` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_wait(gs: *const graceshut_t, timeout_us: i64, exit_code: *mut c_int) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        let finished = gs.wait(limit(timeout_us, "timeout_us")?)?;
        if !exit_code.is_null() {
            // SAFETY: writable by the caller's promise.
            unsafe { *exit_code = finished.exit.code };
        }
        Ok(())
    })
}

/// For bindings whose exit does not pass through libc's `exit` (Go): called as the last thing before it, after the host's own
/// finalisers. Dies by the signal and does not return when that is how the process is to end, as after INT; returns otherwise,
/// also before the shutdown is over, in manual mode and for null. Any thread. (spec 6.4, 6.5)
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_last_act(gs: *const graceshut_t) {
    guard(|| {
        // SAFETY: forwarded from the caller.
        unsafe { handle(gs) }?.die_if_decided();
        Ok(())
    });
}

/// Where the process is in its life: `GRACESHUT_IDLE`, `_ARMED`, `_STOPPING` or `_STOPPED`; idle for null. Any thread; never
/// blocks. (spec 2.1)
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_state(gs: *const graceshut_t) -> c_int {
    guard_or(GRACESHUT_IDLE, || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        Ok(match gs.state() {
            State::Idle => GRACESHUT_IDLE,
            State::Armed => GRACESHUT_ARMED,
            State::Stopping(_) => GRACESHUT_STOPPING,
            State::Stopped => GRACESHUT_STOPPED,
        })
    })
}

/// The name of the phase that runs, or null when none does. Free it with `graceshut_string_free`. Any thread; never blocks.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_phase(gs: *const graceshut_t) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        Ok(match gs.state() {
            State::Stopping(phase) if !phase.is_empty() => give(phase),
            _ => std::ptr::null_mut(),
        })
    })
}

/// A library was loaded or a server started, which may have taken signals: graceshut looks for other handlers in the moments that
/// follow (10 ms to 5 s), as it does after `graceshut_install` and after a hook is registered. At most 32 times in the life of a
/// process. Any thread; never blocks. (spec 3.5)
///
/// Errors: NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_look_soon(gs: *const graceshut_t) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        unsafe { handle(gs) }?.look_soon();
        Ok(())
    })
}

/// For bindings: whether the program has a handler of its own for `signo` that hears of the signal too. `has`: 0 no (as at install),
/// 1 yes, 2 it may have one, because the language tells no package who listens. The last call for a signal counts. When the plan is
/// over after a signal with 1 or 2 the program is given until D to leave by itself before `graceshut_exit_fn` is called, unless the
/// option "leave" says otherwise. Made to leave then, it is degraded with 1; with 2 it is not, as nothing is known to have been cut.
/// What the binding itself put in place does not count, nor does the language's default handler. Any thread, at any time before the
/// plan is over; never blocks. (spec 6.6)
///
/// Errors: CLOSED, BAD_VALUE (no signal has that number; another `has`), NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_set_own_handler(gs: *const graceshut_t, signo: c_int, has: c_int) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        let has = match has {
            0 => OwnHandler::None,
            1 => OwnHandler::Known,
            2 => OwnHandler::Assumed,
            _ => return Err(Error::new(ErrorKind::BadValue, format!("{has} is not 0, 1 or 2: no, yes, may have one"))),
        };
        gs.set_own_handler(signo, has)
    })
}

/// For bindings that wait for the program themselves, because a thread of theirs always stands in `graceshut_wait`: the program was
/// given its time, and the binding makes it leave now. Writes the report once more; once, after the plan. Any thread; blocks as long
/// as writing the report takes. (spec 6.6)
///
/// Errors: CLOSED, NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_made_to_leave(gs: *const graceshut_t) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        unsafe { handle(gs) }?.made_to_leave()
    })
}

/// The report as one JSON object, or null before every phase is over. Free it with `graceshut_string_free`. Any thread; never
/// blocks. (spec 11.1)
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_report_json(gs: *const graceshut_t) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        Ok(gs.report().map_or(std::ptr::null_mut(), |r| give(r.to_json())))
    })
}

/// The schedule as a table for people, best and worst case, before anything happens. Null for null. Free it with
/// `graceshut_string_free`. Any thread; never blocks. (spec 5.4)
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_plan_text(gs: *const graceshut_t) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        Ok(give(gs.plan().to_string()))
    })
}

/// The effective configuration as one JSON object, each value with its origin. Null for null. Free it with
/// `graceshut_string_free`. Any thread; never blocks. (spec 12.2)
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_config_json(gs: *const graceshut_t) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        Ok(give(gs.config().to_json().to_string()))
    })
}

/// The state in one line for people. Null for null. Free it with `graceshut_string_free`. Any thread; never blocks.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_status(gs: *const graceshut_t) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        Ok(give(gs.status()))
    })
}

/// A reload hook: 0 is ok, anything else failed. On a worker thread of graceshut; may block.
pub type graceshut_reload_fn = Option<unsafe extern "C" fn(user_data: *mut c_void) -> c_int>;
/// Takes an event: one JSON object with "event" (trigger, phase_start, phase_end, hook_start, hook_cancel, hook_end, deadline,
/// progress, log, reload, handler, status, prestop_wait, finished, leave), "at_us" since the trigger, and where they apply "phase", "hook",
/// "outcome", "message", "value", "total". `json` is valid during the call. On a thread of its own, one event at a time; may
/// block, which delays later events and nothing else; must not call `graceshut_uninstall`.
pub type graceshut_event_fn = Option<unsafe extern "C" fn(json: *const c_char, user_data: *mut c_void)>;

/// Registers a reload hook. With one, HUP reloads instead of stopping; one reload at a time, in order of registration. Any
/// thread; never blocks. (spec 3.4, 3.6)
///
/// Errors: NULL, NOT_UTF8, BAD_VALUE (empty name), CLOSED, OS. `destroy` has been called then.
///
/// # Safety
/// As `graceshut_uninstall`; `callback`, `user_data` and `destroy` belong together and may be used on other threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_on_reload(
    gs: *const graceshut_t,
    name: *const c_char,
    callback: graceshut_reload_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy_fn,
) -> c_int {
    let data = UserData::new(user_data, destroy);
    guard(move || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        // SAFETY: forwarded from the caller.
        let name = unsafe { required(name, "name") }?;
        let call = callback.ok_or_else(|| null("callback"))?;
        // SAFETY: function and data were given together for this call.
        gs.on_reload(name, move || match unsafe { call(data.get()) } {
            0 => Ok(()),
            code => Err(HookError::failed(format!("returned {code}"))),
        })
    })
}

/// Registers a callback for every event from now on. Any thread; never blocks. (spec 11.2)
///
/// Errors: NULL, CLOSED, OS. `destroy` has been called then.
///
/// # Safety
/// As `graceshut_on_reload`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_on_event(
    gs: *const graceshut_t,
    callback: graceshut_event_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy_fn,
) -> c_int {
    let data = UserData::new(user_data, destroy);
    guard(move || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        let call = callback.ok_or_else(|| null("callback"))?;
        gs.on_event(move |event| {
            let json = c_string(event.to_json());
            // SAFETY: function and data were given together; the string outlives the call.
            unsafe { call(json.as_ptr(), data.get()) };
        })
    })
}

/// For bindings: the host ends by itself, about to leave with `code`; `error` not null: because of that uncaught error. Any
/// thread; never blocks: `graceshut_wait` for the phases. A C program need not call it: exit and return from main are noticed.
/// (spec 2.3, 2.6)
///
/// Errors: CLOSED, NOT_UTF8, NULL.
///
/// # Safety
/// As `graceshut_uninstall`; `error` is null or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_host_end(gs: *const graceshut_t, error: *const c_char, code: c_int) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        // SAFETY: forwarded from the caller.
        let error = unsafe { optional(error, "error") }?;
        gs.host_end(error, code)
    })
}

/// For bindings: the host can run nothing any more; those of its hooks (`GRACESHUT_HOOK_IN_HOST`) that have not begun are
/// skipped. Any thread; never blocks. (spec 2.6)
///
/// Errors: NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_host_closed(gs: *const graceshut_t) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        gs.host_closed();
        Ok(())
    })
}

/// For bindings: a sentence for the report's `warnings`, something about this run that its reader should know. Kept once, at
/// most 64 of them. Any thread; never blocks. (spec 11.1)
///
/// Errors: CLOSED, NOT_UTF8, BAD_VALUE (empty), NULL.
///
/// # Safety
/// As `graceshut_uninstall`; `message` is NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_warn(gs: *const graceshut_t, message: *const c_char) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        // SAFETY: forwarded from the caller.
        gs.warn(unsafe { required(message, "message") }?)
    })
}

/// For bindings: other code set a handler for `signo`; puts graceshut's on top again, with `chain` a `GRACESHUT_CHAIN_*`.
/// Any thread; never blocks. (spec 3.5)
///
/// Errors: CLOSED, NOT_INSTALLED (`signo` is not managed), BAD_VALUE (no such chain), OS, NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_rearm(gs: *const graceshut_t, signo: c_int, chain: c_int) -> c_int {
    guard(|| {
        let chain = match chain {
            GRACESHUT_CHAIN_NEVER => Chain::Never,
            GRACESHUT_CHAIN_ALWAYS => Chain::Always,
            GRACESHUT_CHAIN_UNLESS_IT_EXITS => Chain::UnlessItExits,
            other => return Err(Error::new(ErrorKind::BadValue, format!("chain {other} is no GRACESHUT_CHAIN_*"))),
        };
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        gs.rearm(signo, chain)
    })
}
