//! Strings across the boundary, and the versions.

use std::ffi::{CStr, CString, c_char};

use graceshut::{Error, ErrorKind};

/// Reads a required string.
///
/// # Safety
/// `p` is null or points to a NUL-terminated string that outlives the call.
pub(crate) unsafe fn required<'a>(p: *const c_char, what: &str) -> Result<&'a str, Error> {
    // SAFETY: forwarded from the caller.
    unsafe { optional(p, what) }?.ok_or_else(|| null(what))
}

/// Reads a string that may be null.
///
/// # Safety
/// As [`required`].
pub(crate) unsafe fn optional<'a>(p: *const c_char, what: &str) -> Result<Option<&'a str>, Error> {
    if p.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and NUL-terminated by the caller's promise.
    let text = unsafe { CStr::from_ptr(p) };
    text.to_str()
        .map(Some)
        .map_err(|_| Error::new(ErrorKind::NotUtf8, format!("{what} \"{}\" is not valid UTF-8", text.to_string_lossy())))
}

pub(crate) fn null(what: &str) -> Error {
    Error::new(ErrorKind::Null, format!("{what} is null"))
}

/// A C string of these words; a NUL inside would end it early and is left out.
pub(crate) fn c_string(text: impl Into<Vec<u8>>) -> CString {
    let mut bytes: Vec<u8> = text.into();
    bytes.retain(|b| *b != 0);
    CString::new(bytes).unwrap_or_default()
}

/// Gives a string away; the caller frees it with `graceshut_string_free`.
pub(crate) fn give(text: String) -> *mut c_char {
    c_string(text).into_raw()
}

/// Frees a string that a graceshut function gave away (those whose text says so). Null is fine. Any thread; never blocks.
///
/// # Safety
/// `text` came from such a function and was not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: made by `give` with `CString::into_raw`, by the caller's promise.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// The library's version for people, as `GRACESHUT_VERSION` of its header. Static; any thread.
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The ABI's number, `GRACESHUT_ABI_VERSION` of the library's header. A binding that loads the library at run time refuses
/// another one than its own. Any thread. (spec 3.1)
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_abi_version() -> u32 {
    GRACESHUT_ABI_VERSION
}

/// The ABI this header describes; grows with each incompatible change, and the soname with it.
pub const GRACESHUT_ABI_VERSION: u32 = 1;
