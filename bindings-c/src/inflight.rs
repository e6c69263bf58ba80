//! Work in flight: the shared page. Entering and leaving are inline functions of the header and make no call.

use std::ffi::{c_char, c_int};

use graceshut::InFlight;

use crate::error::{guard, guard_or};
use crate::text::{null, optional};

/// One group of work in flight: a page of counters with a documented layout, see the end of this header. Lives as long as
/// the process; any thread.
pub struct graceshut_page {
    _opaque: [u8; 0],
}

/// The page of the group `group` (null or "": the default one), made when first asked for. Works before
/// `graceshut_install`. Any thread; blocks no longer than an allocation. (spec 9)
///
/// Null on an error: BAD_VALUE (more than 64 groups), NOT_UTF8; `graceshut_last_error` has the words.
///
/// # Safety
/// `group` is null or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_inflight_page(group: *const c_char) -> *mut graceshut_page {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        let group = unsafe { optional(group, "group") }?.unwrap_or("");
        Ok(InFlight::group(group)?.page().as_ptr().cast_mut().cast())
    })
}

/// Wakes a `drain` that waits for work in flight. `graceshut_leave` calls it when the word says 2; harmless at any time. Any
/// thread, also in a signal handler; never blocks. (spec 9.2)
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_inflight_wake() {
    graceshut::inflight::wake();
}

/// Writes the units in flight in `group` (null or "": the default one) to `out`: never lower than the truth at some instant
/// during the call. Any thread; never blocks. (spec 9.1)
///
/// Errors: NULL, NOT_UTF8, BAD_VALUE (more than 64 groups).
///
/// # Safety
/// `group` is null or NUL-terminated; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_inflight_count(group: *const c_char, out: *mut u32) -> c_int {
    guard(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: forwarded from the caller.
        let group = unsafe { optional(group, "group") }?.unwrap_or("");
        let count = InFlight::group(group)?.count();
        // SAFETY: writable by the caller's promise.
        unsafe { *out = count };
        Ok(())
    })
}
