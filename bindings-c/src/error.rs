//! Error numbers, the last error's words, and the guard around every exported body.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

use graceshut::{Error, ErrorKind};

/// Success.
pub const GRACESHUT_OK: i32 = 0;
/// A required pointer was null.
pub const GRACESHUT_E_NULL: i32 = 1;
/// A string is not valid UTF-8.
pub const GRACESHUT_E_NOT_UTF8: i32 = 2;
/// No phase of that name in the plan.
pub const GRACESHUT_E_UNKNOWN_PHASE: i32 = 3;
/// A time is negative, too small or too large.
pub const GRACESHUT_E_BAD_TIME: i32 = 4;
/// Another argument is out of its range.
pub const GRACESHUT_E_BAD_VALUE: i32 = 5;
/// The configuration (file, environment, JSON) has an unknown key or a bad value.
pub const GRACESHUT_E_BAD_CONFIG: i32 = 6;
/// The phases contradict each other.
pub const GRACESHUT_E_BAD_PLAN: i32 = 7;
/// The reserves do not fit into the grace.
pub const GRACESHUT_E_PLAN_DOES_NOT_FIT: i32 = 8;
/// A second install asked for other options than the first.
pub const GRACESHUT_E_DISAGREE: i32 = 9;
/// The runtime was uninstalled, or belongs to the parent process.
pub const GRACESHUT_E_CLOSED: i32 = 10;
/// The phase, or the whole shutdown, is already over.
pub const GRACESHUT_E_TOO_LATE: i32 = 11;
/// A hook's `after` closes a circle.
pub const GRACESHUT_E_CYCLE: i32 = 12;
/// Not allowed on this thread.
pub const GRACESHUT_E_WRONG_THREAD: i32 = 13;
/// Nothing is installed.
pub const GRACESHUT_E_NOT_INSTALLED: i32 = 14;
/// Another copy of the core in this process has an incompatible ABI.
pub const GRACESHUT_E_ABI_MISMATCH: i32 = 15;
/// The operating system refused something.
pub const GRACESHUT_E_OS: i32 = 16;
/// A wait's limit passed first.
pub const GRACESHUT_E_TIMEOUT: i32 = 17;
/// This build does not have that.
pub const GRACESHUT_E_UNSUPPORTED: i32 = 18;
/// A bug in graceshut, contained.
pub const GRACESHUT_E_INTERNAL: i32 = 99;

/// What a hook returns when it stopped because it was cancelled.
pub const GRACESHUT_CANCELLED: i32 = -1;

thread_local! {
    static LAST: RefCell<CString> = RefCell::new(CString::default());
}

/// The words of this thread's last error, never null. Valid until the next graceshut call on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_last_error() -> *const c_char {
    // A thread that is being torn down has no words any more.
    LAST.try_with(|l| l.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// The name of an error number, `"unknown_phase"`; `"unknown"` for a number this version does not know. Static.
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_error_name(code: i32) -> *const c_char {
    const NAMES: &[(i32, &CStr)] = &[
        (GRACESHUT_OK, c"ok"),
        (GRACESHUT_E_NULL, c"null"),
        (GRACESHUT_E_NOT_UTF8, c"not_utf8"),
        (GRACESHUT_E_UNKNOWN_PHASE, c"unknown_phase"),
        (GRACESHUT_E_BAD_TIME, c"bad_time"),
        (GRACESHUT_E_BAD_VALUE, c"bad_value"),
        (GRACESHUT_E_BAD_CONFIG, c"bad_config"),
        (GRACESHUT_E_BAD_PLAN, c"bad_plan"),
        (GRACESHUT_E_PLAN_DOES_NOT_FIT, c"plan_does_not_fit"),
        (GRACESHUT_E_DISAGREE, c"disagree"),
        (GRACESHUT_E_CLOSED, c"closed"),
        (GRACESHUT_E_TOO_LATE, c"too_late"),
        (GRACESHUT_E_CYCLE, c"cycle"),
        (GRACESHUT_E_WRONG_THREAD, c"wrong_thread"),
        (GRACESHUT_E_NOT_INSTALLED, c"not_installed"),
        (GRACESHUT_E_ABI_MISMATCH, c"abi_mismatch"),
        (GRACESHUT_E_OS, c"os"),
        (GRACESHUT_E_TIMEOUT, c"timeout"),
        (GRACESHUT_E_UNSUPPORTED, c"unsupported"),
        (GRACESHUT_E_INTERNAL, c"internal"),
    ];
    NAMES.iter().find(|(n, _)| *n == code).map_or(c"unknown".as_ptr(), |(_, name)| name.as_ptr())
}

fn keep(message: &str) {
    let clean: Vec<u8> = message.bytes().filter(|b| *b != 0).collect();
    // Without the words the number still tells; a thread being torn down has no place for them.
    let _ = LAST.try_with(|l| *l.borrow_mut() = CString::new(clean).unwrap_or_default());
}

/// Runs an exported body: errors become numbers and words, a panic becomes `GRACESHUT_E_INTERNAL`.
pub(crate) fn guard(body: impl FnOnce() -> Result<(), Error>) -> i32 {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
        Ok(Ok(())) => GRACESHUT_OK,
        Ok(Err(e)) => {
            keep(e.message());
            e.kind().code()
        }
        Err(_) => {
            keep("a bug in graceshut was contained; please report it");
            GRACESHUT_E_INTERNAL
        }
    }
}

/// As [`guard`], for bodies whose answer is a value.
pub(crate) fn guard_or<T>(fallback: T, body: impl FnOnce() -> Result<T, Error>) -> T {
    let mut answer = fallback;
    let _ = guard(|| {
        answer = body()?;
        Ok(())
    });
    answer
}

pub(crate) fn null(what: &str) -> Error {
    Error::new(ErrorKind::Null, format!("{what} is null"))
}
