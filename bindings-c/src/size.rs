//! Structs that callers fill in carry their size: the ABI's own check.

use graceshut::{Error, ErrorKind};

/// A struct of another size was compiled against another header: refused before anything else of it is read.
pub(crate) fn check_size(given: usize, ours: usize, what: &str, init: &str) -> Result<(), Error> {
    if given == ours {
        return Ok(());
    }
    let version = env!("CARGO_PKG_VERSION");
    let message = format!(
        "{what}.size is {given}, this library's is {ours}: begin with {init} and build against the header of version {version}"
    );
    Err(Error::new(ErrorKind::AbiMismatch, message))
}
