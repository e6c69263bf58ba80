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
    pub const NATIVE: Kind = Kind {
        label: "function",
        lane: Lane::Native,
        killable: false,
        pause: None,
    };
    /// A function that runs inside the host.
    pub const HOST: Kind = Kind {
        label: "function",
        lane: Lane::Host,
        killable: false,
        pause: None,
    };
    /// A command.
    pub const EXEC: Kind = Kind {
        label: "exec",
        lane: Lane::Native,
        killable: true,
        pause: None,
    };
    /// One HTTP request.
    pub const HTTP: Kind = Kind {
        label: "http",
        lane: Lane::Native,
        killable: false,
        pause: None,
    };
    /// A signal to another process.
    pub const SIGNAL: Kind = Kind {
        label: "signal",
        lane: Lane::Native,
        killable: false,
        pause: None,
    };
    /// The wait for work in flight.
    pub const INFLIGHT: Kind = Kind {
        label: "inflight",
        lane: Lane::Engine,
        killable: false,
        pause: None,
    };
    /// The announce delay.
    pub const ANNOUNCE: Kind = Kind {
        label: "delay",
        lane: Lane::Engine,
        killable: false,
        pause: Some(Pause::Announce),
    };

    /// A pause of `d`.
    #[must_use]
    pub const fn delay(d: Duration) -> Kind {
        Kind {
            label: "delay",
            lane: Lane::Engine,
            killable: false,
            pause: Some(Pause::Fixed(d)),
        }
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
    /// Abandoned, and its body has not returned yet.
    pub(super) still_running: bool,
    /// Hooks named in `after` that have not ended.
    pub(super) blockers: u32,
    /// Hooks on the longest chain through this one, and how many of them come after it (spec 4.6).
    pub(super) line: u32,
    pub(super) line_after: u32,
    pub(super) extends: u8,
    pub(super) outcome: Option<HookOutcome>,
}

impl Hook {
    fn new(spec: HookSpec) -> Hook {
        Hook {
            spec,
            step: Step::Registered,
            start: At(0),
            soft: At::NEVER,
            hard: At::NEVER,
            cancelled: false,
            still_running: false,
            blockers: 0,
            line: 0,
            line_after: 0,
            extends: 0,
            outcome: None,
        }
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.step, Step::Given | Step::Begun)
    }

    pub(super) fn is_live(&self) -> bool {
        self.step != Step::Removed
    }
}

impl Engine {
    /// Registers a hook (spec 8.1, 8.2) and sets aside what its run will need.
    ///
    /// # Errors
    /// [`ErrorKind::TooLate`] for a phase that is over, [`ErrorKind::Cycle`] for an `after` that closes a circle.
    pub fn register(&mut self, spec: HookSpec, now: At) -> Result<HookId, Error> {
        let current = self.current_phase();
        let phase_name = |e: &Engine| {
            e.settings
                .plan
                .phases()
                .get(spec.phase)
                .map_or_else(String::new, |p| p.name.clone())
        };
        let over = match (self.life, &self.run) {
            (Life::Finished, _) => true,
            (Life::Stopping, Some(run)) => spec.phase < run.phase || (run.cut && self.is_cut_off(spec.phase)),
            _ => false,
        };
        if over {
            let message = format!(
                "hook \"{}\": phase \"{}\" is already over; register it in a later phase, or before the shutdown",
                spec.name,
                phase_name(self)
            );
            return Err(Error::new(ErrorKind::TooLate, message));
        }
        if let Some(name) = self.closes_circle(&spec) {
            let message = format!("hook \"{}\" cannot run after \"{name}\": that closes a circle", spec.name);
            return Err(Error::new(ErrorKind::Cycle, message));
        }
        let id = HookId(u32::try_from(self.hooks.len()).map_err(|_| Error::new(ErrorKind::BadValue, "too many hooks"))?);
        let phase = spec.phase;
        self.set_aside();
        self.hooks.push(Hook::new(spec));
        self.members[phase].push(id);
        if current == Some(phase) {
            self.join_running_phase(id, now);
        }
        Ok(id)
    }

    fn set_aside(&mut self) {
        let hooks = self.hooks.len() + 1;
        self.timers.reserve_for_hook(hooks);
        grow(&mut self.records, 128 + 8 * hooks);
        let commands = 64 + 4 * hooks;
        if self.commands.capacity() < commands {
            self.commands
                .reserve(commands.max(2 * self.commands.capacity()) - self.commands.len());
        }
    }

    /// True when `spec.after` leads back to a hook of its own name: walks names, since a name stands for all its hooks.
    fn closes_circle(&self, spec: &HookSpec) -> Option<String> {
        let same_phase = |h: &&Hook| h.spec.phase == spec.phase && h.is_live();
        for first in &spec.after {
            let mut todo = vec![first.as_str()];
            let mut seen: Vec<&str> = Vec::new();
            while let Some(name) = todo.pop() {
                if name == spec.name {
                    return Some(first.clone());
                }
                if !seen.contains(&name) {
                    seen.push(name);
                    let named = self.hooks.iter().filter(same_phase).filter(|h| h.spec.name == name);
                    todo.extend(named.flat_map(|h| h.spec.after.iter().map(String::as_str)));
                }
            }
        }
        None
    }

    /// Takes a hook out (spec 8.1).
    pub fn remove(&mut self, id: HookId, now: At) -> Removal {
        let Some(hook) = self.hooks.get_mut(id.index()) else {
            return Removal::Done;
        };
        match hook.step {
            Step::Registered => {
                hook.step = Step::Removed;
                Removal::Removed
            }
            Step::Waiting => {
                hook.step = Step::Removed;
                if let Some(run) = &mut self.run {
                    run.waiting -= 1;
                }
                self.unblock_after(id, now);
                self.leave_phase_if_over(now);
                Removal::Removed
            }
            Step::Given | Step::Begun => Removal::Running,
            Step::Removed | Step::Ended => Removal::Done,
        }
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
        self.members
            .get(i)
            .map_or(0, |m| m.iter().filter(|id| self.hook(**id).is_live()).count())
    }

    /// A running hook's hard deadline; `None` when it does not run.
    #[must_use]
    pub fn hard_deadline(&self, id: HookId) -> Option<At> {
        self.hooks.get(id.index()).filter(|h| h.runs()).map(|h| h.hard)
    }

    /// How a hook ended, if it did.
    #[must_use]
    pub fn outcome_of(&self, id: HookId) -> Option<HookOutcome> {
        self.hooks.get(id.index()).and_then(|h| h.outcome)
    }

    /// Names of the abandoned hooks that still run (spec 5.7).
    #[must_use]
    pub fn still_running(&self) -> Vec<String> {
        self.hooks
            .iter()
            .filter(|h| h.still_running)
            .map(|h| h.spec.name.clone())
            .collect()
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

fn grow<T>(v: &mut Vec<T>, want: usize) {
    if v.capacity() < want {
        v.reserve(want.max(2 * v.capacity()) - v.len());
    }
}
