//! What a run left behind: all that the checks look at.

use std::time::Duration;

use graceshut::clock::At;
use graceshut::engine::{Command, HookId, HookSpec, Record, Settings};

/// A registered hook.
#[derive(Clone, Debug)]
pub struct Registered {
    pub spec: HookSpec,
    /// How many records there were when it was registered, and removed.
    pub from: usize,
    pub removed: Option<usize>,
}

/// The state after one call of the engine.
#[derive(Clone, Debug)]
pub struct Step {
    pub now: At,
    /// The call was [`Engine::handle`](graceshut::engine::Engine::handle), which leaves nothing due.
    pub handled: bool,
    pub deadline: Option<At>,
    pub phase_end: Option<At>,
    /// Hooks that run: soft and hard deadline.
    pub running: Vec<(HookId, At, At)>,
    /// How many records there were after it.
    pub records: usize,
}

#[derive(Clone, Debug)]
pub struct Trace {
    pub settings: Settings,
    pub hooks: Vec<Registered>,
    pub records: Vec<Record>,
    /// Each with the time, and the number of records when it was taken.
    pub commands: Vec<(At, usize, Command)>,
    pub steps: Vec<Step>,
    /// Hooks that said they ended, and when.
    pub done: Vec<(HookId, At)>,
    /// First exit code proposed by a hook before the end, the first trigger's code, the first code of any trigger.
    pub proposed: Option<i32>,
    pub first_code: Option<i32>,
    pub host_code: Option<i32>,
    /// How much later than asked the engine was called: at most, and in all.
    pub latest: Duration,
    pub late_sum: Duration,
    /// A default reserve began to count after the trigger.
    pub late_claim: bool,
    pub systemd_extended: bool,
}

impl Trace {
    /// Hooks of phase `i` that were there when record `k` was written.
    pub fn live(&self, i: usize, k: usize) -> usize {
        self.hooks.iter().filter(|h| h.spec.phase == i && h.from <= k && h.removed.is_none_or(|r| r > k)).count()
    }

    pub fn spec(&self, id: HookId) -> &HookSpec {
        &self.hooks[id.0 as usize].spec
    }
}
