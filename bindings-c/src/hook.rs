//! Registering hooks.

use std::ffi::{c_char, c_void};

use graceshut::config::{NumberUnit, hook_from_json};
use graceshut::{Error, ErrorKind, HookBuilder, HookError, HookHandle, Removal, Runtime};

use crate::callback::{UserData, graceshut_destroy};
use crate::context::{graceshut_completion, graceshut_ctx};
use crate::error::{GRACESHUT_CANCELLED, guard, null};
use crate::options::micros;
use crate::runtime::{graceshut_t, handle};
use crate::text::required;

/// A hook that returns when it is done: 0 ok, `GRACESHUT_CANCELLED` when it stopped because it was cancelled, anything else
/// failed (say why with `graceshut_ctx_set_error`). `ctx` is valid during the call. On a worker thread of graceshut; may
/// block; may call every graceshut function except `graceshut_wait` and `graceshut_uninstall`.
pub type graceshut_hook_fn = Option<unsafe extern "C" fn(ctx: *mut graceshut_ctx, user_data: *mut c_void) -> i32>;
/// A hook that begins its work and completes it later, from any thread: it owns `completion` and ends the hook with
/// `graceshut_completion_finish`.
pub type graceshut_start_fn = Option<unsafe extern "C" fn(completion: *mut graceshut_completion, user_data: *mut c_void)>;

/// The hook's outcome does not count.
pub const GRACESHUT_HOOK_OPTIONAL: u32 = 1;
/// For bindings: the body enters a host first and says so with `graceshut_ctx_begin` / `graceshut_completion_begin`.
pub const GRACESHUT_HOOK_IN_HOST: u32 = 2;

/// Options of one hook; null: none of them. Zero everything and set `size` (`GRACESHUT_HOOK_OPTIONS_INIT`).
#[repr(C)]
pub struct graceshut_hook_options {
    /// `sizeof(graceshut_hook_options)`.
    pub size: usize,
    /// The hook's own limit in microseconds; 0: none but its phase's.
    pub timeout_us: i64,
    /// Names of hooks in the same phase it runs after.
    pub after: *const *const c_char,
    /// How many.
    pub after_len: usize,
    /// `GRACESHUT_HOOK_*`, or-ed.
    pub flags: u32,
}

/// The hook will not run.
pub const GRACESHUT_REMOVED: i32 = 0;
/// Too late: it runs.
pub const GRACESHUT_RUNNING: i32 = 1;
/// It has ended, or was removed before.
pub const GRACESHUT_DONE: i32 = 2;

unsafe fn builder(
    runtime: &Runtime,
    phase: *const c_char,
    name: *const c_char,
    options: *const graceshut_hook_options,
) -> Result<HookBuilder, Error> {
    // SAFETY: forwarded from the caller.
    let (phase, name) = unsafe { (required(phase, "phase")?, required(name, "name")?) };
    let mut builder = runtime.hook(phase, name);
    // SAFETY: null or valid by the caller's promise.
    let Some(o) = (unsafe { options.as_ref() }) else { return Ok(builder) };
    if o.size != size_of::<graceshut_hook_options>() {
        let message = format!("hook options.size is {}, this library's is {}", o.size, size_of::<graceshut_hook_options>());
        return Err(Error::new(ErrorKind::AbiMismatch, message));
    }
    if o.flags & !(GRACESHUT_HOOK_OPTIONAL | GRACESHUT_HOOK_IN_HOST) != 0 {
        return Err(Error::new(ErrorKind::BadValue, format!("hook options.flags {:#x} has unknown bits", o.flags)));
    }
    if o.timeout_us != 0 {
        builder = builder.timeout(micros(o.timeout_us, "timeout_us")?);
    }
    if o.after_len > 0 && o.after.is_null() {
        return Err(null("after"));
    }
    for i in 0..o.after_len {
        // SAFETY: `after` has `after_len` elements by the caller's promise.
        let name = unsafe { *o.after.add(i) };
        // SAFETY: NUL-terminated by the caller's promise.
        builder = builder.after(unsafe { required(name, "after") }?);
    }
    builder = builder.optional(o.flags & GRACESHUT_HOOK_OPTIONAL != 0);
    Ok(if o.flags & GRACESHUT_HOOK_IN_HOST != 0 { builder.host_lane() } else { builder })
}

unsafe fn give_id(hook: &HookHandle, out: *mut u32) {
    if !out.is_null() {
        // SAFETY: writable by the caller's promise.
        unsafe { *out = hook.id() };
    }
}

/// Registers a hook that returns when it is done. `out_id` may be null.
///
/// Errors: UNKNOWN_PHASE, TOO_LATE, CYCLE, BAD_TIME, BAD_VALUE, NOT_UTF8, CLOSED, NULL. On an error `destroy` has been called.
///
/// # Safety
/// Pointers are null or valid; `fn_`, `user_data` and `destroy` belong together and may be used on other threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_hook(
    gs: *const graceshut_t,
    phase: *const c_char,
    name: *const c_char,
    fn_: graceshut_hook_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy,
    options: *const graceshut_hook_options,
    out_id: *mut u32,
) -> i32 {
    let data = UserData::new(user_data, destroy);
    guard(move || {
        // SAFETY: forwarded from the caller.
        let builder = unsafe { builder(handle(gs)?, phase, name, options) }?;
        let f = fn_.ok_or_else(|| null("fn"))?;
        let hook = builder.run(move |context| {
            let mut ctx = graceshut_ctx::new(context.clone());
            // SAFETY: function and data were given together; `ctx` lives during the call.
            let code = unsafe { f(&mut ctx, data.get()) };
            ctx.result(code)
        })?;
        // SAFETY: forwarded from the caller.
        unsafe { give_id(&hook, out_id) };
        Ok(())
    })
}

/// Registers a hook that completes later. Otherwise as `graceshut_hook`.
///
/// # Safety
/// As `graceshut_hook`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_hook_start(
    gs: *const graceshut_t,
    phase: *const c_char,
    name: *const c_char,
    fn_: graceshut_start_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy,
    options: *const graceshut_hook_options,
    out_id: *mut u32,
) -> i32 {
    let data = UserData::new(user_data, destroy);
    guard(move || {
        // SAFETY: forwarded from the caller.
        let builder = unsafe { builder(handle(gs)?, phase, name, options) }?;
        let f = fn_.ok_or_else(|| null("fn"))?;
        let hook = builder.start(move |_, completion| {
            let completion = graceshut_completion::give(completion);
            // SAFETY: function and data were given together; the callee owns `completion` from here on.
            unsafe { f(completion, data.get()) };
        })?;
        // SAFETY: forwarded from the caller.
        unsafe { give_id(&hook, out_id) };
        Ok(())
    })
}

/// Registers a hook that needs no code, as `[[hook]]` in graceshut.toml: one JSON object with `phase`, `name`, optionally
/// `timeout`, `after`, `optional`, and one of `exec`, `http`, `delay`, `inflight`, `signal`. Bare numbers are microseconds.
///
/// Errors: BAD_CONFIG, UNSUPPORTED, and those of `graceshut_hook`.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_hook_json(gs: *const graceshut_t, json: *const c_char, out_id: *mut u32) -> i32 {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let (runtime, json) = unsafe { (handle(gs)?, required(json, "json")?) };
        let hook = runtime.declare(&hook_from_json(json, NumberUnit::Micros)?)?;
        // SAFETY: forwarded from the caller.
        unsafe { give_id(&hook, out_id) };
        Ok(())
    })
}

/// Takes a hook out; `out` (may be null) gets `GRACESHUT_REMOVED`, `_RUNNING` or `_DONE`. Never blocks. Errors: CLOSED, NULL.
///
/// # Safety
/// Pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_remove(gs: *const graceshut_t, id: u32, out: *mut i32) -> i32 {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let removal = match unsafe { handle(gs) }?.remove(id)? {
            Removal::Removed => GRACESHUT_REMOVED,
            Removal::Running => GRACESHUT_RUNNING,
            Removal::Done => GRACESHUT_DONE,
        };
        if !out.is_null() {
            // SAFETY: writable by the caller's promise.
            unsafe { *out = removal };
        }
        Ok(())
    })
}

pub(crate) fn result_of(code: i32, words: Option<String>) -> Result<(), HookError> {
    match code {
        0 => Ok(()),
        GRACESHUT_CANCELLED => Err(HookError::Cancelled),
        code => Err(HookError::failed(words.unwrap_or_else(|| format!("returned {code}")))),
    }
}
