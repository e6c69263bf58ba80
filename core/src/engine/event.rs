//! What goes into the engine and what comes out of it.

use std::time::Duration;

use super::outcome::{ExitPlan, ShutdownOutcome};
use super::registry::HookId;
use super::trigger::Reason;
use crate::clock::At;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A trigger other than a signal (spec 2.3).
    Trigger {
        /// Why.
        reason: Reason,
        /// When; may lie before the call.
        at: At,
        /// A grace of its own.
        grace: Option<Duration>,
        /// The exit status the host was about to leave with.
        host_code: Option<i32>,
    },
    /// A signal mapped to `stop`.
    Signal {
        /// Its number.
        signo: i32,
        /// When the handler saw it.
        at: At,
        /// Pid and uid of the sender, when the kernel tells.
        sender: Option<(i32, u32)>,
        /// This process sent it (spec 7.1: once stopping always a duplicate).
        self_sent: bool,
        /// A grace of its own, from the signal map.
        grace: Option<Duration>,
    },
    /// A worker has a hook of the host's lane, and is about to enter the host.
    Taken(HookId),
    /// The body of a hook really began to run.
    Begun(HookId),
    /// A hook ended; the code is what an exit call inside it proposed.
    Done(HookId, Ending, Option<i32>),
    /// The host can run nothing any more (spec 2.6: Node's exit event, a closed interpreter).
    HostClosed,
    /// Time passed.
    Tick,
}

/// How a hook's body ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Well.
    Ok,
    /// With an error value, an exception, a non-zero status.
    Failed {
        /// The error's own words.
        message: String,
        /// It was a panic.
        panic: bool,
    },
    /// With the host's cancellation error.
    Cancelled,
    /// It was stopped for real, and this is where it was.
    Stopped(String),
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Give the hook to its lane. Its timers are armed already.
    Start(HookId),
    /// Its soft deadline came: cancel its context in the host's idiom.
    Cancel(HookId),
    /// Its hard deadline came: nobody waits for it any more.
    Abandon(HookId),
    /// Its hard deadline came and it can be stopped for real.
    Kill(HookId),
    /// The shared word changes (spec 9.1).
    Word(u32),
    /// D moved: the watchdog follows.
    Deadline(At),
    /// Count the work in flight and answer with `note_in_flight`.
    CountInFlight(InFlightPoint),
    /// Ask the service manager for time until this point.
    ExtendTimeout(At),
    /// Announce and drain of a preStop are over: who asked for it may be answered (spec 7.4).
    Drained,
    /// Another stop signal came after the plan: a program that is waited for is waited for no longer (spec 6.6).
    Hurry,
    /// Every phase is over. `at_once`: leave without the host's finalisers.
    Finish {
        /// How it ended.
        outcome: ShutdownOutcome,
        /// How to leave.
        exit: ExitPlan,
        /// A third signal, or an interactive second one.
        at_once: bool,
    },
}

/// When work in flight is counted for the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InFlightPoint {
    /// The shared word just became 2.
    DrainStart,
    /// The `drain` phase is over.
    DrainEnd,
}
