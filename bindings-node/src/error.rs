//! Errors on their way to `lib/error.js`: `kind: message` in the reason, taken apart there.

use graceshut::{Error, ErrorKind};
use napi::Status;

/// What exported functions return.
/// (The name matters: napi-derive throws the error of what is called `Result`, and hands anything else over as a value.)
pub(crate) type Result<T> = napi::Result<T>;

/// An error of graceshut as JavaScript gets it.
pub(crate) fn thrown(error: &Error) -> napi::Error {
    napi::Error::new(Status::GenericFailure, format!("{}: {}", error.kind().name(), error.message()))
}

/// An error found in this crate.
pub(crate) fn refuse<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T> {
    Err(thrown(&Error::new(kind, message)))
}

/// The living runtime, or the error every call after `uninstall` gets.
pub(crate) fn living() -> Result<graceshut::Runtime> {
    match graceshut::current() {
        Some(runtime) => Ok(runtime),
        None => refuse(ErrorKind::Closed, "graceshut is not installed (any more); call install first"),
    }
}
