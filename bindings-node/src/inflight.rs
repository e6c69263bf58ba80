//! The page of shared memory on which JavaScript counts by itself (spec 9.2).

use graceshut::{ErrorKind, InFlight};
use napi::Env;
use napi::bindgen_prelude::ArrayBuffer;
use napi_derive::napi;

use crate::bridge;
use crate::error::{Result, refuse, thrown};

/// The page of a group ("" is the default one), as memory JavaScript shares with the core. Asked for once per group: the
/// caller keeps it.
///
/// # Errors
/// `BadValue` for a group too many; `Unsupported` where the host forbids shared memory (Electron).
#[napi(catch_unwind)]
pub fn inflight_page(env: Env, group: String) -> Result<ArrayBuffer<'static>> {
    let page = InFlight::group(&group).map_err(|e| thrown(&e))?.page();
    let start = page.as_ptr().cast_mut();
    // SAFETY: pages live as long as the process (core/src/inflight.rs) and the library is pinned at install; every access
    // on either side is atomic; there is nothing to finalise.
    let shared = unsafe { ArrayBuffer::from_external(&env, start, graceshut::inflight::PAGE_BYTES, (), |_, ()| ()) }?;
    if shared.as_ptr() != page.as_ptr() {
        return refuse(ErrorKind::Unsupported, "this host copies memory instead of sharing it; counting needs Node itself");
    }
    Ok(shared)
}

/// The word in which worker thread `env` counts what it has in flight in `group`: when it ends, so much is given up.
///
/// # Errors
/// `Closed`; as [`inflight_page`].
#[napi(catch_unwind)]
pub fn inflight_ledger(env: Env, number: u32, group: String) -> Result<ArrayBuffer<'static>> {
    let Some(ledger) = bridge::ledger(number, &group) else {
        return refuse(ErrorKind::Closed, "this worker thread has not joined an install (any more)");
    };
    let word = ledger.as_ptr().cast::<u8>();
    // SAFETY: the word lives as long as `ledger`, which the finaliser drops; both sides access it atomically.
    let shared = unsafe { ArrayBuffer::from_external(&env, word, size_of::<u32>(), ledger, |_, ledger| drop(ledger)) }?;
    if shared.as_ptr() != word.cast_const() {
        return refuse(ErrorKind::Unsupported, "this host copies memory instead of sharing it; counting needs Node itself");
    }
    Ok(shared)
}

/// Wakes a drain that waits for work in flight.
#[napi(catch_unwind)]
pub fn inflight_wake() -> Result<()> {
    graceshut::inflight::wake();
    Ok(())
}
