//! Keeps the object that holds our code mapped for ever (spec 10.4): a handler in an unloaded library is a crash
//! (embedding A10, C28).

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};

use super::objects;
use crate::error::{Error, ErrorKind};

static PINNED: AtomicBool = AtomicBool::new(false);

/// Pins the object this code is in; nothing to do for the main program. Once is enough, a fork child inherits it.
///
/// # Errors
/// `Os` when the loader does not find the object again.
pub fn pin() -> Result<(), Error> {
    if !PINNED.load(Ordering::Acquire) {
        pin_holder(pin as fn() -> Result<(), Error> as usize)?;
        PINNED.store(true, Ordering::Release);
    }
    Ok(())
}

/// Pins the object that `at` lies in.
///
/// # Errors
/// `Os` when the loader does not find the object again, `Internal` when no object holds `at`.
pub(super) fn pin_holder(at: usize) -> Result<(), Error> {
    enum Holder {
        Nobody,
        Main,
        Library(CString),
    }
    let mut holder = Holder::Nobody;
    objects::each(&mut |object| {
        if !object.holds(at, 1, 0) {
            return false;
        }
        holder = if object.is_main() { Holder::Main } else { Holder::Library(object.loader_name().to_owned()) };
        true
    });
    let name = match holder {
        Holder::Main => return Ok(()),
        Holder::Nobody => {
            return Err(Error::new(ErrorKind::Internal, format!("no loaded object holds address {at:#x}")));
        }
        Holder::Library(name) => name,
    };
    // SAFETY: NOLOAD loads nothing and runs no constructor; the name is NUL-terminated. The loader compares it with its
    // own names first, so a deleted file or another working directory does no harm.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
    if handle.is_null() {
        let name = name.to_string_lossy();
        return Err(Error::new(ErrorKind::Os, format!("cannot keep {name} loaded: the loader does not know it by that name")));
    }
    Ok(())
}
