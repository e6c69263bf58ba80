//! The shutdown as a function of events and time (spec 2, 4 to 8).
//!
//! Nothing in here reads a clock, makes a thread or touches a file: [`Engine::handle`] takes an [`Event`] and the time,
//! and leaves [`Command`]s and [`Record`]s. The real process, the simulation and the property tests run this same code.
//!
//! Invariants, checked after every step by the simulation (`core/tests/simulation.rs`):
//! 1. Phases run strictly one after another, in the plan's order.
//! 2. No hook's hard deadline lies beyond its phase's end, and no phase's end beyond D.
//! 3. A phase has at least its reserve, scaled when D shrank, less how late the engine was called.
//! 4. Every hook ends exactly once, with exactly one outcome.
//! 5. After the trigger nothing is allocated here that was not set aside at registration (spec 8.7).

mod event;
mod hook;
mod leaving;
mod names;
mod outcome;
mod phase;
mod prestop;
mod record;
mod registry;
mod repeat;
mod reserve;
mod timer;
mod trigger;

use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

pub use event::{Command, Ending, Event, InFlightPoint};
pub use outcome::{Cut, ExitPlan, ExitRules, HookOutcome, Leaving, NotStarted, ShutdownOutcome, Skip};
pub use record::{Record, TriggerAction, What};
pub use registry::{HookId, HookSpec, Kind, Lane, Pause, Removal};
pub use trigger::{Reason, ReasonKind};

use crate::clock::At;
use crate::config::{AnnounceDelay, NormalGrace, Repeat};
use crate::plan::{Budget, Plan, Slot};
use registry::Hook;
use timer::Timers;

/// What the engine knows of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The validated plan.
    pub plan: Plan,
    /// Grace of a signal.
    pub grace: Duration,
    /// Grace of host end and `stop()`.
    pub grace_normal: NormalGrace,
    /// Part of a signal's grace that was used before it, outside graceshut (spec 5.2).
    pub already_spent: Duration,
    /// Announce delay.
    pub announce_delay: AnnounceDelay,
    /// True on a platform where `auto` means a delay.
    pub kubernetes: bool,
    /// What repeated signals do.
    pub repeat: Repeat,
    /// Exit status rules.
    pub exit: ExitRules,
    /// D may move when a hook asks for more time than there is.
    pub systemd_extend: bool,
}

/// Where a process is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Armed,
    Stopping,
    Finished,
}

/// The run of one shutdown; `None` until the trigger.
#[derive(Debug)]
struct Run {
    t0: At,
    /// B: what percentages are of, fixed when D first is; `None` while there is no D.
    b: Option<Duration>,
    margin: Duration,
    budget: Budget,
    /// The phase that runs, or the number of phases when all are over.
    phase: usize,
    /// False while a held install keeps the first phase back (spec 2.5).
    begun: bool,
    /// Start of the running phase, for its budget (a re-base restarts it).
    start: At,
    /// P of spec 4.6: what the running phase was given, less after D moved closer.
    given: Duration,
    /// When the running phase has to be over.
    end: At,
    /// Hooks of the running phase that were started and have not ended.
    running: usize,
    /// Hooks of the running phase that have not been started.
    waiting: usize,
    /// Only phases with a reserve still run.
    cut: bool,
    /// The plan was cut: the shutdown is forced.
    forced: bool,
    forced_by: Option<i32>,
    rebased: bool,
    /// A failure asks to jump to the next phase with a reserve.
    skip_to_reserved: bool,
    /// The shared word is 2.
    drained: bool,
    prestop: prestop::Prestop,
}

/// The state machine of one shutdown.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    life: Life,
    held_until: Option<At>,
    serving: bool,
    hooks: Vec<Hook>,
    /// The hooks of each phase.
    rosters: Vec<names::Roster>,
    /// Hooks of the running phase that nothing keeps from starting, in the order they start.
    ready: BinaryHeap<i64>,
    host_closed: bool,
    run: Option<Run>,
    /// Set aside for the run's budget.
    slots: Vec<Slot>,
    triggers: trigger::Triggers,
    timers: Timers,
    commands: VecDeque<Command>,
    records: Vec<Record>,
    proposed_code: Option<i32>,
    degraded: bool,
    finish: Option<(ShutdownOutcome, ExitPlan)>,
    /// The process has begun to leave, or was made to (spec 6.6).
    left: bool,
}

impl Engine {
    /// An armed engine with an empty registry. While `held`, a trigger waits for [`Engine::ready`], at most 1 s.
    #[must_use]
    pub fn new(settings: Settings, held: bool) -> Engine {
        let phases = settings.plan.phases().len();
        Engine {
            settings,
            life: Life::Armed,
            held_until: held.then_some(At::NEVER),
            serving: false,
            hooks: Vec::new(),
            rosters: std::iter::repeat_with(names::Roster::default).take(phases).collect(),
            ready: BinaryHeap::new(),
            host_closed: false,
            run: None,
            slots: vec![Slot { cap: Duration::ZERO, reserve: Duration::ZERO }; phases],
            triggers: trigger::Triggers::default(),
            timers: Timers::new(),
            commands: VecDeque::with_capacity(64),
            records: Vec::with_capacity(Engine::records_for(phases, 0)),
            proposed_code: None,
            degraded: false,
            finish: None,
            left: false,
        }
    }

    /// The most records a run leaves: what a hook can, what a phase can, triggers, moves of D, and a few of their own.
    fn records_for(phases: usize, hooks: usize) -> usize {
        16 + 3 * trigger::KEPT + 2 * phases + 8 * hooks
    }

    /// Takes one event that happened, at the time `now`; never blocks.
    pub fn handle(&mut self, event: Event, now: At) {
        self.rebase_if_late(now);
        // What was due before comes first, except for a hook that says it has ended: it needs no cancelling any more.
        if !matches!(event, Event::Done(..)) {
            self.expire(now);
        }
        match event {
            Event::Trigger { reason, at, grace, host_code } => self.on_trigger(reason, at, grace, host_code, now),
            Event::Signal { signo, at, sender, self_sent, grace } => self.on_signal(signo, at, sender, self_sent, grace, now),
            Event::Taken(id) => self.on_taken(id),
            Event::Begun(id) => self.on_begun(id),
            Event::Done(id, ending, code) => self.on_done(id, ending, code, now),
            Event::HostClosed => self.on_host_closed(now),
            Event::Tick => {}
        }
        self.expire(now);
    }

    /// Ends a held install: a trigger that came meanwhile acts now (spec 2.5).
    pub fn ready(&mut self, now: At) {
        if self.held_until.take().is_some() {
            self.begin_if_due(now);
        }
    }

    /// When to call [`handle`](Engine::handle) with [`Event::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> At {
        self.timers.next()
    }

    /// The next command, oldest first.
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// True when commands wait.
    #[must_use]
    pub fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    /// Everything that happened, in order: report, status and live lines are folds over this.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The plan this engine runs.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.settings.plan
    }

    /// D, once there is a shutdown.
    #[must_use]
    pub fn deadline(&self) -> Option<At> {
        self.run.as_ref().map(|r| r.budget.deadline)
    }

    /// T0 and the margin, once there is a shutdown. A later trigger with a shorter grace makes the margin smaller too:
    /// to be read again with every [`Command::Deadline`].
    #[must_use]
    pub fn window(&self) -> Option<(At, Duration)> {
        self.run.as_ref().map(|r| (r.t0, r.margin))
    }

    /// True from the trigger on.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.life != Life::Armed
    }

    /// True before any trigger, and not held: the process may be sent work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.life == Life::Armed && self.held_until.is_none()
    }

    /// Outcome and exit, once every phase is over.
    #[must_use]
    pub fn finished(&self) -> Option<(ShutdownOutcome, ExitPlan)> {
        self.finish
    }

    /// The position of the phase that runs.
    #[must_use]
    pub fn current_phase(&self) -> Option<usize> {
        match (&self.run, self.life) {
            (Some(r), Life::Stopping) if r.begun && !r.prestop.waits() && r.phase < self.rosters.len() => Some(r.phase),
            _ => None,
        }
    }

    /// When the phase that runs has to be over.
    #[must_use]
    pub fn phase_end(&self) -> Option<At> {
        self.current_phase().and(self.run.as_ref()).map(|r| r.end)
    }

    /// The first reason, which every hook can read.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        let first = self.triggers.first?;
        match &self.records.get(first)?.what {
            What::Trigger { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// How many triggers there were; the event list keeps the ones that led to something and the first of the others.
    #[must_use]
    pub fn triggers_seen(&self) -> usize {
        self.triggers.seen
    }

    /// Tells that this process accepts connections (spec 4.2).
    pub fn set_serving(&mut self, serving: bool) {
        self.serving = serving;
    }

    /// Notes how much work was in flight at `point`; the driver answers [`Command::CountInFlight`] with this.
    pub fn note_in_flight(&mut self, point: InFlightPoint, count: u64, now: At) {
        self.record(now, What::InFlight { point, count });
    }

    /// Sum of the reserves a re-base would leave, for the watchdog (spec 5.10).
    #[must_use]
    pub fn rebase_allowance(&self) -> Duration {
        self.run.as_ref().map_or(Duration::ZERO, |r| r.budget.rebased(r.phase, At(0)) - At(0))
    }

    fn record(&mut self, at: At, what: What) {
        self.records.push(Record { at, what });
    }

    fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }
}
