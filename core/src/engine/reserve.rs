//! What each phase is promised, kept true while hooks come and go (spec 4.1, 5.1).

use std::time::Duration;

use super::Engine;
use crate::clock::At;
use crate::plan::{CUT_GRACE, Slot, margin_of};

impl Engine {
    /// Resolves every phase's share: at the trigger, and again when a shutdown without D gets one.
    pub(super) fn fill_slots(&mut self) {
        for i in 0..self.rosters.len() {
            let slot = self.share_of(i);
            if let Some(place) = self.run.as_mut().and_then(|r| r.budget.slots.get_mut(i)) {
                *place = slot;
            }
        }
    }

    /// The share of phase `i`. A default reserve counts only while its phase has hooks. Without a D a reserve is what it
    /// would be in the configured grace: it keeps nothing from anybody, but says where a failure jumps to.
    fn share_of(&self, i: usize) -> Slot {
        let Some(spec) = self.settings.plan.phases().get(i) else {
            return Slot { cap: Duration::ZERO, reserve: Duration::ZERO };
        };
        let counts = spec.reserve_explicit || self.hooks_in(i) > 0;
        let b = self.run.as_ref().and_then(|r| r.b);
        let nominal = self.settings.grace.saturating_sub(margin_of(self.settings.grace));
        let slot = spec.slot(Some(b.unwrap_or(nominal)), counts);
        if b.is_some() { slot } else { Slot { cap: spec.cap.resolve(None), ..slot } }
    }

    /// What phase `i` is promised in the shutdown that runs or ran; zero before it, and where nothing waits outside.
    #[must_use]
    pub fn promised(&self, i: usize) -> Duration {
        let run = self.run.as_ref().filter(|r| r.b.is_some());
        run.and_then(|r| r.budget.slots.get(i)).map_or(Duration::ZERO, |s| s.reserve)
    }

    /// The hooks of phase `i` changed. (Once the plan is cut nobody can be registered where there is no reserve.)
    pub(super) fn refresh_reserve(&mut self, i: usize) {
        let slot = self.share_of(i);
        if let Some(run) = &mut self.run
            && let Some(place) = run.budget.slots.get_mut(i)
        {
            *place = slot;
        }
    }

    /// A hook came to phase `i`, which does not run: from now on the running phase leaves its reserve alone. A phase that
    /// has eaten into it already gets a moment to end.
    pub(super) fn claim_reserve(&mut self, i: usize, now: At) {
        if self.has_reserve(i) {
            return;
        }
        self.refresh_reserve(i);
        if let Some(run) = &self.run
            && !run.cut
        {
            let end = run.budget.latest_end(run.phase, run.start, now).max(now.plus(CUT_GRACE));
            self.end_phase_by(end, now);
        }
        self.end_wait_if_due(now);
    }
}
