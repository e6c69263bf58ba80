//! What a hook knows while it runs, and how it completes later.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use graceshut::{Completion, Context, Error, HookError};

use crate::callback::{UserData, graceshut_destroy_fn};
use crate::error::{GRACESHUT_CANCELLED, GRACESHUT_PANICKED, guard, guard_or};
use crate::options::{as_micros, micros};
use crate::text::{c_string, give, null, optional, required};

/// What a running hook knows. (spec 8.3) Valid during the hook's call, or until its completion is finished; any thread.
pub struct graceshut_ctx {
    context: Context,
    name: CString,
    phase: CString,
    words: Mutex<Option<String>>,
    exit: Mutex<Option<c_int>>,
}

/// The right to say once how a hook ended. Any thread. One that is never finished leaves the hook to its deadline.
pub struct graceshut_completion {
    completion: Completion,
    ctx: graceshut_ctx,
    /// Destroyed after the body and the completion have both ended.
    _data: Arc<UserData>,
}

/// Called when a hook is cancelled, on a worker thread of graceshut; may block.
pub type graceshut_cancel_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

impl graceshut_ctx {
    pub(crate) fn new(context: Context) -> graceshut_ctx {
        let (name, phase) = (c_string(context.name()), c_string(context.phase()));
        graceshut_ctx { context, name, phase, words: Mutex::new(None), exit: Mutex::new(None) }
    }

    /// How the hook ended, from its code and what it said before; `words` go first.
    pub(crate) fn result_of(&self, code: c_int, words: Option<String>) -> Result<(), HookError> {
        if let Some(status) = *self.exit.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(HookError::Exit(status));
        }
        result_of(code, words.or_else(|| self.words.lock().unwrap_or_else(PoisonError::into_inner).take()))
    }
}

impl graceshut_completion {
    pub(crate) fn give(completion: Completion, data: Arc<UserData>) -> *mut graceshut_completion {
        let ctx = graceshut_ctx::new(completion.context().clone());
        Box::into_raw(Box::new(graceshut_completion { completion, ctx, _data: data }))
    }
}

/// # Safety
/// `ctx` is null or valid.
unsafe fn known<'a>(ctx: *const graceshut_ctx) -> Result<&'a graceshut_ctx, Error> {
    // SAFETY: null or valid by the caller's promise.
    unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))
}

/// Microseconds until the hook's hard deadline, 0 when it has passed, -1 when there is none (and for null). Never blocks.
/// (spec 5.5)
///
/// # Safety
/// `ctx` is null or valid. The same for every function of a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_remaining_us(ctx: *const graceshut_ctx) -> i64 {
    guard_or(-1, || {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        Ok(ctx.context.remaining().map_or(-1, as_micros))
    })
}

/// 1 from the soft deadline on: finish what cannot be left and return `GRACESHUT_CANCELLED`, or 0 if all is done. 0 before,
/// and for null. Never blocks. (spec 5.5)
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_cancelled(ctx: *const graceshut_ctx) -> c_int {
    guard_or(0, || {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        Ok(c_int::from(ctx.context.cancelled()))
    })
}

/// Sleeps for `limit_us` microseconds (answers 0), or until the hook is cancelled if that is sooner (answers 1). A negative
/// limit and a null are no sleep at all (0, BAD_TIME or NULL in `graceshut_last_error`). (spec 8.3)
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_wait_cancelled(ctx: *const graceshut_ctx, limit_us: i64) -> c_int {
    guard_or(0, || {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        Ok(c_int::from(ctx.context.wait_cancelled(micros(limit_us, "limit_us")?)))
    })
}

/// Asks for `more_us` microseconds more before the hook's soft deadline has come; answers how many are granted, 0 for none and
/// on an error (NULL, BAD_TIME). Never past what later phases are promised. Never blocks. (spec 5.8)
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_extend(ctx: *mut graceshut_ctx, more_us: i64) -> i64 {
    guard_or(0, || {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        Ok(as_micros(ctx.context.extend(micros(more_us, "more_us")?)))
    })
}

/// The hook's name, valid as long as the context. Null for null. Never blocks.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_name(ctx: *const graceshut_ctx) -> *const c_char {
    // SAFETY: forwarded from the caller.
    guard_or(std::ptr::null(), || unsafe { known(ctx) }.map(|c| c.name.as_ptr()))
}

/// The phase's name, valid as long as the context. Null for null. Never blocks.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_phase(ctx: *const graceshut_ctx) -> *const c_char {
    // SAFETY: forwarded from the caller.
    guard_or(std::ptr::null(), || unsafe { known(ctx) }.map(|c| c.phase.as_ptr()))
}

/// The number of the signal that started the shutdown, 0 when it was something else (and for null). Never blocks. (spec 2.2)
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_signal(ctx: *const graceshut_ctx) -> c_int {
    guard_or(0, || {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        Ok(ctx.context.reason().signo.unwrap_or(0))
    })
}

/// Why the process stops, the first trigger: "signal", "stop: words of the caller", "host_end", "uncaught: words", "prestop",
/// "parent_death", "stdin_eof". Null for null. Free it with `graceshut_string_free`. Never blocks. (spec 2.2)
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_reason(ctx: *const graceshut_ctx) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        let reason = unsafe { known(ctx) }?.context.reason();
        Ok(give(reason.message.map_or_else(|| reason.kind.word().to_owned(), |m| format!("{}: {m}", reason.kind.word()))))
    })
}

/// The names of hooks that were abandoned earlier and still run, as a JSON array: what they use must not be pulled away. Null
/// for null. Free it with `graceshut_string_free`. Never blocks. (spec 5.7)
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_abandoned(ctx: *const graceshut_ctx) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        let names = unsafe { known(ctx) }?.context.abandoned();
        Ok(give(serde_json::json!(names).to_string()))
    })
}

/// Says a line as a "log" event, cut at 8192 characters. Never blocks. (spec 8.3)
///
/// Errors: NULL, NOT_UTF8.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`; `message` is NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_log(ctx: *mut graceshut_ctx, message: *const c_char) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        // SAFETY: forwarded from the caller.
        ctx.context.log(unsafe { required(message, "message") }?);
        Ok(())
    })
}

/// Says how far the hook is, `done` of `total` (0: unknown), in a unit of its own. At most ten a second become events. Never
/// blocks. (spec 8.3)
///
/// Errors: NULL.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_progress(ctx: *mut graceshut_ctx, done: u64, total: u64) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        ctx.context.progress(done, total);
        Ok(())
    })
}

/// The words for the report, should the hook then return a failure. Copied; the last call counts. Never blocks. (spec 6.1)
///
/// Errors: NULL, NOT_UTF8.
///
/// # Safety
/// As `graceshut_ctx_log`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_set_error(ctx: *mut graceshut_ctx, message: *const c_char) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        // SAFETY: forwarded from the caller.
        let words = unsafe { required(message, "message") }?.to_owned();
        *ctx.words.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
        Ok(())
    })
}

/// For bindings whose exit call cannot be contained or seen: the hook's end is to count as a call of `exit(status)` inside it, whatever
/// it then returns: `ok` for 0, else `failed`, and the status is proposed. The last call counts. Never blocks. (spec 8.6)
///
/// Errors: NULL.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_propose_exit(ctx: *mut graceshut_ctx, status: c_int) -> c_int {
    guard(|| {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        *ctx.exit.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        Ok(())
    })
}

/// Calls `callback` once when the hook is cancelled, at once when it already is; not at all when it ends before. `destroy` may
/// be null; it is called when the hook and everything that knows it have ended. Never blocks. (spec 5.5)
///
/// Errors: NULL. `destroy` has been called then.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`; `callback`, `user_data` and `destroy` belong together and may be used on other threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_on_cancel(
    ctx: *mut graceshut_ctx,
    callback: graceshut_cancel_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy_fn,
) -> c_int {
    let data = UserData::new(user_data, destroy);
    guard(move || {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        let call = callback.ok_or_else(|| null("callback"))?;
        // SAFETY: function and data were given together for this call.
        ctx.context.on_cancel(move || unsafe { call(data.get()) });
        Ok(())
    })
}

/// For bindings (`GRACESHUT_HOOK_IN_HOST`): the body really begins now. 1: run it; 0: its time has passed, do not. Never
/// blocks. (spec 6.1)
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_begin(ctx: *mut graceshut_ctx) -> c_int {
    guard_or(0, || {
        // SAFETY: forwarded from the caller.
        let ctx = unsafe { known(ctx) }?;
        Ok(c_int::from(ctx.context.begin()))
    })
}

/// The context of a hook that completes later, valid until `graceshut_completion_finish`. Null for null. Never blocks.
///
/// # Safety
/// `completion` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_completion_context(completion: *mut graceshut_completion) -> *mut graceshut_ctx {
    if completion.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: not null, and valid by the caller's promise; only an address is taken.
    unsafe { &raw mut (*completion).ctx }
}

/// Ends the hook and frees the completion: `code` 0 ok, `GRACESHUT_CANCELLED`, anything else failed with `message` (may be
/// null, then as `graceshut_ctx_set_error` said). Too late is no error: the report says so. Any thread; never blocks. (spec 8.4)
///
/// Errors: NULL; NOT_UTF8 (the hook has then failed, and the completion is freed).
///
/// # Safety
/// `completion` is null or valid, and is not used afterwards; `message` is null or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_completion_finish(
    completion: *mut graceshut_completion,
    code: c_int,
    message: *const c_char,
) -> c_int {
    guard(|| {
        if completion.is_null() {
            return Err(null("completion"));
        }
        // SAFETY: made by `graceshut_completion::give`, by the caller's promise.
        let done = unsafe { Box::from_raw(completion) };
        // SAFETY: null or NUL-terminated by the caller's promise.
        let words = unsafe { optional(message, "message") }?.map(str::to_owned);
        done.completion.finish(done.ctx.result_of(code, words));
        Ok(())
    })
}

fn result_of(code: c_int, words: Option<String>) -> Result<(), HookError> {
    match code {
        0 => Ok(()),
        GRACESHUT_CANCELLED => Err(HookError::Cancelled),
        GRACESHUT_PANICKED => Err(HookError::Panicked(words.unwrap_or_else(|| "panicked".to_owned()))),
        code => Err(HookError::failed(words.unwrap_or_else(|| format!("returned {code}")))),
    }
}
