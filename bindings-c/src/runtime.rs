//! The runtime handle.

use std::ffi::{c_char, c_void};

use graceshut::{Chain, Error, HookError, Installer, Native, Runtime, State};

use crate::callback::{UserData, graceshut_destroy};
use crate::error::{guard, guard_or, null};
use crate::host::{ForeignHost, GRACESHUT_CHAIN_ALWAYS};
use crate::options::{graceshut_options, micros, read};
use crate::text::{give, optional, required};

/// The one runtime of this process. Opaque; any thread.
pub struct graceshut_t {
    pub(crate) runtime: Runtime,
}

/// Uninstalled, or a forked child that has not installed.
pub const GRACESHUT_IDLE: i32 = 0;
/// Waiting for a trigger.
pub const GRACESHUT_ARMED: i32 = 1;
/// Phases are running.
pub const GRACESHUT_STOPPING: i32 = 2;
/// Every phase is over.
pub const GRACESHUT_STOPPED: i32 = 3;

/// # Safety
/// `gs` is null or a live handle.
pub(crate) unsafe fn handle<'a>(gs: *const graceshut_t) -> Result<&'a Runtime, Error> {
    // SAFETY: null or live by the caller's promise.
    unsafe { gs.as_ref() }.map(|g| &g.runtime).ok_or_else(|| null("the runtime handle"))
}

/// Installs handlers and threads; `options` may be null. A second call with options that agree gives another handle to the
/// same runtime. Any thread; blocks for the making of a few threads. Nothing happens in the process before this call.
///
/// Errors: BAD_CONFIG, BAD_TIME, BAD_PLAN, PLAN_DOES_NOT_FIT, NOT_UTF8, BAD_VALUE, DISAGREE, ABI_MISMATCH, OS, NULL.
///
/// # Safety
/// `options` is null or valid, `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_install(options: *const graceshut_options, out: *mut *mut graceshut_t) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: forwarded from the caller.
        let (options, host) = unsafe { read(options) }?;
        let installer = match host {
            // SAFETY: forwarded from the caller.
            Some(host) => Installer::new(Box::new(unsafe { ForeignHost::read(host) }?)),
            None => Installer::new(Box::new(Native { language: "c" })),
        };
        let runtime = installer.install(options)?;
        // SAFETY: not null, writable by the caller's promise.
        unsafe { *out = Box::into_raw(Box::new(graceshut_t { runtime })) };
        Ok(())
    })
}

/// A handle to what is installed, or null. Freed by `graceshut_free`.
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_current() -> *mut graceshut_t {
    guard_or(std::ptr::null_mut(), || {
        Ok(graceshut::current().map_or(std::ptr::null_mut(), |runtime| Box::into_raw(Box::new(graceshut_t { runtime }))))
    })
}

/// Frees a handle. The runtime itself stays installed. Null is fine.
///
/// # Safety
/// `gs` came from `graceshut_install` or `graceshut_current` and was not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_free(gs: *mut graceshut_t) {
    if !gs.is_null() {
        // SAFETY: made by `Box::into_raw`, by the caller's promise.
        drop(unsafe { Box::from_raw(gs) });
    }
}

/// Ends the install: handlers back, threads ended, all handles and hooks closed. For manual mode and tests.
///
/// Errors: CLOSED, TOO_LATE during a shutdown, WRONG_THREAD inside a hook, NULL.
///
/// # Safety
/// `gs` is null or a live handle. The same for every function below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_uninstall(gs: *const graceshut_t) -> i32 {
    // SAFETY: forwarded from the caller.
    guard(|| unsafe { handle(gs) }?.uninstall().map(drop))
}

/// Ends a held install (`GRACESHUT_HOLD`). Never blocks. Errors: CLOSED, NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ready(gs: *const graceshut_t) -> i32 {
    // SAFETY: forwarded from the caller.
    guard(|| unsafe { handle(gs) }?.ready())
}

/// Tells that this process accepts connections (0 or 1): matters for the announce delay. Errors: NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_set_serving(gs: *const graceshut_t, serving: i32) -> i32 {
    guard(|| {
        // SAFETY: forwarded from the caller.
        unsafe { handle(gs) }?.set_serving(serving != 0);
        Ok(())
    })
}

/// Starts the shutdown, or shortens the one under way. `reason` may be null; `grace_us` 0: as configured. Never blocks.
/// Errors: BAD_TIME (negative, under 200 ms, over a year), CLOSED, NOT_UTF8, NULL.
///
/// # Safety
/// As `graceshut_uninstall`; `reason` is null or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_stop(gs: *const graceshut_t, reason: *const c_char, grace_us: i64) -> i32 {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let (runtime, reason) = unsafe { (handle(gs)?, optional(reason, "reason")?) };
        let grace = if grace_us == 0 { None } else { Some(micros(grace_us, "grace_us")?) };
        runtime.stop(reason.unwrap_or(""), grace)
    })
}

/// For bindings: the host ends by itself, about to leave with `code`; `error` not null: with an uncaught error.
/// Never blocks. Errors: CLOSED, NOT_UTF8, NULL.
///
/// # Safety
/// As `graceshut_stop`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_host_end(gs: *const graceshut_t, error: *const c_char, code: i32) -> i32 {
    // SAFETY: forwarded from the caller.
    guard(|| unsafe { handle(gs)?.host_end(optional(error, "error")?, code) })
}

/// For bindings: the host can run nothing any more; its hooks that have not begun are skipped. Errors: NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_host_closed(gs: *const graceshut_t) -> i32 {
    guard(|| {
        // SAFETY: forwarded from the caller.
        unsafe { handle(gs) }?.host_closed();
        Ok(())
    })
}

/// For bindings: somebody set another handler for `signo`; puts graceshut's on top again. Errors: CLOSED, BAD_VALUE, OS, NULL.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_rearm(gs: *const graceshut_t, signo: i32, chain: i32) -> i32 {
    guard(|| {
        let chain = if chain == GRACESHUT_CHAIN_ALWAYS { Chain::Always } else { Chain::Never };
        // SAFETY: forwarded from the caller.
        unsafe { handle(gs) }?.rearm(signo, chain)
    })
}

/// Blocks until every phase is over and the report is written; `timeout_us` < 0: without limit. `exit_code` (may be null)
/// gets the decided status: return it from main. Whoever waits here is the one who leaves.
///
/// Errors: TIMEOUT, WRONG_THREAD inside a hook, CLOSED, NULL.
///
/// # Safety
/// As `graceshut_uninstall`; `exit_code` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_wait(gs: *const graceshut_t, timeout_us: i64, exit_code: *mut i32) -> i32 {
    guard(|| {
        let limit = u64::try_from(timeout_us).ok().map(std::time::Duration::from_micros);
        // SAFETY: forwarded from the caller.
        let finished = unsafe { handle(gs) }?.wait(limit)?;
        if !exit_code.is_null() {
            // SAFETY: writable by the caller's promise.
            unsafe { *exit_code = finished.exit.code };
        }
        Ok(())
    })
}

/// `GRACESHUT_IDLE`, `_ARMED`, `_STOPPING` or `_STOPPED`; idle for null. Never blocks.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_state(gs: *const graceshut_t) -> i32 {
    guard_or(GRACESHUT_IDLE, || {
        // SAFETY: forwarded from the caller.
        Ok(match unsafe { handle(gs) }?.state() {
            State::Idle => GRACESHUT_IDLE,
            State::Armed => GRACESHUT_ARMED,
            State::Stopping(_) => GRACESHUT_STOPPING,
            State::Stopped => GRACESHUT_STOPPED,
        })
    })
}

/// The name of the phase that runs, or null. Freed by `graceshut_string_free`.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_phase(gs: *const graceshut_t) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        Ok(match unsafe { handle(gs) }?.state() {
            State::Stopping(phase) if !phase.is_empty() => give(phase),
            _ => std::ptr::null_mut(),
        })
    })
}

/// The report as JSON (docs/report.schema.json), or null before the end. Freed by `graceshut_string_free`.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_report_json(gs: *const graceshut_t) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        Ok(unsafe { handle(gs) }?.report().map_or(std::ptr::null_mut(), |r| give(r.to_json())))
    })
}

/// The schedule as a table for people, best and worst case. Freed by `graceshut_string_free`.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_plan_text(gs: *const graceshut_t) -> *mut c_char {
    // SAFETY: forwarded from the caller.
    guard_or(std::ptr::null_mut(), || Ok(give(unsafe { handle(gs) }?.plan().to_string())))
}

/// The effective configuration as JSON, each value with its origin. Freed by `graceshut_string_free`.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_config_json(gs: *const graceshut_t) -> *mut c_char {
    // SAFETY: forwarded from the caller.
    guard_or(std::ptr::null_mut(), || Ok(give(unsafe { handle(gs) }?.config().to_json().to_string())))
}

/// The state in one line for people. Freed by `graceshut_string_free`.
///
/// # Safety
/// As `graceshut_uninstall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_status(gs: *const graceshut_t) -> *mut c_char {
    // SAFETY: forwarded from the caller.
    guard_or(std::ptr::null_mut(), || Ok(give(unsafe { handle(gs) }?.status())))
}

/// A reload hook; 0: ok. Runs on a worker, may block, one reload at a time.
pub type graceshut_reload_fn = Option<unsafe extern "C" fn(user_data: *mut c_void) -> i32>;
/// An event callback: one JSON object, valid during the call. On a thread of its own, one event at a time; may block.
pub type graceshut_event_fn = Option<unsafe extern "C" fn(json: *const c_char, user_data: *mut c_void)>;

/// Registers a reload hook (SIGHUP, by default). Errors: NULL, NOT_UTF8, BAD_VALUE, CLOSED, OS.
///
/// # Safety
/// As `graceshut_uninstall`; `fn_`, `user_data` and `destroy` belong together. On an error `destroy` has been called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_on_reload(
    gs: *const graceshut_t,
    name: *const c_char,
    fn_: graceshut_reload_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy,
) -> i32 {
    let data = UserData::new(user_data, destroy);
    guard(move || {
        // SAFETY: forwarded from the caller.
        let (runtime, name) = unsafe { (handle(gs)?, required(name, "name")?) };
        let f = fn_.ok_or_else(|| null("fn"))?;
        // SAFETY: function and data were given together for this call.
        runtime.on_reload(name, move || match unsafe { f(data.get()) } {
            0 => Ok(()),
            code => Err(HookError::failed(format!("returned {code}"))),
        })
    })
}

/// Registers a callback for every event. Errors: NULL, CLOSED, OS.
///
/// # Safety
/// As `graceshut_on_reload`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_on_event(
    gs: *const graceshut_t,
    fn_: graceshut_event_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy,
) -> i32 {
    let data = UserData::new(user_data, destroy);
    guard(move || {
        // SAFETY: forwarded from the caller.
        let runtime = unsafe { handle(gs) }?;
        let f = fn_.ok_or_else(|| null("fn"))?;
        runtime.on_event(move |event| {
            if let Ok(json) = std::ffi::CString::new(event.to_json()) {
                // SAFETY: function and data were given together; the string outlives the call.
                unsafe { f(json.as_ptr(), data.get()) };
            }
        })
    })
}
