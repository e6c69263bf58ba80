//! Repeated signals, and plans that are cut: expedite and re-base (spec 7, 5.10).

use std::time::Duration;

use super::event::Command;
use super::outcome::Skip;
use super::record::{TriggerAction, What};
use super::trigger::Reason;
use super::{Engine, Life};
use crate::clock::At;
use crate::config::Repeat;

/// Within this time of the last accepted signal another one is a duplicate.
const DUPLICATE: Duration = Duration::from_millis(500);
/// A running phase without reserve is left this long after an expedite.
const LEAVE_AFTER: Duration = Duration::from_millis(100);

/// The accepted stop signals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signals {
    accepted: u32,
    last: At,
}

impl Engine {
    pub(super) fn on_signal(
        &mut self,
        signo: i32,
        at: At,
        sender: Option<(i32, u32)>,
        self_sent: bool,
        grace: Option<Duration>,
        now: At,
    ) {
        let reason = Reason::signal(signo, sender);
        let signals = self.triggers.signals;
        let stopping = self.life != Life::Armed;
        if stopping && (self_sent || (signals.accepted > 0 && at - signals.last < DUPLICATE)) {
            return self.record_trigger(at, reason, TriggerAction::Duplicate);
        }
        if stopping && signals.accepted > 0 && self.settings.repeat == Repeat::Orchestrated && signo == libc::SIGTERM {
            return self.record_trigger(at, reason, TriggerAction::Ignored);
        }
        self.triggers.signals = Signals {
            accepted: signals.accepted + 1,
            last: at,
        };
        let leave_at = if self.settings.repeat == Repeat::Interactive { 2 } else { 3 };
        match signals.accepted + 1 {
            1 => {
                let grace = grace.unwrap_or(self.settings.grace);
                self.accept(reason, at, Some(grace), TriggerAction::Recorded, now);
            }
            n if n >= leave_at => {
                self.record_trigger(at, reason, TriggerAction::Left);
                self.leave(signo, now);
            }
            _ => {
                self.record_trigger(at, reason, TriggerAction::Expedited);
                self.expedite(signo, now);
            }
        }
    }

    /// Spec 7.2: only what is reserved still runs.
    fn expedite(&mut self, signo: i32, now: At) {
        let Some(run) = &mut self.run else { return };
        if self.life != Life::Stopping {
            return;
        }
        run.cut = true;
        run.forced = true;
        run.forced_by = Some(signo);
        let deadline = run.budget.expedited(run.phase, run.start, now);
        self.move_deadline(deadline, now);
        // A plan that is still held has nothing to wait for any more.
        self.held_until = None;
        self.begin_if_due(now);
        let Some(run) = &mut self.run else { return };
        let own = run.budget.slots.get(run.phase).map_or(Duration::ZERO, |s| s.reserve);
        if own.is_zero() {
            run.end = run.end.min(now.plus(LEAVE_AFTER)).min(deadline);
            self.skip_waiting(Skip::Expedited, now);
            self.cancel_running(now);
            self.tighten_phase(now);
        } else {
            let left = run.budget.reserve_left(run.phase, run.start, now);
            run.end = run.end.min(now.plus(left));
            self.tighten_phase(now);
        }
        self.leave_phase_if_over(now);
    }

    /// Third signal: close the plan and leave.
    fn leave(&mut self, signo: i32, now: At) {
        let Some(run) = &mut self.run else { return };
        if self.life != Life::Stopping {
            return self.command_leave_again(signo);
        }
        run.forced = true;
        run.forced_by = Some(signo);
        run.begun = true;
        self.close_plan(now, true);
    }

    /// The plan is over but the host hangs in its finalisers: leave now, with the code already decided (spec 6.3).
    fn command_leave_again(&mut self, _signo: i32) {
        if let Some((outcome, exit)) = self.finish {
            self.command(Command::Finish {
                outcome,
                exit,
                at_once: true,
            });
        }
    }

    /// Spec 5.10: found to be called much later than asked for (SIGSTOP, freezer, suspend), D is set once more.
    pub(super) fn rebase_if_late(&mut self, now: At) {
        let due = self.next_deadline();
        let Some(run) = &mut self.run else { return };
        let late = now - due;
        if due.is_never()
            || run.rebased
            || !run.begun
            || self.life != Life::Stopping
            || late <= Duration::from_secs(1).max(run.margin)
        {
            return;
        }
        run.rebased = true;
        run.cut = true;
        run.forced = true;
        run.start = now;
        let own = run.budget.slots.get(run.phase).map_or(Duration::ZERO, |s| s.reserve);
        let deadline = run.budget.rebased(run.phase, now);
        self.record(now, What::Rebased(late));
        self.move_deadline(deadline, now);
        if let Some(run) = &mut self.run {
            run.end = now;
        }
        if own.is_zero() {
            self.skip_waiting(Skip::Expedited, now);
            self.expire_running(now);
        } else {
            self.restart_phase_clock(now);
        }
        self.leave_phase_if_over(now);
    }
}
