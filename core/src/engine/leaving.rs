//! What becomes of a shutdown between the end of its plan and the end of its process (spec 6.6).

use super::Engine;
use super::outcome::{Cut, ExitPlan, Leaving, ShutdownOutcome};
use super::record::What;
use super::registry::HookId;
use crate::clock::At;
use crate::config::Exit;

impl Engine {
    /// The process leaves after its plan, once; what that cuts off was required, so it is not clean (spec 6.6).
    /// A program that leaves by itself with `status` 0 has dealt with the signal, and does not die by it (spec 6.4).
    /// Answers the way out that counts now; `None` before the plan is over, and the second time.
    pub fn note_leaving(&mut self, how: Leaving, status: Option<i32>, cut: Cut, now: At) -> Option<ExitPlan> {
        let (outcome, exit) = self.finish.filter(|_| !self.left)?;
        self.left = true;
        let dealt_with = how == Leaving::ByItself && status == Some(0) && self.settings.exit.exit == Exit::Host;
        let finish = if cut.is_some() && outcome == ShutdownOutcome::Clean {
            (ShutdownOutcome::Degraded, self.way_out(ShutdownOutcome::Degraded, None))
        } else if dealt_with && exit.die_by.is_some() {
            (outcome, ExitPlan { code: 0, die_by: None })
        } else {
            (outcome, exit)
        };
        self.finish = Some(finish);
        self.record(now, What::Left { how, in_flight: cut.in_flight, outcome: finish.0, exit: finish.1 });
        Some(finish.1)
    }

    /// The program handles the signal by itself and begins to end with 0 while the plan runs: it does not die by the signal (spec
    /// 6.4). After the plan [`note_leaving`](Engine::note_leaving) tells.
    pub fn host_deals_with_it(&mut self) {
        self.triggers.dealt_with |= self.finish.is_none() && self.started_by().is_some();
    }

    /// The program sent itself a stop signal while it was stopping: its own stop is over (spec 6.6).
    #[must_use]
    pub fn is_done_by_itself(&self) -> bool {
        self.triggers.reraised
    }

    /// The host ends before the plan does, with this much work in flight that it will not finish. After a signal that is work
    /// undone (spec 6.3); true then.
    pub fn give_up(&mut self, in_flight: u64) -> bool {
        let undone = in_flight > 0 && self.finish.is_none() && self.started_by().is_some();
        self.degraded |= undone;
        undone
    }

    /// True when the hook's context was cancelled.
    #[must_use]
    pub fn was_asked_to_end(&self, id: HookId) -> bool {
        self.hooks.get(id.index()).is_some_and(|hook| hook.cancelled)
    }

    /// True when the host told of its status after the way out was decided, which therefore does not know of it.
    #[must_use]
    pub fn host_came_late(&self) -> bool {
        self.triggers.host_came_late
    }

    /// True after [`note_leaving`](Engine::note_leaving).
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.left
    }

    /// When the last phase was over.
    #[must_use]
    pub fn finished_at(&self) -> Option<At> {
        self.records.iter().rev().find(|r| matches!(r.what, What::Finished { .. })).map(|r| r.at)
    }
}
