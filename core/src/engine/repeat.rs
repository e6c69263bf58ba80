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

/// The accepted stop signals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signals {
    accepted: u32,
    last: At,
    /// The first accepted one.
    pub(super) first: Option<i32>,
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
            self.record_trigger(at, reason, TriggerAction::Duplicate);
            if self_sent {
                // The re-raise at the end of a stop of its own: the program is not waited for any longer (spec 6.6).
                self.triggers.reraised = true;
                if self.life == Life::Finished {
                    self.command(Command::Hurry);
                }
            }
            // Nothing to repeat yet where only a preStop came before: the program asks to go on.
            self.run_through_prestop();
            return self.end_prestop(now);
        }
        if stopping && signals.accepted > 0 && self.settings.repeat == Repeat::Orchestrated && signo == libc::SIGTERM {
            return self.record_trigger(at, reason, TriggerAction::Ignored);
        }
        let first = signals.first.or(Some(signo));
        self.triggers.signals = Signals { accepted: signals.accepted + 1, last: at, first };
        let leave_at = if self.settings.repeat == Repeat::Interactive { 2 } else { 3 };
        match signals.accepted + 1 {
            1 => {
                let grace = grace.unwrap_or(self.settings.grace);
                self.accept(reason, at, Some(grace), now);
            }
            n if n >= leave_at => {
                self.record_trigger(at, reason, TriggerAction::Left);
                self.leave(signo, now);
            }
            // A program that is stopping by itself hears of it, and knows what it means (spec 6.6, 7.2).
            _ if self.life == Life::Finished => self.record_trigger(at, reason, TriggerAction::Recorded),
            _ => {
                self.record_trigger(at, reason, TriggerAction::Expedited);
                self.expedite(signo, now);
            }
        }
    }

    /// Spec 7.2: only what is reserved still runs.
    fn expedite(&mut self, signo: i32, now: At) {
        let Some(run) = &mut self.run else { return };
        run.cut = true;
        run.forced = true;
        run.forced_by = Some(signo);
        let deadline = run.budget.expedited(run.phase, run.start, now);
        if deadline < run.budget.deadline {
            self.move_deadline(deadline, now);
        }
        if self.current_phase().is_none() {
            // A plan that is still held has nothing to wait for any more.
            self.held_until = None;
            return self.begin_if_due(now);
        }
        if self.run.as_ref().is_some_and(|r| r.budget.reserve_left(r.phase, r.start, now).is_zero()) {
            self.skip_waiting(Skip::Expedited, now);
            self.cancel_running(now);
        }
        self.follow_deadline(now);
        self.go_on(now);
    }

    /// Third signal: close the plan and leave.
    fn leave(&mut self, signo: i32, now: At) {
        let Some(run) = &mut self.run else { return };
        if self.life == Life::Finished {
            return self.leave_again();
        }
        run.cut = true;
        run.forced = true;
        run.forced_by = Some(signo);
        self.close_plan(now);
    }

    /// The plan is over but the host hangs in its finalisers: leave now, with the code already decided (spec 6.3).
    fn leave_again(&mut self) {
        if let Some((outcome, exit)) = self.finish {
            self.command(Command::Finish { outcome, exit, at_once: true });
        }
    }

    /// How late means that the whole process was held up (spec 5.10).
    pub(super) fn late_limit(&self) -> Duration {
        Duration::from_secs(1).max(self.run.as_ref().map_or(Duration::ZERO, |r| r.margin))
    }

    /// Spec 5.10: found to be called much later than asked for (SIGSTOP, freezer, suspend).
    pub(super) fn rebase_if_late(&mut self, now: At) {
        let due = self.next_deadline();
        let Some(run) = &self.run else { return };
        // Without a D there is nothing to re-base: nobody waits outside.
        if run.rebased || self.life != Life::Stopping || run.budget.deadline.is_never() || now - due <= self.late_limit() {
            return;
        }
        self.rebase(now - due, now);
    }

    /// Sets D once more; phases without a reserve are skipped, one that runs on its reserve gets it again.
    pub(super) fn rebase(&mut self, late: Duration, now: At) {
        let Some(run) = &mut self.run else { return };
        run.rebased = true;
        run.cut = true;
        run.forced = true;
        run.start = now;
        let deadline = run.budget.rebased(run.phase, now);
        self.record(now, What::Rebased(late));
        self.move_deadline(deadline, now);
        let Some(i) = self.current_phase() else {
            self.held_until = None;
            self.begin_if_due(now);
            return self.end_wait_if_due(now);
        };
        if self.has_reserve(i) {
            self.restart_phase_clock(now);
        } else {
            if let Some(run) = &mut self.run {
                run.end = now;
            }
            self.skip_waiting(Skip::Expedited, now);
            self.expire_running(now);
        }
        self.go_on(now);
    }
}
