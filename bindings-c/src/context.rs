//! What a hook knows while it runs, and how it completes later.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_void};

use graceshut::{Completion, Context, HookResult};

use crate::callback::{UserData, graceshut_destroy};
use crate::error::{guard, guard_or, null};
use crate::hook::result_of;
use crate::options::micros;
use crate::text::{give, optional, required};

/// The context of a running hook. Opaque.
pub struct graceshut_ctx {
    context: Context,
    name: CString,
    phase: CString,
    words: RefCell<Option<String>>,
}

/// The right to say once how a hook ended. Opaque; any thread, one at a time.
pub struct graceshut_completion {
    completion: Completion,
    ctx: graceshut_ctx,
}

/// Called when a hook is cancelled, on a worker thread; may block.
pub type graceshut_cancel_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

impl graceshut_ctx {
    pub(crate) fn new(context: Context) -> graceshut_ctx {
        let name = CString::new(context.name()).unwrap_or_default();
        let phase = CString::new(context.phase()).unwrap_or_default();
        graceshut_ctx { context, name, phase, words: RefCell::new(None) }
    }

    pub(crate) fn result(self, code: i32) -> HookResult {
        result_of(code, self.words.into_inner())
    }
}

impl graceshut_completion {
    pub(crate) fn give(completion: Completion) -> *mut graceshut_completion {
        let ctx = graceshut_ctx::new(completion.context().clone());
        Box::into_raw(Box::new(graceshut_completion { completion, ctx }))
    }
}

/// Microseconds until the hook's hard deadline, 0 when it has passed, -1 when there is none (or for null). Never blocks.
///
/// # Safety
/// `ctx` is null or valid. The same for every `graceshut_ctx_` function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_remaining_us(ctx: *const graceshut_ctx) -> i64 {
    guard_or(-1, || {
        // SAFETY: null or valid by the caller's promise.
        let ctx = unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))?;
        Ok(ctx.context.remaining().map_or(-1, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    })
}

/// 1 from the soft deadline on: finish what cannot be left, and return. 0 before, and for null.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_cancelled(ctx: *const graceshut_ctx) -> i32 {
    // SAFETY: null or valid by the caller's promise.
    guard_or(0, || Ok(i32::from(unsafe { ctx.as_ref() }.is_some_and(|c| c.context.cancelled()))))
}

/// Sleeps until the hook is cancelled (answers 1) or `limit_us` has passed (answers 0).
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_wait_cancelled(ctx: *const graceshut_ctx, limit_us: i64) -> i32 {
    guard_or(0, || {
        // SAFETY: null or valid by the caller's promise.
        let ctx = unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))?;
        Ok(i32::from(ctx.context.wait_cancelled(micros(limit_us, "limit_us")?)))
    })
}

/// Asks for more time before the soft deadline; answers the microseconds granted, 0 for none.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_extend(ctx: *const graceshut_ctx, more_us: i64) -> i64 {
    guard_or(0, || {
        // SAFETY: null or valid by the caller's promise.
        let ctx = unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))?;
        let granted = ctx.context.extend(micros(more_us, "more_us")?);
        Ok(i64::try_from(granted.as_micros()).unwrap_or(i64::MAX))
    })
}

/// The hook's name, valid as long as the context. Null for null.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_name(ctx: *const graceshut_ctx) -> *const c_char {
    // SAFETY: null or valid by the caller's promise.
    unsafe { ctx.as_ref() }.map_or(std::ptr::null(), |c| c.name.as_ptr())
}

/// The phase's name, valid as long as the context. Null for null.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_phase(ctx: *const graceshut_ctx) -> *const c_char {
    // SAFETY: null or valid by the caller's promise.
    unsafe { ctx.as_ref() }.map_or(std::ptr::null(), |c| c.phase.as_ptr())
}

/// Number of the signal that started the shutdown, 0 when it was something else.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_signal(ctx: *const graceshut_ctx) -> i32 {
    // SAFETY: null or valid by the caller's promise.
    guard_or(0, || Ok(unsafe { ctx.as_ref() }.and_then(|c| c.context.reason().signo).unwrap_or(0)))
}

/// Why the process stops: `"signal"`, `"stop: words"`, `"host_end"`, ... Freed by `graceshut_string_free`.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_reason(ctx: *const graceshut_ctx) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: null or valid by the caller's promise.
        let reason = unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))?.context.reason();
        Ok(give(reason.message.map_or_else(|| reason.kind.word().to_owned(), |m| format!("{}: {m}", reason.kind.word()))))
    })
}

/// Names of abandoned hooks that still run, as a JSON array. Freed by `graceshut_string_free`.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_abandoned(ctx: *const graceshut_ctx) -> *mut c_char {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: null or valid by the caller's promise.
        let names = unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))?.context.abandoned();
        Ok(give(serde_json::json!(names).to_string()))
    })
}

/// Says a line as an event. Errors: NULL, NOT_UTF8.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`; `message` is NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_log(ctx: *const graceshut_ctx, message: *const c_char) -> i32 {
    guard(|| {
        // SAFETY: null or valid by the caller's promise.
        let ctx = unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))?;
        // SAFETY: as above.
        ctx.context.log(unsafe { required(message, "message") }?);
        Ok(())
    })
}

/// Says how far the hook is: `done` of `total` (0: unknown). Errors: NULL.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_progress(ctx: *const graceshut_ctx, done: u64, total: u64) -> i32 {
    guard(|| {
        // SAFETY: null or valid by the caller's promise.
        unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))?.context.progress(done, total);
        Ok(())
    })
}

/// The words for the report, should the hook return an error. Errors: NULL, NOT_UTF8.
///
/// # Safety
/// As `graceshut_ctx_log`. On the hook's own thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_set_error(ctx: *const graceshut_ctx, message: *const c_char) -> i32 {
    guard(|| {
        // SAFETY: null or valid by the caller's promise.
        let ctx = unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))?;
        // SAFETY: as above.
        let words = unsafe { required(message, "message") }?.to_owned();
        *ctx.words.borrow_mut() = Some(words);
        Ok(())
    })
}

/// Calls `fn_` on a worker when the hook is cancelled; at once when it already is. Errors: NULL.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`; `fn_`, `user_data` and `destroy` belong together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_on_cancel(
    ctx: *const graceshut_ctx,
    fn_: graceshut_cancel_fn,
    user_data: *mut c_void,
    destroy: graceshut_destroy,
) -> i32 {
    let data = UserData::new(user_data, destroy);
    guard(move || {
        // SAFETY: null or valid by the caller's promise.
        let ctx = unsafe { ctx.as_ref() }.ok_or_else(|| null("ctx"))?;
        let f = fn_.ok_or_else(|| null("fn"))?;
        // SAFETY: function and data were given together for this call.
        ctx.context.on_cancel(move || unsafe { f(data.get()) });
        Ok(())
    })
}

/// For bindings (`GRACESHUT_HOOK_IN_HOST`): the body really begins now. 1: run it; 0: its time has passed, do not.
///
/// # Safety
/// As `graceshut_ctx_remaining_us`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_ctx_begin(ctx: *const graceshut_ctx) -> i32 {
    // SAFETY: null or valid by the caller's promise.
    guard_or(0, || Ok(i32::from(unsafe { ctx.as_ref() }.is_some_and(|c| c.context.begin()))))
}

/// The context of a completion, valid until `graceshut_completion_finish`. Null for null.
///
/// # Safety
/// `completion` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_completion_context(completion: *const graceshut_completion) -> *const graceshut_ctx {
    // SAFETY: null or valid by the caller's promise.
    unsafe { completion.as_ref() }.map_or(std::ptr::null(), |c| &raw const c.ctx)
}

/// Ends the hook and frees the completion: 0 ok, `GRACESHUT_CANCELLED`, anything else failed with `message` (may be null).
/// Too late is no error: the report says so. Any thread; never blocks. Errors: NULL, NOT_UTF8 (the hook then failed).
///
/// # Safety
/// `completion` is null or valid, and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_completion_finish(
    completion: *mut graceshut_completion,
    code: i32,
    message: *const c_char,
) -> i32 {
    guard(|| {
        if completion.is_null() {
            return Err(null("completion"));
        }
        // SAFETY: made by `graceshut_completion::give`, by the caller's promise.
        let c = unsafe { Box::from_raw(completion) };
        // SAFETY: null or NUL-terminated by the caller's promise.
        let words = unsafe { optional(message, "message") }?.map(str::to_owned);
        let words = words.or_else(|| c.ctx.words.borrow_mut().take());
        c.completion.finish(result_of(code, words));
        Ok(())
    })
}
