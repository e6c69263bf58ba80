//! Work in flight: the shared page. Entering and leaving are inline functions of the header and make no call.

use std::ffi::c_char;

use graceshut::{Error, ErrorKind, InFlight};

use crate::error::{guard, guard_or, null};
use crate::text::optional;

/// The page of a group of work in flight (null or "": the default one), made when first asked for; lives as long as the
/// process. Its layout is in the header. Null on an error (BAD_VALUE: more than 64 groups, NOT_UTF8).
///
/// # Safety
/// `group` is null or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_inflight_page(group: *const c_char) -> *mut u8 {
    guard_or(std::ptr::null_mut(), || {
        // SAFETY: forwarded from the caller.
        let group = InFlight::group(unsafe { optional(group, "group") }?.unwrap_or(""))?;
        Ok(group.page().as_ptr().cast_mut())
    })
}

/// Wakes a drain that waits; called by `graceshut_leave` when the word says 2. Harmless at any time. Async-signal-safe.
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_inflight_wake() {
    graceshut::inflight::wake();
}

/// Units in flight in a group; `out` gets the number. Errors: NULL, NOT_UTF8, BAD_VALUE.
///
/// # Safety
/// `group` is null or NUL-terminated, `out` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_inflight_count(group: *const c_char, out: *mut u32) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: forwarded from the caller.
        let group = InFlight::group(unsafe { optional(group, "group") }?.unwrap_or(""))?;
        // SAFETY: writable by the caller's promise.
        unsafe { *out = group.count() };
        Ok(())
    })
}

/// Counts a part of work that was already accepted in; never refuses. Errors: NULL.
///
/// # Safety
/// `page` is null or came from `graceshut_inflight_page`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_inflight_page_check(page: *const u8) -> i32 {
    guard(|| {
        if page.is_null() {
            return Err(null("page"));
        }
        // SAFETY: a page begins with its magic, by the caller's promise.
        let magic = unsafe { page.cast::<u32>().read() };
        if magic == graceshut::inflight::MAGIC { Ok(()) } else { Err(Error::new(ErrorKind::BadValue, "this is no in-flight page")) }
    })
}
