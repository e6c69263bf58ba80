//! The registry: what was registered where, and whether it may still be (spec 8.1, 8.2, 4.4).

use std::time::Duration;

use super::outcome::HookOutcome;
use super::{Engine, Life};
use crate::clock::At;
use crate::error::{Error, ErrorKind};

/// A hook's position in the registry; never reused within one install.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HookId(pub u32);

impl HookId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Who runs a hook's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// graceshut's own workers: needs no host.
    Native,
    /// Workers or loops that have to enter the host first.
    Host,
    /// The engine's driver itself: a pause, the wait for work in flight.
    Engine,
}

/// What the engine has to know of a kind of hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// The word of the report: `function`, `exec`, `http`, ...
    pub label: &'static str,
    /// Who runs it.
    pub lane: Lane,
    /// It can be stopped for real at its hard deadline.
    pub killable: bool,
    /// A worker that takes it may have to wait for its code before it begins: it says itself when that is.
    pub prepares: bool,
    /// A pause: ends ok after this long, or when its time is cut. `None` on a `delay` kind: the announce delay.
    pub pause: Option<Pause>,
}

/// How long a pause is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// This long.
    Fixed(Duration),
    /// As `announce_delay` says (spec 4.2).
    Announce,
}

impl Kind {
    /// A function of the process itself that needs no host.
    pub const NATIVE: Kind = Kind { label: "function", lane: Lane::Native, killable: false, prepares: false, pause: None };
    /// A function that runs inside the host.
    pub const HOST: Kind = Kind { label: "function", lane: Lane::Host, killable: false, prepares: false, pause: None };
    /// A command.
    pub const EXEC: Kind = Kind { label: "exec", lane: Lane::Native, killable: true, prepares: false, pause: None };
    /// A program started elsewhere that a hook stops.
    pub const PROCESS: Kind = Kind { label: "process", lane: Lane::Native, killable: true, prepares: false, pause: None };
    /// One HTTP request.
    pub const HTTP: Kind = Kind { label: "http", lane: Lane::Native, killable: false, prepares: false, pause: None };
    /// WebAssembly, compiled in the background and stopped for real.
    pub const WASM: Kind = Kind { label: "wasm", lane: Lane::Native, killable: true, prepares: true, pause: None };
    /// A signal to another process.
    pub const SIGNAL: Kind = Kind { label: "signal", lane: Lane::Native, killable: false, prepares: false, pause: None };
    /// The wait for work in flight.
    pub const INFLIGHT: Kind = Kind { label: "inflight", lane: Lane::Engine, killable: false, prepares: false, pause: None };
    /// The announce delay.
    pub const ANNOUNCE: Kind =
        Kind { label: "delay", lane: Lane::Engine, killable: false, prepares: false, pause: Some(Pause::Announce) };

    /// A pause of `d`.
    #[must_use]
    pub const fn delay(d: Duration) -> Kind {
        Kind { label: "delay", lane: Lane::Engine, killable: false, prepares: false, pause: Some(Pause::Fixed(d)) }
    }
}

/// What a registration says.
#[derive(Clone, PartialEq, Debug)]
pub struct HookSpec {
    /// Position of its phase in the plan.
    pub phase: usize,
    /// Its name; need not be unique.
    pub name: String,
    /// Its own limit.
    pub timeout: Option<Duration>,
    /// Names in the same phase it waits for.
    pub after: Vec<String>,
    /// Its outcome does not count.
    pub optional: bool,
    /// What it is.
    pub kind: Kind,
}

/// The answer to `remove`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// It will not run.
    Removed,
    /// Too late: it is running.
    Running,
    /// It has ended, or was removed before.
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Registered,
    Removed,
    /// Its phase runs; it waits for its turn.
    Waiting,
    /// Given to its lane.
    Given,
    /// Its body runs.
    Begun,
    Ended,
}

#[derive(Debug)]
pub(super) struct Hook {
    pub(super) spec: HookSpec,
    pub(super) step: Step,
    pub(super) start: At,
    pub(super) soft: At,
    pub(super) hard: At,
    pub(super) cancelled: bool,
    /// A worker has it: what it waits for is the host.
    pub(super) taken: bool,
    /// Abandoned, and its body has not returned yet.
    pub(super) still_running: bool,
    /// A worker took it and waits for its code.
    pub(super) preparing: bool,
    /// Killed, and it has not said yet where it was.
    pub(super) dying: bool,
    /// Its own name and the names it waits for, in the roster of its phase.
    pub(super) name: u32,
    pub(super) awaits: Box<[u32]>,
    /// How many of those names still have a hook that has not ended.
    pub(super) blockers: u32,
    /// It stands in the engine's queue of ready hooks.
    pub(super) queued: bool,
    pub(super) extends: u8,
    pub(super) outcome: Option<HookOutcome>,
}

impl Hook {
    fn new(spec: HookSpec, name: u32, awaits: Box<[u32]>) -> Hook {
        Hook {
            spec,
            name,
            awaits,
            queued: false,
            step: Step::Registered,
            start: At(0),
            soft: At::NEVER,
            hard: At::NEVER,
            cancelled: false,
            taken: false,
            still_running: false,
            preparing: false,
            dying: false,
            blockers: 0,
            extends: 0,
            outcome: None,
        }
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.step, Step::Given | Step::Begun)
    }

    /// It takes part in the phase that runs and has not ended.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.step, Step::Waiting | Step::Given | Step::Begun)
    }

    pub(super) fn is_live(&self) -> bool {
        self.step != Step::Removed
    }
}

impl Engine {
    /// Registers a hook (spec 8.1, 8.2) and sets aside what its run will need.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownPhase`] for a phase the plan does not have, [`ErrorKind::TooLate`] for one that is over,
    /// [`ErrorKind::Cycle`] for an `after` that closes a circle.
    pub fn register(&mut self, spec: HookSpec, now: At) -> Result<HookId, Error> {
        let Some(phase) = self.settings.plan.phases().get(spec.phase) else {
            let message = format!("hook \"{}\": the plan has no phase number {}", spec.name, spec.phase);
            return Err(Error::new(ErrorKind::UnknownPhase, message));
        };
        if self.is_over(spec.phase) {
            let message = format!(
                "hook \"{}\": phase \"{}\" is already over; register it in a later phase, or before the shutdown",
                spec.name, phase.name
            );
            return Err(Error::new(ErrorKind::TooLate, message));
        }
        if let Some(name) = self.closes_circle(&spec) {
            let message = format!("hook \"{}\" cannot run after \"{name}\": that closes a circle", spec.name);
            return Err(Error::new(ErrorKind::Cycle, message));
        }
        let id = HookId(u32::try_from(self.hooks.len()).map_err(|_| Error::new(ErrorKind::BadValue, "too many hooks"))?);
        let phase = spec.phase;
        let (name, awaits) = self.rosters[phase].enter(id, &spec);
        self.hooks.push(Hook::new(spec, name, awaits));
        self.set_aside();
        if self.current_phase() == Some(phase) {
            self.join_running_phase(id, now);
        } else {
            self.claim_reserve(phase, now);
        }
        Ok(id)
    }

    /// True when no hook of phase `i` can run any more: it is over, it was cut off, or a failure is making it end.
    fn is_over(&self, i: usize) -> bool {
        match (self.life, &self.run) {
            (Life::Finished, _) => true,
            (Life::Stopping, Some(run)) => {
                i < run.phase || (run.cut && !self.has_reserve(i)) || (self.current_phase() == Some(i) && self.jumps())
            }
            _ => false,
        }
    }

    fn set_aside(&mut self) {
        let hooks = self.hooks.len();
        self.timers.reserve_for_hooks(hooks);
        let records = Engine::records_for(self.rosters.len(), hooks);
        let (len, capacity) = (self.records.len(), self.records.capacity());
        if capacity < records {
            self.records.reserve(records.max(2 * capacity) - len);
        }
        let (commands, capacity) = (64 + 4 * hooks, self.commands.capacity());
        if capacity < commands {
            self.commands.reserve(commands.max(2 * capacity) - self.commands.len());
        }
        let capacity = self.ready.capacity();
        if capacity < hooks {
            self.ready.reserve(hooks.max(2 * capacity) - self.ready.len());
        }
    }

    /// Takes a hook out (spec 8.1).
    pub fn remove(&mut self, id: HookId, now: At) -> Removal {
        let Some(hook) = self.hooks.get_mut(id.index()) else {
            return Removal::Done;
        };
        let (phase, name, step) = (hook.spec.phase, hook.name, hook.step);
        match step {
            Step::Registered | Step::Waiting => hook.step = Step::Removed,
            Step::Given | Step::Begun => return Removal::Running,
            Step::Removed | Step::Ended => return Removal::Done,
        }
        self.rosters[phase].strike(name);
        if step == Step::Waiting {
            if let Some(run) = &mut self.run {
                run.waiting -= 1;
            }
            self.count_off(id);
            self.go_on(now);
        } else {
            self.refresh_reserve(phase);
        }
        Removal::Removed
    }

    /// What was registered, for reports.
    #[must_use]
    pub fn hook_spec(&self, id: HookId) -> Option<&HookSpec> {
        self.hooks.get(id.index()).filter(|h| h.is_live()).map(|h| &h.spec)
    }

    /// Every hook that was not removed, in registration order.
    pub fn hook_ids(&self) -> impl Iterator<Item = HookId> + '_ {
        (0u32..).zip(&self.hooks).filter(|(_, h)| h.is_live()).map(|(i, _)| HookId(i))
    }

    /// How many hooks phase `i` has.
    #[must_use]
    pub fn hooks_in(&self, i: usize) -> usize {
        self.rosters.get(i).map_or(0, |r| r.live)
    }

    /// True from the moment the body of a running hook began.
    #[must_use]
    pub fn has_begun(&self, id: HookId) -> bool {
        self.hooks.get(id.index()).is_some_and(|h| h.step == Step::Begun)
    }

    /// A running hook's hard deadline; `None` when it does not run.
    #[must_use]
    pub fn hard_deadline(&self, id: HookId) -> Option<At> {
        self.hooks.get(id.index()).filter(|h| h.runs()).map(|h| h.hard)
    }

    /// A running hook's soft deadline: when its context is, or was, cancelled; [`At::NEVER`] for a pause.
    #[must_use]
    pub fn soft_deadline(&self, id: HookId) -> Option<At> {
        self.hooks.get(id.index()).filter(|h| h.runs()).map(|h| h.soft)
    }

    /// How a hook ended, if it did.
    #[must_use]
    pub fn outcome_of(&self, id: HookId) -> Option<HookOutcome> {
        self.hooks.get(id.index()).and_then(|h| h.outcome)
    }

    /// Names of the abandoned hooks that still run (spec 5.7).
    #[must_use]
    pub fn still_running(&self) -> Vec<String> {
        self.hooks.iter().filter(|h| h.still_running).map(|h| h.spec.name.clone()).collect()
    }

    /// True when an exit call inside a hook proposed a status.
    #[must_use]
    pub fn was_proposed_a_code(&self) -> bool {
        self.proposed_code.is_some()
    }

    /// True while a hook that was killed has not said where it was.
    #[must_use]
    pub fn is_any_dying(&self) -> bool {
        self.hooks.iter().any(|h| h.dying)
    }

    /// True when an abandoned hook of the native lane still runs (spec 6.5: no static destructors then).
    #[must_use]
    pub fn native_still_running(&self) -> bool {
        self.hooks.iter().any(|h| h.still_running && h.spec.kind.lane == Lane::Native)
    }

    pub(super) fn hook(&self, id: HookId) -> &Hook {
        &self.hooks[id.index()]
    }

    pub(super) fn hook_mut(&mut self, id: HookId) -> &mut Hook {
        &mut self.hooks[id.index()]
    }
}
