//! The one clock: CLOCK_MONOTONIC, as a point [`At`].
//!
//! The planner and the engine take points and never read the clock themselves; only `runtime` does.

use std::fmt;
use std::ops::Sub;
use std::time::Duration;

/// A point in CLOCK_MONOTONIC, in nanoseconds. Arithmetic saturates, so that a hostile duration cannot wrap a deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct At(pub u64);

impl At {
    /// The point that never comes: "no deadline".
    pub const NEVER: At = At(u64::MAX);

    /// Reads the clock. Async-signal-safe.
    #[must_use]
    pub fn now() -> At {
        let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `ts` is a valid, writable timespec; clock_gettime has no other precondition.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
        At((ts.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(ts.tv_nsec as u64))
    }

    /// This point and `d` more; stays [`At::NEVER`] when it is that already or would overflow.
    #[must_use]
    pub fn plus(self, d: Duration) -> At {
        At(self.0.saturating_add(nanos(d)))
    }

    /// This point less `d`, not before the clock's zero; [`At::NEVER`] stays what it is.
    #[must_use]
    pub fn minus(self, d: Duration) -> At {
        if self == At::NEVER { self } else { At(self.0.saturating_sub(nanos(d))) }
    }

    /// Time from `earlier` to here, zero if that lies later.
    #[must_use]
    pub fn since(self, earlier: At) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// True for [`At::NEVER`].
    #[must_use]
    pub fn is_never(self) -> bool {
        self == At::NEVER
    }

    /// The same point as the kernel wants it.
    #[must_use]
    pub fn timespec(self) -> libc::timespec {
        libc::timespec { tv_sec: (self.0 / 1_000_000_000) as libc::time_t, tv_nsec: (self.0 % 1_000_000_000) as libc::c_long }
    }
}

impl Sub for At {
    type Output = Duration;
    fn sub(self, earlier: At) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() { f.write_str("never") } else { write!(f, "{:?}", Duration::from_nanos(self.0)) }
    }
}

/// Nanoseconds of `d`, at most `u64::MAX` (584 years).
#[must_use]
pub fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// Microseconds of `d`, the unit of everything on the wire.
#[must_use]
pub fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
