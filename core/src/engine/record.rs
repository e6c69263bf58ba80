//! The event list: what happened, in order. Everything said about a shutdown is a view of it.

use std::time::Duration;

use super::event::InFlightPoint;
use super::outcome::{ExitPlan, HookOutcome, Leaving, ShutdownOutcome};
use super::registry::HookId;
use super::trigger::Reason;
use crate::clock::At;

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// When.
    pub at: At,
    /// What.
    pub what: What,
}

/// What a trigger led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriggerAction {
    /// It started the shutdown.
    Started,
    /// A later trigger; it may have shortened D.
    Recorded,
    /// A duplicate of one already accepted (spec 7.1).
    Duplicate,
    /// The second signal: the plan is cut to its reserves.
    Expedited,
    /// Leave at once.
    Left,
    /// Ignored by the `orchestrated` preset.
    Ignored,
}

impl TriggerAction {
    /// The word of the report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            TriggerAction::Started => "started",
            TriggerAction::Recorded => "recorded",
            TriggerAction::Duplicate => "duplicate",
            TriggerAction::Expedited => "expedited",
            TriggerAction::Left => "left",
            TriggerAction::Ignored => "ignored",
        }
    }
}

/// The kinds of things that happen.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// A trigger arrived; `at` of the record is when it happened.
    Trigger {
        /// Why.
        reason: Reason,
        /// What it led to.
        action: TriggerAction,
    },
    /// The budget was fixed.
    Budgeted {
        /// Grace of the trigger; `None`: no deadline.
        grace: Option<Duration>,
        /// Kept back for the report.
        margin: Duration,
        /// B; `None`: no deadline.
        budget: Option<Duration>,
    },
    /// D moved to this point.
    Deadline(At),
    /// The engine found itself this much late and re-based D (spec 5.10).
    Rebased(Duration),
    /// A phase began with this budget.
    PhaseStart(usize, Duration),
    /// A phase ended.
    PhaseEnd(usize),
    /// A phase was passed over.
    PhaseSkip(usize),
    /// A hook was given to its lane, with this budget.
    HookStart(HookId, Duration),
    /// A hook's context was cancelled.
    HookCancel(HookId),
    /// A hook got this much more time.
    HookExtend(HookId, Duration),
    /// A hook ended.
    HookEnd {
        /// Which.
        hook: HookId,
        /// How.
        outcome: HookOutcome,
        /// After its soft deadline.
        late: bool,
        /// It panicked.
        panic: bool,
        /// The error's own words.
        message: Option<String>,
    },
    /// A killed hook has stopped, and this is where it was.
    HookStopped(HookId, String),
    /// An abandoned hook ended after all.
    HookReturned(HookId),
    /// Work in flight.
    InFlight {
        /// When it was counted.
        point: InFlightPoint,
        /// How much.
        count: u64,
    },
    /// Announce and drain of a preStop are over; the plan waits for the signal, at most this long (spec 7.4).
    PrestopWait(Duration),
    /// A name in `after` that no hook of the phase has.
    UnknownAfter(HookId),
    /// The end.
    Finished {
        /// How.
        outcome: ShutdownOutcome,
        /// And the way out.
        exit: ExitPlan,
    },
    /// The process leaves after its plan (spec 6.6); outcome and way out are the ones that count then.
    Left {
        /// By whom.
        how: Leaving,
        /// Work in flight that this cuts off.
        in_flight: u64,
        /// How the shutdown ended after all.
        outcome: ShutdownOutcome,
        /// And the way out.
        exit: ExitPlan,
    },
}
