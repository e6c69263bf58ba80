//! Error numbers, the last error's words, and the guard around every exported body.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};

use graceshut::Error;

use crate::text::c_string;

/// Success.
pub const GRACESHUT_OK: c_int = 0;
/// A required pointer was null.
pub const GRACESHUT_E_NULL: c_int = 1;
/// A string is not valid UTF-8.
pub const GRACESHUT_E_NOT_UTF8: c_int = 2;
/// No phase of that name in the plan; the words name the nearest.
pub const GRACESHUT_E_UNKNOWN_PHASE: c_int = 3;
/// A time is negative, zero where it may not be, or too large.
pub const GRACESHUT_E_BAD_TIME: c_int = 4;
/// Another argument is out of its range.
pub const GRACESHUT_E_BAD_VALUE: c_int = 5;
/// The configuration (graceshut.toml, GRACESHUT_*, JSON) has an unknown key or a bad value; the words name both.
pub const GRACESHUT_E_BAD_CONFIG: c_int = 6;
/// The phases contradict each other: two of one name, a circle, a reserve above its cap.
pub const GRACESHUT_E_BAD_PLAN: c_int = 7;
/// The reserves do not fit into the grace; the words have the arithmetic.
pub const GRACESHUT_E_PLAN_DOES_NOT_FIT: c_int = 8;
/// A second install asked for other options than the first; the words name the difference.
pub const GRACESHUT_E_DISAGREE: c_int = 9;
/// The runtime was uninstalled, or belongs to the parent process (after fork): install again.
pub const GRACESHUT_E_CLOSED: c_int = 10;
/// The phase, or the whole shutdown, is already over.
pub const GRACESHUT_E_TOO_LATE: c_int = 11;
/// A hook's `after` closes a circle.
pub const GRACESHUT_E_CYCLE: c_int = 12;
/// Not allowed on this thread: it runs a hook.
pub const GRACESHUT_E_WRONG_THREAD: c_int = 13;
/// Nothing is installed.
pub const GRACESHUT_E_NOT_INSTALLED: c_int = 14;
/// Header and library differ (the size of a struct), or another copy of the core in this process has another ABI.
pub const GRACESHUT_E_ABI_MISMATCH: c_int = 15;
/// The operating system refused something; the words have its words.
pub const GRACESHUT_E_OS: c_int = 16;
/// A wait's limit passed first.
pub const GRACESHUT_E_TIMEOUT: c_int = 17;
/// This build does not have that.
pub const GRACESHUT_E_UNSUPPORTED: c_int = 18;
/// A bug in graceshut, contained. Please report it.
pub const GRACESHUT_E_INTERNAL: c_int = 99;

/// What a hook returns, or a completion is finished with, when the work stopped because it was cancelled.
pub const GRACESHUT_CANCELLED: c_int = -1;
/// For bindings, what a hook returns, or a completion is finished with, when a panic of its language ended it: `failed`, with
/// `panic` in the report, and the words of `graceshut_ctx_set_error`. (spec 6.1)
pub const GRACESHUT_PANICKED: c_int = -2;

thread_local! {
    static LAST: RefCell<CString> = RefCell::new(CString::default());
}

/// The words of the last graceshut call that failed on this thread, for people: they name the culprit and the next step.
/// Never null, "" before the first failure; a call that succeeds leaves them. Valid until the next graceshut call on this
/// thread. Never blocks. (spec 13)
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_last_error() -> *const c_char {
    // A thread that is being torn down has no words any more.
    LAST.try_with(|l| l.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// The name of an error number: 3 gives "unknown_phase", 0 "ok", a number this version does not know "unknown". The same
/// names in every language. Static; any thread.
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_error_name(code: c_int) -> *const c_char {
    const NAMES: &[(c_int, &CStr)] = &[
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
    // Without the words the number still tells; a thread being torn down has no place for them.
    let _ = LAST.try_with(|l| *l.borrow_mut() = c_string(message));
}

/// Runs an exported body: errors become numbers and words, a panic becomes `GRACESHUT_E_INTERNAL`.
pub(crate) fn guard(body: impl FnOnce() -> Result<(), Error>) -> c_int {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use graceshut::ErrorKind;

    fn words() -> String {
        // SAFETY: `graceshut_last_error` gives a NUL-terminated string of this thread.
        unsafe { CStr::from_ptr(graceshut_last_error()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn a_panic_becomes_a_number() {
        assert_eq!(guard(|| panic!("on purpose")), GRACESHUT_E_INTERNAL);
        assert!(words().contains("bug in graceshut"), "{}", words());
        assert_eq!(guard_or(7, || panic!("on purpose")), 7);
        assert_eq!(guard(|| Ok(())), GRACESHUT_OK);
    }

    #[test]
    fn words_lose_their_nul_and_nothing_else() {
        assert_eq!(guard(|| Err(Error::new(ErrorKind::Os, "a\0b"))), GRACESHUT_E_OS);
        assert_eq!(words(), "ab");
    }

    #[test]
    fn every_kind_of_the_core_has_its_number_and_name() {
        for kind in ErrorKind::ALL {
            // SAFETY: `graceshut_error_name` gives a static NUL-terminated string.
            let name = unsafe { CStr::from_ptr(graceshut_error_name(kind.code())) };
            assert_eq!(name.to_str().unwrap(), kind.name());
        }
    }
}
