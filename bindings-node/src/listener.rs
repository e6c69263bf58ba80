//! What the kernel knows of a listening socket: Node has no call for it.

use std::time::{Duration, Instant};

use graceshut::State;
use napi_derive::napi;

use crate::error::{Result, living};

/// How long a signal that was caught may take to be acted upon: the engine's thread takes microseconds, and longer where the
/// machine has no processor for it.
const ENGINE_LIMIT: Duration = Duration::from_millis(500);

/// Connections that wait in the accept queue of the TCP listener `fd`; null for what is no TCP listener (a Unix socket, a
/// descriptor of a cluster worker that only stands for the primary's).
///
/// Closing a listener resets what waits there (ecosystems 3.2), so the adapter for servers asks first. Never blocks.
#[napi(catch_unwind)]
pub fn listen_queue(fd: i32) -> Result<Option<u32>> {
    // SAFETY: tcp_info is plain data, for which zeros are a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: `info` and `len` are valid and writable, and `len` is the size of `info`.
    let rc = unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut len) };
    // In the state of a listener `tcpi_unacked` is the length of the accept queue (tcp_get_info in the kernel).
    const TCP_LISTEN: u8 = 10;
    Ok((rc == 0 && info.tcpi_state == TCP_LISTEN).then_some(info.tcpi_unacked))
}

/// True once a shutdown has begun, also when its signal was caught and the engine's thread has yet to act: a listener of the
/// program's own for the same signal may run before it. Waits for the engine, and only then, at most 500 ms.
///
/// # Errors
/// `Closed`.
#[napi(catch_unwind)]
pub fn has_begun() -> Result<bool> {
    let runtime = living()?;
    let until = Instant::now() + ENGINE_LIMIT;
    while graceshut::signal::pending() && Instant::now() < until {
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(matches!(runtime.state(), State::Stopping(_) | State::Stopped))
}
