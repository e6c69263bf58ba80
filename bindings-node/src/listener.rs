//! What a server's adapter asks before it closes its listener.

use std::time::{Duration, Instant};

use graceshut::State;
use graceshut::clock::At;
use graceshut::listener::{self, Seen};
use napi_derive::napi;

use crate::error::{Result, living};

/// How long a signal that was caught may take to be acted upon: the engine's thread takes microseconds, and longer where the
/// machine has no processor for it.
const ENGINE_LIMIT: Duration = Duration::from_millis(500);

/// The way of a server's listener from the start of `drain` to its closing (spec 9.4).
#[napi]
pub struct Linger {
    inner: listener::Linger,
}

#[napi]
impl Linger {
    /// `remaining`: milliseconds that the hook has left; null: no limit.
    #[napi(constructor)]
    #[must_use]
    pub fn new(remaining: Option<f64>) -> Linger {
        let remaining = remaining.map(|ms| Duration::from_millis(ms.max(0.0) as u64));
        Linger { inner: listener::Linger::new(At::now(), remaining) }
    }

    /// True when the listener is to be closed now. `fd`: its descriptor; -1 where there is none (a Unix socket, a cluster
    /// worker's, which only stands for the primary's). `came`: work came since the last step; `connected`: a connection was made
    /// since. Never blocks, but for a look into /proc once.
    #[napi(catch_unwind)]
    pub fn step(&mut self, came: bool, busy: bool, fd: i32, connected: Option<bool>) -> bool {
        let connected = connected.unwrap_or(false);
        self.inner.step(At::now(), Seen { came, connected, busy, listeners: &[fd] })
    }
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
