//! Closing a server's listeners without cutting anybody off (spec 9.4).

use std::ffi::c_int;

use graceshut::clock::At;
use graceshut::listener::{self, Linger, Seen};

use crate::error::guard_or;
use crate::options::limit;
use crate::text::null;

/// Flag: every process that has the listeners open stops (a prefork server). Else a listener that another process has open is
/// left alone.
pub const GRACESHUT_ALL_HOLDERS_STOP: u32 = 1;

/// Seen: work came since the last step: a request on any connection, or a connection made for one. Probes do not count. Once
/// newcomers are turned away it no longer counts: requests on connections that are kept say nothing about the queue.
pub const GRACESHUT_CAME: u32 = 1;
/// Seen: a connection is open whose client has not been answered yet.
pub const GRACESHUT_BUSY: u32 = 2;
/// Seen: a connection was accepted since the last step, or a request came that is the first one of its connection. Counts as CAME,
/// and goes on counting after the turn. A server that cannot tell never says it: then the kernel's queue alone decides.
pub const GRACESHUT_CONNECTED: u32 = 4;

/// The way of a server's listeners from the start of `drain` to their closing. Any thread, one at a time.
pub struct graceshut_linger {
    linger: Linger,
}

/// Begins it, in a hook of `drain`: from here on the server refuses in words (503, `Connection: close`) and calls
/// `graceshut_linger_step` about every 10 ms. `remaining_us` is what the hook has left, as `graceshut_ctx_remaining_us` says
/// it; `GRACESHUT_FOREVER`: no limit. `flags`: `GRACESHUT_ALL_HOLDERS_STOP` or 0. Free it with `graceshut_linger_free`. Never blocks.
/// (spec 9.4)
///
/// Null on an error: BAD_TIME, BAD_VALUE (another flag).
#[unsafe(no_mangle)]
pub extern "C" fn graceshut_linger_new(remaining_us: i64, flags: u32) -> *mut graceshut_linger {
    guard_or(std::ptr::null_mut(), || {
        let linger = Linger::new(At::now(), limit(remaining_us, "remaining_us")?);
        let linger = match flags {
            0 => linger,
            GRACESHUT_ALL_HOLDERS_STOP => linger.all_holders_stop(),
            other => {
                let words = format!("flags {other:#x}: 0 or GRACESHUT_ALL_HOLDERS_STOP");
                return Err(graceshut::Error::new(graceshut::ErrorKind::BadValue, words));
            }
        };
        Ok(Box::into_raw(Box::new(graceshut_linger { linger })))
    })
}

/// 1 when the listeners are to be closed now (and for null), else 0: go on accepting and refusing, and call again.
/// `seen`: `GRACESHUT_CAME`, `_CONNECTED` and `_BUSY`, or-ed. `listeners`: their `count` descriptors; other sockets are
/// passed over, and 0 of them will do. When no client has come for 150 ms, or after a second, newcomers are turned away by a filter
/// on the sockets, and what waits in their queues is left to be accepted. Never blocks, but for a look into /proc once.
/// (spec 9.4)
///
/// # Safety
/// `linger` is null or live and in no other call; `listeners` points to `count` numbers, or is null and `count` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_linger_step(
    linger: *mut graceshut_linger,
    seen: u32,
    listeners: *const c_int,
    count: usize,
) -> c_int {
    guard_or(1, || {
        // SAFETY: null or live by the caller's promise.
        let linger = unsafe { linger.as_mut() }.ok_or_else(|| null("linger"))?;
        let listeners = match (listeners.is_null(), count) {
            (_, 0) => &[],
            (true, _) => return Err(null("listeners")),
            // SAFETY: not null, and that many by the caller's promise.
            (false, count) => unsafe { std::slice::from_raw_parts(listeners, count) },
        };
        let is = |flag| seen & flag != 0;
        let seen = Seen { came: is(GRACESHUT_CAME), connected: is(GRACESHUT_CONNECTED), busy: is(GRACESHUT_BUSY), listeners };
        Ok(c_int::from(linger.linger.step(At::now(), seen)))
    })
}

/// Writes up to `room` descriptors of this process's TCP listeners on `port` to `listeners`, for hosts that do not tell them, and
/// gives how many there are. Reads /proc/self/fd. Never blocks.
/// (spec 9.4)
///
/// # Safety
/// `listeners` has room for `room` numbers, or is null and `room` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_listeners(port: u16, listeners: *mut c_int, room: usize) -> usize {
    guard_or(0, || {
        let room = match (listeners.is_null(), room) {
            (_, 0) => &mut [],
            (true, _) => return Err(null("listeners")),
            // SAFETY: not null, and there is room for that many by the caller's promise.
            (false, room) => unsafe { std::slice::from_raw_parts_mut(listeners, room) },
        };
        let found = listener::on_port(port);
        room.iter_mut().zip(&found).for_each(|(to, fd)| *to = *fd);
        Ok(found.len())
    })
}

/// Frees it. Null is fine. Never blocks.
///
/// # Safety
/// `linger` came from `graceshut_linger_new` and was not freed before; no other thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graceshut_linger_free(linger: *mut graceshut_linger) {
    if !linger.is_null() {
        // SAFETY: made by `graceshut_linger_new`, by the caller's promise.
        drop(unsafe { Box::from_raw(linger) });
    }
}
