//! Closing a listener without cutting anybody off (spec 9.4).
//!
//! A connection is made by the kernel and waits in the listener's queue until the server accepts it. Closing the listener
//! resets all that wait there, though their requests may have arrived, and balancers go on sending for a while. So a server
//! that drains
//!
//! 1. refuses in words (503, `Connection: close`) until nobody has come for [`QUIET`], at most [`PATIENCE`];
//! 2. turns newcomers away: a filter on the socket drops their first packet, which their kernel sends again after a second;
//! 3. goes on accepting until its queue has been empty for [`EMPTIED`];
//! 4. closes.
//!
//! Only the server knows who came and what is open, and only it can close. It says so to [`Linger::step`] every [`LOOK`] or
//! so, and is told when. What it costs: two system calls a listener and step; at the turn from 1 to 2 a look at who else has
//! the listener open.

mod kernel;

use std::os::fd::RawFd;
use std::time::Duration;

pub use kernel::{is_shared, on_port, queued, refuse, turn_away};

use crate::clock::At;

/// Nobody has come for this long: those who had this process in their list have gone.
pub const QUIET: Duration = Duration::from_millis(150);
/// At most this long is refused in words, and never more than a third of what the hook has.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// The queue has been empty for this long: handshakes that had begun are over.
pub const EMPTIED: Duration = Duration::from_millis(50);
/// At most this long is waited for an empty queue, and never more than half of what the hook had.
pub const EMPTY_LIMIT: Duration = Duration::from_secs(2);
/// How often to call [`Linger::step`].
pub const LOOK: Duration = Duration::from_millis(10);

/// What a server sees at a step.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Work came since the last step: a request on any connection, or a connection made for one. Probes go on to the end and do
    /// not count. Keeps the refusing going; once newcomers are turned away it no longer counts, since requests on connections
    /// that are kept say nothing about the queue.
    pub came: bool,
    /// A connection was accepted since the last step, or a request came that is the first one of its connection. Counts as `came`,
    /// and goes on counting after the turn. A server that cannot tell says false: then the kernel's queue alone decides.
    pub connected: bool,
    /// A connection is open whose client has not been answered: accepted and silent, or being refused.
    pub busy: bool,
    /// The listening sockets that are to be closed. Any that are something else are passed over.
    pub listeners: &'a [RawFd],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Refusing,
    /// Newcomers are turned away since this point, if they all could be.
    Emptying(At, bool),
    Over,
}

/// The way of a server's listeners from the start of `drain` to their closing.
#[derive(Debug)]
pub struct Linger {
    stage: Stage,
    last: At,
    patience: At,
    empty_limit: Duration,
    empty_since: At,
    all_holders_stop: bool,
    /// Listeners that are another process's too, and left alone. Known from the turn on.
    shared: Vec<RawFd>,
}

impl Linger {
    /// From `now` on, with what the hook has left; `None`: no limit.
    #[must_use]
    pub fn new(now: At, remaining: Option<Duration>) -> Linger {
        let left = remaining.unwrap_or(Duration::MAX);
        Linger {
            stage: Stage::Refusing,
            last: now,
            patience: now.plus(PATIENCE.min(left / 3)),
            empty_limit: EMPTY_LIMIT.min(left / 2),
            empty_since: At::NEVER,
            all_holders_stop: false,
            shared: Vec::new(),
        }
    }

    /// For a prefork server all of whose processes stop: a listener that others have open is treated like one's own.
    #[must_use]
    pub fn all_holders_stop(mut self) -> Linger {
        self.all_holders_stop = true;
        self
    }

    /// True when the listeners are to be closed now, and from then on. Never blocks.
    pub fn step(&mut self, now: At, seen: Seen<'_>) -> bool {
        if seen.came || seen.connected {
            self.last = now;
        }
        if self.stage == Stage::Refusing && self.has_refused_enough(now, seen) {
            self.turn(now, seen.listeners);
        }
        if let Stage::Emptying(since, turned) = self.stage
            && self.is_empty(now, since, turned, seen)
        {
            self.stage = Stage::Over;
        }
        self.stage == Stage::Over
    }

    fn has_refused_enough(&self, now: At, seen: Seen<'_>) -> bool {
        let quiet = now - self.last >= QUIET && !seen.busy && !seen.listeners.iter().any(|&fd| waits(fd));
        quiet || now >= self.patience
    }

    fn turn(&mut self, now: At, listeners: &[RawFd]) {
        if !self.all_holders_stop {
            // What waits in its queue is the other process's, and a filter would stay on it.
            self.shared = listeners.iter().copied().filter(|&fd| is_shared(fd)).collect();
        }
        let mut turned = true;
        for &fd in listeners.iter().filter(|fd| !self.shared.contains(fd)) {
            turned &= turn_away(fd);
        }
        self.stage = Stage::Emptying(now, turned);
    }

    fn is_empty(&mut self, now: At, since: At, turned: bool, seen: Seen<'_>) -> bool {
        let own = seen.listeners.iter().filter(|fd| !self.shared.contains(fd));
        let mut own = own.filter(|&&fd| queued(fd).is_some()).peekable();
        if own.peek().is_none() {
            return true; // none that the kernel tells of, or none of ours alone
        }
        let waiting = own.any(|&fd| waits(fd));
        if waiting || seen.connected || self.empty_since.is_never() {
            self.empty_since = now;
        }
        let emptied = now - self.empty_since >= EMPTIED;
        // Where newcomers cannot be turned away they may keep coming: then an empty queue, for the moment, has to do.
        let for_now = !turned && !waiting && now - since >= 2 * EMPTIED;
        emptied || for_now || now - since >= self.empty_limit
    }
}

fn waits(fd: RawFd) -> bool {
    queued(fd).is_some_and(|n| n > 0)
}
