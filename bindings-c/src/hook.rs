//! Registering hooks.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

use graceshut::config::{NumberUnit, hook_from_json};
use graceshut::{Error, ErrorKind, HookBuilder, HookHandle, Removal, Runtime};

use crate::callback::{UserData, graceshut_destroy_fn};
use crate::context::{graceshut_completion, graceshut_ctx};
use crate::error::guard;
use crate::options::micros;
use crate::runtime::{graceshut_t, handle};
use crate::size::check_size;
use crate::text::{null, required};

/// A hook that returns when it is done: 0 ok; `GRACESHUT_CANCELLED` when it stopped because it was cancelled; anything else
/// failed (say why with `graceshut_ctx_set_error`). `ctx` is valid during the call. On a worker thread of graceshut, with
/// 2 MiB of stack and the program's own signal mask; may block; may call every graceshut function except `graceshut_wait` and
/// `graceshut_uninstall`.
/// `exit(n)` inside ends the hook, proposes the status n, and the plan goes on. (spec 8.6) An exception, longjmp or
/// pthread_exit must not leave it.
pub type graceshut_hook_fn = Option<unsafe extern "C" fn(ctx: *mut graceshut_ctx, user_data: *mut c_void) -> c_int>;
/// A hook that begins its work and completes it later: it owns `completion`, and the program ends the hook with
/// `graceshut_completion_finish`, before or after this function returns, on any thread. `user_data` lives until both have
/// happened. Otherwise as `graceshut_hook_fn`. (spec 8.4)
pub type graceshut_start_fn = Option<unsafe extern "C" fn(completion: *mut graceshut_completion, user_data: *mut c_void)>;

/// Flag: the hook's outcome does not count in the result. (spec 6.2)
pub const GRACESHUT_HOOK_OPTIONAL: u32 = 1;
/// Flag, for bindings: the body enters a host first and says so with `graceshut_ctx_begin`. (spec 6.1)
pub const GRACESHUT_HOOK_IN_HOST: u32 = 2;

/// Options of one hook: begin with `GRACESHUT_HOOK_OPTIONS_INIT`, which sets `size` and leaves the rest unsaid. Copied.
#[repr(C)]
pub struct graceshut_hook_options {
    /// `sizeof(graceshut_hook_options)`.
    pub size: usize,
    /// The hook's own limit in microseconds, up to 366 days; it never gets more than its phase has left. 0: none. (spec 5.5)
    pub timeout_us: i64,
    /// Names of hooks in the same phase after which it runs, whatever their outcome. May be null. (spec 4.4)
    pub after: *const *const c_char,
    /// How many names `after` has.
    pub after_len: usize,
    /// `GRACESHUT_HOOK_*`, or-ed.
    pub flags: u32,
}

/// Taken out: the hook will not run.
pub const GRACESHUT_REMOVED: c_int = 0;
/// Too late: the hook runs.
pub const GRACESHUT_RUNNING: c_int = 1;
/// Too late: the hook has ended, or was removed before.
pub const GRACESHUT_DONE: c_int = 2;

/// # Safety
/// Strings are null or NUL-terminated; `options` is null or valid.
unsafe fn builder(
    gs: &Runtime,
    phase: *const c_char,
    name: *const c_char,
    options: *const graceshut_hook_options,
) -> Result<HookBuilder, Error> {
    // SAFETY: forwarded from the caller.
    let phase = unsafe { required(phase, "phase") }?;
    // SAFETY: forwarded from the caller.
    let name = unsafe { required(name, "name") }?;
    let mut builder = gs.hook(phase, name);
    if options.is_null() {
        return Ok(builder);
    }
    // SAFETY: `options` is valid for its own size, which is the first member of every version: nothing else is read before.
    let size = unsafe { options.cast::<usize>().read() };
    check_size(size, size_of::<graceshut_hook_options>(), "hook options", "GRACESHUT_HOOK_OPTIONS_INIT")?;
    // SAFETY: not null, and of the size just checked.
    let o = unsafe { &*options };
    if o.flags & !(GRACESHUT_HOOK_OPTIONAL | GRACESHUT_HOOK_IN_HOST) != 0 {
        return Err(Error::new(ErrorKind::BadValue, format!("hook options.flags {:#x} has unknown bits", o.flags)));
    }
    if o.timeout_us != 0 {
        builder = builder.timeout(micros(o.timeout_us, "hook options.timeout_us")?);
    }
    if o.after_len > 0 && o.after.is_null() {
        return Err(null("hook options.after"));
    }
    for i in 0..o.after_len {
        // SAFETY: `after` has `after_len` elements by the caller's promise.
        let element = unsafe { o.after.add(i) };
        // SAFETY: as above.
        let name = unsafe { element.read() };
        // SAFETY: NUL-terminated by the caller's promise.
        builder = builder.after(unsafe { required(name, "hook options.after[]") }?);
    }
    builder = builder.optional(o.flags & GRACESHUT_HOOK_OPTIONAL != 0);
    Ok(if o.flags & GRACESHUT_HOOK_IN_HOST != 0 { builder.host_lane() } else { builder })
}

/// # Safety
/// `out_id` is null or writable.
unsafe fn give_id(hook: &HookHandle, out_id: *mut u32) {
    if !out_id.is_null() {
        // SAFETY: writable by the caller's promise.
        unsafe { *out_id = hook.id() };
    }
}

/// Registers a hook named `name` in `phase` ("announce", "drain", "flush", "close", "final", or a phase of the configuration).
/// Names need not be unique, 1 to 256 bytes. `options` and `destroy` may be null; `out_id` (may be null) gets the number for
/// `graceshut_remove`. Any thread, also inside a hook and during the shutdown, then into the running or a later phase. Never
/// blocks beyond the making of a thread. (spec 8.1, 8.2)
///
/// Errors: UNKNOWN_PHASE, TOO_LATE, CYCLE, BAD_TIME, BAD_VALUE, NOT_UTF8, ABI_MISMATCH (wrong `size`), CLOSED, OS, NULL.
/// `destroy` has been called then.
///
/// # Safety
/// All are null or valid; `callback`, `user_data` and `destroy` belong together and may be used on other threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_hook(
    gs: *const graceshut_t,
    phase: *const c_char,
    name: *const c_char,
    callback: graceshut_hook_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy_fn,
    options: *const graceshut_hook_options,
    out_id: *mut u32,
) -> c_int {
    let data = UserData::new(user_data, destroy);
    guard(move || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        // SAFETY: forwarded from the caller.
        let builder = unsafe { builder(gs, phase, name, options) }?;
        let call = callback.ok_or_else(|| null("callback"))?;
        let hook = builder.run(move |context| {
            let mut ctx = graceshut_ctx::new(context.clone());
            // SAFETY: function and data were given together; `ctx` lives during the call.
            let code = unsafe { call(&raw mut ctx, data.get()) };
            ctx.result_of(code, None)
        })?;
        // SAFETY: forwarded from the caller.
        unsafe { give_id(&hook, out_id) };
        Ok(())
    })
}

/// Registers a hook that begins its work and completes it later. Otherwise as `graceshut_hook`. (spec 8.4)
///
/// # Safety
/// As `graceshut_hook`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_hook_start(
    gs: *const graceshut_t,
    phase: *const c_char,
    name: *const c_char,
    callback: graceshut_start_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy_fn,
    options: *const graceshut_hook_options,
    out_id: *mut u32,
) -> c_int {
    let data = Arc::new(UserData::new(user_data, destroy));
    guard(move || {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        // SAFETY: forwarded from the caller.
        let builder = unsafe { builder(gs, phase, name, options) }?;
        let call = callback.ok_or_else(|| null("callback"))?;
        let hook = builder.start(move |_, completion| {
            let given = graceshut_completion::give(completion, Arc::clone(&data));
            // SAFETY: function and data were given together; the callee owns `given` from here on.
            unsafe { call(given, data.get()) };
        })?;
        // SAFETY: forwarded from the caller.
        unsafe { give_id(&hook, out_id) };
        Ok(())
    })
}

/// Registers a hook that needs no code, as `[[hook]]` in graceshut.toml: one JSON object with "phase", optionally "name",
/// "timeout", "after", "optional", and one of "exec", "http", "delay", "inflight", "signal", "wasm" (UNSUPPORTED in a library
/// built without it). Times are "500ms", "10s", or bare numbers of microseconds. Threads, blocking and `out_id` as in
/// `graceshut_hook`. (spec 8.5)
///
/// Errors: BAD_CONFIG, UNSUPPORTED, and those of `graceshut_hook`.
///
/// # Safety
/// All are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_hook_json(gs: *const graceshut_t, json: *const c_char, out_id: *mut u32) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        // SAFETY: forwarded from the caller.
        let json = unsafe { required(json, "json") }?;
        let hook = gs.declare(&hook_from_json(json, NumberUnit::Micros)?)?;
        // SAFETY: forwarded from the caller.
        unsafe { give_id(&hook, out_id) };
        Ok(())
    })
}

/// Takes a hook out and destroys its data; `out` (may be null) gets `GRACESHUT_REMOVED`, or `_RUNNING` or `_DONE` when it was
/// too late. Any thread; never blocks (but `destroy` may). (spec 8.1)
///
/// Errors: CLOSED, NULL.
///
/// # Safety
/// All are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_remove(gs: *const graceshut_t, id: u32, out: *mut c_int) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let gs = unsafe { handle(gs) }?;
        let removal = match gs.remove(id)? {
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
