//! How hooks and shutdowns end, and the exit status that follows (spec 6).

use super::trigger::ReasonKind;
use crate::config::Exit;

/// The one outcome of a hook (spec 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HookOutcome {
    /// Ended well (perhaps late: after its soft deadline).
    Ok,
    /// Ended with an error.
    Failed,
    /// Ended with the host's cancellation error.
    Cancelled,
    /// Its hard deadline passed and it still runs.
    Abandoned,
    /// Its hard deadline passed and it was stopped for real.
    Killed,
    /// Never started, on purpose.
    Skipped(Skip),
    /// Its time passed before the host could run it.
    NotStarted(NotStarted),
}

/// Why a hook was skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Skip {
    /// Its phase's time was over before its turn came.
    PhaseOver,
    /// The plan was cut by a repeated signal or a re-base, and its phase has no reserve.
    Expedited,
    /// D was reached.
    Deadline,
    /// A failure in an earlier phase with `on_failure = "skip_to_reserved"`.
    Failure,
    /// The host had already ended; degraded after a signal only.
    HostClosed,
}

/// Why a hook could not be started in its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotStarted {
    /// The host did not pick it up (GIL held, loop blocked).
    HostBusy,
    /// No worker thread was free and none could be made.
    NoWorker,
    /// Its code was not compiled yet.
    NotCompiled,
}

impl HookOutcome {
    /// The word of the report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            HookOutcome::Ok => "ok",
            HookOutcome::Failed => "failed",
            HookOutcome::Cancelled => "cancelled",
            HookOutcome::Abandoned => "abandoned",
            HookOutcome::Killed => "killed",
            HookOutcome::Skipped(_) => "skipped",
            HookOutcome::NotStarted(_) => "not_started",
        }
    }

    /// Why, for the outcomes that have a why.
    #[must_use]
    pub fn why(self) -> Option<&'static str> {
        Some(match self {
            HookOutcome::Skipped(Skip::PhaseOver) => "phase_over",
            HookOutcome::Skipped(Skip::Expedited) => "expedited",
            HookOutcome::Skipped(Skip::Deadline) => "deadline",
            HookOutcome::Skipped(Skip::Failure) => "failure",
            HookOutcome::Skipped(Skip::HostClosed) => "host_closed",
            HookOutcome::NotStarted(NotStarted::HostBusy) => "host_busy",
            HookOutcome::NotStarted(NotStarted::NoWorker) => "no_worker",
            HookOutcome::NotStarted(NotStarted::NotCompiled) => "not_compiled",
            _ => return None,
        })
    }

    /// True when its work was cut off, or never begun, by the clock: at D that makes the shutdown forced.
    #[must_use]
    pub(super) fn is_undone(self) -> bool {
        use HookOutcome::{Abandoned, Killed, NotStarted, Skipped};
        matches!(self, Abandoned | Killed | NotStarted(_) | Skipped(Skip::Deadline))
    }

    /// True when a required hook with this outcome degrades the shutdown, whatever began it. After a signal one that the host's
    /// end kept from running does as well.
    #[must_use]
    pub fn degrades(self) -> bool {
        !matches!(self, HookOutcome::Ok | HookOutcome::Skipped(Skip::HostClosed))
    }
}

/// How a shutdown ended (spec 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShutdownOutcome {
    /// Every required hook ended ok.
    Clean,
    /// A required hook did not.
    Degraded,
    /// The plan itself was cut.
    Forced,
}

impl ShutdownOutcome {
    /// The word of the report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            ShutdownOutcome::Clean => "clean",
            ShutdownOutcome::Degraded => "degraded",
            ShutdownOutcome::Forced => "forced",
        }
    }
}

/// Who leaves first when the plan is over (spec 6.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// Graceshut calls the host's exit at once, or a thread in `wait` leaves.
    AtOnce,
    /// The program, which handles the signal itself.
    ByItself,
    /// It might have, had not left at D or when a signal left at once, and was made to.
    MadeTo,
}

impl Leaving {
    /// The word of the report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Leaving::AtOnce => "at_once",
            Leaving::ByItself => "by_itself",
            Leaving::MadeTo => "made_to",
        }
    }
}

/// What the leaving of the process cuts off (spec 6.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cut {
    /// The program's own stop, which it was known to be in.
    pub own_stop: bool,
    /// Work in flight.
    pub in_flight: u64,
}

impl Cut {
    /// True when there was something to cut.
    #[must_use]
    pub fn is_some(self) -> bool {
        self.own_stop || self.in_flight > 0
    }
}

/// How the process leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitPlan {
    /// The exit status, also when death by signal is impossible (pid 1, the watchdog).
    pub code: i32,
    /// Die by this signal as the last act.
    pub die_by: Option<i32>,
}

/// Configuration of the exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExitRules {
    /// Host, re-raise or manual.
    pub exit: Exit,
    /// Replaces the status of a clean shutdown by a signal.
    pub clean: Option<i32>,
    /// Replaces 1.
    pub degraded: Option<i32>,
    /// Replaces 128 + n and 70.
    pub forced: Option<i32>,
}

/// Spec 6.4. `host_code`: what the host was leaving with, or what an exit call inside a hook proposed. `dealt_with`: the program
/// handles the signal, and its own end with 0 stays.
#[must_use]
pub(super) fn exit_plan(
    rules: ExitRules,
    outcome: ShutdownOutcome,
    kind: ReasonKind,
    started_by: Option<i32>,
    forced_by: Option<i32>,
    host_code: Option<i32>,
    dealt_with: bool,
) -> ExitPlan {
    let plain = |code| ExitPlan { code, die_by: None };
    if kind == ReasonKind::Uncaught {
        return plain(host_code.unwrap_or(1));
    }
    match outcome {
        ShutdownOutcome::Forced => {
            plain(rules.forced.unwrap_or_else(|| forced_by.or(started_by).map_or(70, |signo| 128 + signo)))
        }
        ShutdownOutcome::Degraded => match host_code.unwrap_or(0) {
            0 => plain(rules.degraded.unwrap_or(1)),
            code => plain(code),
        },
        ShutdownOutcome::Clean => match (started_by, host_code) {
            (Some(_), Some(code)) if code != 0 => plain(code),
            (Some(signo), _) if rules.exit == Exit::Reraise => ExitPlan { code: 128 + signo, die_by: Some(signo) },
            (Some(libc::SIGINT), _) if rules.clean.is_none() && !dealt_with => {
                ExitPlan { code: 130, die_by: Some(libc::SIGINT) }
            }
            (Some(_), _) => plain(rules.clean.unwrap_or(0)),
            (None, code) => plain(code.unwrap_or(0)),
        },
    }
}
