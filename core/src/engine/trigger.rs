//! What starts a shutdown, and what later triggers do to D (spec 2.2, 2.3, 2.5, 2.7, 4.2).

use std::time::Duration;

use super::event::Command;
use super::prestop::Prestop;
use super::record::{TriggerAction, What};
use super::repeat::Signals;
use super::timer::Timer;
use super::{Engine, Life, Run};
use crate::clock::At;
use crate::config::{AnnounceDelay, NormalGrace};
use crate::plan::{Budget, margin_of};

/// A held install keeps a trigger back no longer than this.
const HOLD_LIMIT: Duration = Duration::from_secs(1);
/// `announce_delay = "auto"` on Kubernetes.
const AUTO_DELAY: Duration = Duration::from_secs(5);
/// Triggers kept in full; more are counted. Set aside at install.
pub(super) const KEPT: usize = 32;

/// The kinds of triggers (spec 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReasonKind {
    /// A managed signal.
    Signal,
    /// `stop()`.
    Stop,
    /// The host ends normally.
    HostEnd,
    /// An uncaught error in the host.
    Uncaught,
    /// The preStop endpoint: announce and drain, then the signal.
    Prestop,
    /// The parent process is gone.
    ParentDeath,
    /// Stdin ended.
    StdinEof,
}

impl ReasonKind {
    /// The word of the report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            ReasonKind::Signal => "signal",
            ReasonKind::Stop => "stop",
            ReasonKind::HostEnd => "host_end",
            ReasonKind::Uncaught => "uncaught",
            ReasonKind::Prestop => "prestop",
            ReasonKind::ParentDeath => "parent_death",
            ReasonKind::StdinEof => "stdin_eof",
        }
    }
}

/// The typed record of a trigger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    /// Which kind.
    pub kind: ReasonKind,
    /// The signal's number, for a signal.
    pub signo: Option<i32>,
    /// Pid and uid of the sender, when the kernel tells (0 from another pid namespace). For people only, never decided by.
    pub sender: Option<(i32, u32)>,
    /// The words given to `stop()`, or the error's own.
    pub message: Option<String>,
}

impl Reason {
    /// A reason of `kind` with its message.
    #[must_use]
    pub fn new(kind: ReasonKind, message: Option<String>) -> Reason {
        Reason { kind, signo: None, sender: None, message }
    }

    /// A caught signal.
    #[must_use]
    pub fn signal(signo: i32, sender: Option<(i32, u32)>) -> Reason {
        Reason { kind: ReasonKind::Signal, signo: Some(signo), sender, message: None }
    }
}

/// What the engine keeps of the triggers.
#[derive(Debug, Default)]
pub(super) struct Triggers {
    /// Where the first one is in the event list.
    pub(super) first: Option<usize>,
    pub(super) seen: usize,
    /// Kept of those that led to nothing, and moves of D.
    idle: usize,
    moves: usize,
    pub(super) signals: Signals,
    /// The host's own status: of the first trigger, and of whichever had one first.
    pub(super) first_code: Option<i32>,
    pub(super) host_code: Option<i32>,
    /// It came when the way out was decided.
    pub(super) host_came_late: bool,
    /// The program has a handler of its own for the signal, and began to end with 0 before the plan was over.
    pub(super) dealt_with: bool,
    /// The program sent itself a stop signal while it was stopping.
    pub(super) reraised: bool,
}

impl Engine {
    pub(super) fn on_trigger(&mut self, reason: Reason, at: At, grace: Option<Duration>, host_code: Option<i32>, now: At) {
        if self.life == Life::Armed {
            self.triggers.first_code = host_code;
        }
        if self.triggers.host_code.is_none() {
            self.triggers.host_code = host_code;
            self.triggers.host_came_late = self.finish.is_some();
        }
        let grace = match (grace, self.settings.grace_normal) {
            // Something outside counts from here, and ends with a KILL.
            (None, _) if reason.kind == ReasonKind::Prestop => Some(self.settings.grace),
            (Some(g), _) | (None, NormalGrace::Limited(g)) => Some(g),
            (None, NormalGrace::SameAsGrace) => Some(self.settings.grace),
            (None, NormalGrace::Unlimited) => None,
        };
        if reason.kind == ReasonKind::Prestop && self.began_with_prestop() {
            return self.record_trigger(at, reason, TriggerAction::Duplicate);
        }
        self.accept(reason, at, grace, now);
    }

    /// The first trigger starts the shutdown; a later one may shorten D, never lengthen it.
    pub(super) fn accept(&mut self, reason: Reason, at: At, grace: Option<Duration>, now: At) {
        // `already_spent` counts against what waits outside, so only where something does (spec 5.2, 2.7); once: a signal
        // after our own preStop has nothing before it that the preStop did not count.
        let outside = matches!(reason.kind, ReasonKind::Signal | ReasonKind::Prestop) && !self.began_with_prestop();
        let spent = if outside { self.settings.already_spent } else { Duration::ZERO };
        let margin = margin_of(grace.unwrap_or(self.settings.grace));
        let budget = grace.map(|g| g.saturating_sub(spent).saturating_sub(margin));
        match self.life {
            Life::Armed => {
                self.begin(reason, at, (grace, margin, budget), now);
            }
            Life::Stopping => {
                let kind = reason.kind;
                self.record_trigger(at, reason, TriggerAction::Recorded);
                let ends = kind != ReasonKind::Prestop;
                if ends {
                    self.run_through_prestop();
                }
                if let Some(budget) = budget {
                    self.shorten(at, budget, margin, now);
                }
                if ends {
                    self.end_prestop(now);
                }
            }
            // The end of the host is its leaving by then, and told as that (spec 6.6).
            Life::Finished if matches!(reason.kind, ReasonKind::HostEnd | ReasonKind::Uncaught) => {}
            Life::Finished => self.record_trigger(at, reason, TriggerAction::Recorded),
        }
    }

    pub(super) fn record_trigger(&mut self, at: At, reason: Reason, action: TriggerAction) {
        self.triggers.seen += 1;
        let acts = matches!(action, TriggerAction::Started | TriggerAction::Expedited | TriggerAction::Left);
        if !acts || self.life == Life::Finished {
            self.triggers.idle += 1;
            if self.triggers.idle > KEPT {
                return;
            }
        }
        self.record(at, What::Trigger { reason, action });
    }

    fn begin(&mut self, reason: Reason, at: At, window: (Option<Duration>, Duration, Option<Duration>), now: At) {
        let (grace, margin, budget) = window;
        let kind = reason.kind;
        self.life = Life::Stopping;
        self.triggers.first = Some(self.records.len());
        self.record_trigger(at, reason, TriggerAction::Started);
        let deadline = budget.map_or(At::NEVER, |b| at.plus(b));
        self.record(now, What::Budgeted { grace, margin, budget });
        self.run = Some(Run {
            t0: at,
            b: budget,
            margin,
            budget: Budget { deadline, slots: std::mem::take(&mut self.slots) },
            phase: 0,
            begun: false,
            start: now,
            given: Duration::ZERO,
            end: deadline,
            running: 0,
            waiting: 0,
            cut: false,
            forced: false,
            forced_by: None,
            rebased: false,
            skip_to_reserved: false,
            drained: false,
            prestop: Prestop::of(kind),
        });
        self.fill_slots();
        self.command(Command::Word(1));
        self.command(Command::Deadline(deadline));
        if now >= deadline && now - at > self.late_limit() {
            // Heard of only now, with nothing left: the process was held up meanwhile (spec 5.10).
            return self.rebase(now - at, now);
        }
        self.hold();
        self.begin_if_due(now);
    }

    /// Until when a held install keeps the first phase back: 1 s at most, and neither a later phase's reserve nor more
    /// than a quarter of what there is.
    fn hold(&mut self) {
        let (Some(_), Some(run)) = (self.held_until, &self.run) else { return };
        let mut until = run.t0.plus(HOLD_LIMIT);
        if !run.budget.deadline.is_never() {
            let reserves = run.budget.slots.iter().fold(Duration::ZERO, |sum, s| sum.saturating_add(s.reserve));
            let quarter = run.t0.plus((run.budget.deadline - run.t0) / 4);
            until = until.min(quarter).min(run.budget.deadline.minus(reserves));
        }
        self.held_until = Some(until);
        self.make_room();
        self.timers.push(until, Timer::Hold);
    }

    /// Starts the first phase unless a held install still keeps it back.
    pub(super) fn begin_if_due(&mut self, now: At) {
        let held = self.held_until.is_some_and(|until| now < until);
        match &mut self.run {
            Some(run) if !run.begun && !held => run.begun = true,
            _ => return,
        }
        self.held_until = None;
        self.enter_phase(now);
    }

    /// Spec 2.2: D := min(D, Tk + what that trigger leaves). Where there was no D, percentages are resolved now and the
    /// running phase begins anew, as far as its share goes.
    fn shorten(&mut self, at: At, budget: Duration, margin: Duration, now: At) {
        let deadline = at.plus(budget);
        let Some(run) = &mut self.run else { return };
        if deadline >= run.budget.deadline {
            return;
        }
        run.margin = margin;
        let first = run.budget.deadline.is_never();
        self.move_deadline(deadline, now);
        if let Some(run) = &mut self.run
            && first
        {
            run.b = Some(budget);
            run.start = now;
            self.fill_slots();
            self.restart_phase(now);
        }
        self.follow_deadline(now);
        if self.run.as_ref().is_some_and(|r| !r.begun) {
            self.hold();
            self.begin_if_due(now);
        }
    }

    pub(super) fn move_deadline(&mut self, deadline: At, now: At) {
        if let Some(run) = &mut self.run {
            run.budget.deadline = deadline;
        }
        self.triggers.moves += 1;
        if self.triggers.moves <= KEPT {
            self.record(now, What::Deadline(deadline));
        }
        self.command(Command::Deadline(deadline));
    }

    /// How long readiness is red before work is refused (spec 4.2).
    #[must_use]
    pub fn announce_delay(&self) -> Duration {
        let Some(reason) = self.reason() else {
            return Duration::ZERO;
        };
        // A preStop is what a balancer's delay is waited out in; the signal after it finds that done.
        let automatic = reason.kind == ReasonKind::Prestop || reason.signo == Some(libc::SIGTERM);
        if !automatic && self.settings.announce_delay == AnnounceDelay::Auto
            || matches!(reason.kind, ReasonKind::HostEnd | ReasonKind::Uncaught)
            || reason.signo == Some(libc::SIGINT)
        {
            return Duration::ZERO;
        }
        match self.settings.announce_delay {
            AnnounceDelay::Fixed(d) => d,
            AnnounceDelay::Auto if self.serving && self.settings.kubernetes => AUTO_DELAY,
            AnnounceDelay::Auto => Duration::ZERO,
        }
    }
}
