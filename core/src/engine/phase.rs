//! From phase to phase (spec 4): entering one, starting what may start, leaving it, finishing.

use super::event::{Command, InFlightPoint};
use super::outcome::{ExitPlan, HookOutcome, ShutdownOutcome, Skip, exit_plan};
use super::record::What;
use super::registry::{HookId, Lane, Step};
use super::timer::Timer;
use super::trigger::ReasonKind;
use super::{Engine, Life};
use crate::clock::At;
use crate::plan::{ANNOUNCE, DRAIN, Order};

impl Engine {
    /// Enters the first phase from the current position on that may run; finishes when there is none.
    pub(super) fn enter_phase(&mut self, now: At) {
        loop {
            let Some(run) = &self.run else { return };
            let i = run.phase;
            if self.waits_for_signal(i, now) {
                return;
            }
            if i >= self.rosters.len() {
                return self.finish_plan(now, false);
            }
            self.pass_drain(i);
            if let Some(why) = self.is_cut_off(i) {
                self.skip_phase(i, why, now);
            } else {
                self.open_phase(i, now);
                self.start_what_may(now);
                let Some(run) = &self.run else { return };
                if run.running > 0 || run.waiting > 0 {
                    return;
                }
                self.close_phase(i, now);
            }
            if let Some(run) = &mut self.run {
                run.phase += 1;
            }
        }
    }

    /// The shared word becomes 2 where `drain` begins, or would have begun (spec 9.1); with `drain` taken out of the plan,
    /// after `announce`.
    pub(super) fn pass_drain(&mut self, i: usize) {
        let plan = &self.settings.plan;
        let from = plan.index(DRAIN).or_else(|| plan.index(ANNOUNCE).map(|a| a + 1)).unwrap_or(0);
        let Some(run) = &mut self.run else { return };
        if i >= from && !std::mem::replace(&mut run.drained, true) {
            self.command(Command::Word(2));
            self.command(Command::CountInFlight(InFlightPoint::DrainStart));
        }
    }

    /// Why phase `i` is passed over: the plan is cut, or a failure jumps ahead, to the next phase with a reserve.
    fn is_cut_off(&self, i: usize) -> Option<Skip> {
        let run = self.run.as_ref()?;
        if self.has_reserve(i) {
            return None;
        }
        if run.cut {
            return Some(Skip::Expedited);
        }
        let jump = run.skip_to_reserved && (i + 1..self.rosters.len()).any(|j| self.has_reserve(j));
        jump.then_some(Skip::Failure)
    }

    /// True when a failure in the running phase is making it end (spec 6.2): never where no later phase has a reserve.
    pub(super) fn jumps(&self) -> bool {
        self.run.as_ref().is_some_and(|r| r.skip_to_reserved && (r.phase + 1..self.rosters.len()).any(|j| self.has_reserve(j)))
    }

    pub(super) fn has_reserve(&self, i: usize) -> bool {
        let slot = self.run.as_ref().and_then(|r| r.budget.slots.get(i));
        slot.is_some_and(|s| !s.reserve.is_zero())
    }

    pub(super) fn is_serial(&self, i: usize) -> bool {
        self.settings.plan.phases().get(i).is_some_and(|p| p.order == Order::Serial)
    }

    fn skip_phase(&mut self, i: usize, why: Skip, now: At) {
        self.record(now, What::PhaseSkip(i));
        for k in 0..self.rosters[i].hooks.len() {
            let id = self.rosters[i].hooks[k];
            if self.hook(id).step == Step::Registered {
                self.end_hook(id, HookOutcome::Skipped(why), None, false, now);
            }
        }
        self.count_after_drain(i);
    }

    fn close_phase(&mut self, i: usize, now: At) {
        self.record(now, What::PhaseEnd(i));
        self.count_after_drain(i);
    }

    fn count_after_drain(&mut self, i: usize) {
        if self.settings.plan.index(DRAIN) == Some(i) {
            self.command(Command::CountInFlight(InFlightPoint::DrainEnd));
        }
    }

    /// Fixes the budget of phase `i` (spec 5.1) and lines its hooks up.
    fn open_phase(&mut self, i: usize, now: At) {
        let Some(run) = &mut self.run else { return };
        run.skip_to_reserved = false;
        run.start = now;
        run.end = run.budget.phase_end(i, now, now);
        run.given = run.end - now;
        run.running = 0;
        run.waiting = 0;
        let given = run.given;
        self.record(now, What::PhaseStart(i, given));
        self.ready.clear();
        let (mut waiting, mut chained) = (0, false);
        for k in 0..self.rosters[i].hooks.len() {
            let id = self.rosters[i].hooks[k];
            let hook = self.hook(id);
            if hook.step != Step::Registered {
                continue;
            }
            if self.host_closed && hook.spec.kind.lane == Lane::Host {
                self.end_hook(id, HookOutcome::Skipped(Skip::HostClosed), None, false, now);
                continue;
            }
            chained |= !hook.awaits.is_empty();
            self.line_up(id);
            waiting += 1;
        }
        if let Some(run) = &mut self.run {
            run.waiting = waiting;
        }
        if chained {
            self.measure_chains(i);
        }
        for k in 0..self.rosters[i].hooks.len() {
            let id = self.rosters[i].hooks[k];
            if self.hook(id).step == Step::Waiting {
                self.wait_for_turn(id, now);
            }
        }
    }

    fn wait_for_turn(&mut self, id: HookId, now: At) {
        if !self.count_blockers(id) {
            self.record(now, What::UnknownAfter(id));
        }
        self.make_ready(id);
    }

    /// Queues a waiting hook that nothing blocks: in registration order, or the other way round in a serial phase.
    pub(super) fn make_ready(&mut self, id: HookId) {
        let serial = self.is_serial(self.hook(id).spec.phase);
        let hook = self.hook_mut(id);
        if hook.step == Step::Waiting && hook.blockers == 0 && !hook.queued {
            hook.queued = true;
            self.ready.push(if serial { i64::from(id.0) } else { -i64::from(id.0) });
        }
    }

    /// Starts every hook of the running phase whose turn it is. A loop, not a recursion: ten thousand hooks may be skipped
    /// one after another.
    pub(super) fn start_what_may(&mut self, now: At) {
        let Some(i) = self.current_phase() else { return };
        let serial = self.is_serial(i);
        loop {
            if self.jumps() {
                return self.skip_waiting(Skip::Failure, now);
            }
            if serial && self.run.as_ref().is_some_and(|r| r.running > 0) {
                return;
            }
            let Some(next) = self.ready.pop() else { return };
            let id = HookId(next.unsigned_abs() as u32);
            let hook = self.hook_mut(id);
            hook.queued = false;
            // It may have ended meanwhile, or a hook it waits for was registered late.
            if hook.step == Step::Waiting && hook.blockers == 0 {
                self.start_hook(id, now);
            }
        }
    }

    /// After hooks of the running phase ended: their successors, the end of the phase.
    pub(super) fn go_on(&mut self, now: At) {
        self.start_what_may(now);
        self.leave_phase_if_over(now);
    }

    /// A hook registered while its phase runs shares what is not kept for others (spec 8.2).
    pub(super) fn join_running_phase(&mut self, id: HookId, now: At) {
        let Some(run) = &mut self.run else { return };
        let i = run.phase;
        run.waiting += 1;
        self.line_up(id);
        if self.is_chained(id) {
            self.measure_chains(i);
        }
        self.wait_for_turn(id, now);
        self.start_what_may(now);
    }

    /// The phase's end may have moved closer: follow it. It never moves away again, and its cap was counted at its start.
    pub(super) fn follow_deadline(&mut self, now: At) {
        let Some(run) = &self.run else { return };
        let budget = &run.budget;
        let end =
            if run.cut { budget.cut_end(run.phase, run.start, now) } else { budget.latest_end(run.phase, run.start, now) };
        self.end_phase_by(end, now);
    }

    /// A shutdown without D got one: the running phase's cap and share count from here.
    pub(super) fn restart_phase(&mut self, now: At) {
        let Some(i) = self.current_phase() else { return };
        let Some(run) = &mut self.run else { return };
        let end = run.budget.phase_end(i, now, now);
        run.given = run.given.min(end - now);
        self.end_phase_by(end, now);
    }

    pub(super) fn end_phase_by(&mut self, end: At, now: At) {
        let Some(i) = self.current_phase() else { return };
        let Some(run) = &mut self.run else { return };
        if end >= run.end {
            return;
        }
        run.end = end.max(now);
        // Hooks of a line keep their P/2n, or an equal share of what is left where that is less.
        run.given = run.given.min((run.end - now).saturating_mul(2));
        for k in 0..self.rosters[i].hooks.len() {
            self.retime_hook(self.rosters[i].hooks[k], now);
        }
    }

    /// Spec 5.10: a reserved phase that ran when the process was held up gets its reserve again.
    pub(super) fn restart_phase_clock(&mut self, now: At) {
        let Some(i) = self.current_phase() else { return };
        let Some(run) = &mut self.run else { return };
        run.end = run.budget.phase_end(i, now, now);
        run.given = run.end - now;
        for k in 0..self.rosters[i].hooks.len() {
            let id = self.rosters[i].hooks[k];
            if self.hook(id).runs() {
                self.restart_hook_clock(id, now);
            }
        }
    }

    pub(super) fn skip_waiting(&mut self, why: Skip, now: At) {
        let Some(i) = self.current_phase() else { return };
        match &mut self.run {
            Some(run) if run.waiting > 0 => run.waiting = 0,
            _ => return,
        }
        for k in 0..self.rosters[i].hooks.len() {
            let id = self.rosters[i].hooks[k];
            if self.hook(id).step == Step::Waiting {
                self.end_hook(id, HookOutcome::Skipped(why), None, false, now);
            }
        }
    }

    pub(super) fn cancel_running(&mut self, now: At) {
        let Some(i) = self.current_phase() else { return };
        for k in 0..self.rosters[i].hooks.len() {
            self.cancel_hook(self.rosters[i].hooks[k], now);
        }
    }

    /// Every running hook of the phase is left, now.
    pub(super) fn expire_running(&mut self, now: At) {
        let Some(i) = self.current_phase() else { return };
        for k in 0..self.rosters[i].hooks.len() {
            let id = self.rosters[i].hooks[k];
            if self.hook(id).runs() {
                self.expire_hook(id, now);
            }
        }
    }

    /// Acts on every timer that is due.
    pub(super) fn expire(&mut self, now: At) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Hold => self.begin_if_due(now),
                Timer::Wait => self.end_wait_if_due(now),
                Timer::Hook(id) => self.look_at_hook(id, now),
            }
        }
    }

    pub(super) fn leave_phase_if_over(&mut self, now: At) {
        let Some(i) = self.current_phase() else { return };
        match &mut self.run {
            Some(run) if run.running == 0 && run.waiting == 0 => run.phase += 1,
            _ => return,
        }
        self.close_phase(i, now);
        self.enter_phase(now);
    }

    /// Closes what is still open, at once: a third signal.
    pub(super) fn close_plan(&mut self, now: At) {
        let mut next = self.run.as_ref().map_or(0, |r| r.phase);
        if let Some(i) = self.current_phase() {
            self.skip_waiting(Skip::Expedited, now);
            self.expire_running(now);
            self.close_phase(i, now);
            next = i + 1;
        }
        for j in next..self.rosters.len() {
            self.pass_drain(j);
            self.skip_phase(j, Skip::Expedited, now);
        }
        if let Some(run) = &mut self.run {
            (run.begun, run.phase) = (true, self.rosters.len());
        }
        self.held_until = None;
        self.finish_plan(now, true);
    }

    fn finish_plan(&mut self, now: At, at_once: bool) {
        self.pass_drain(self.rosters.len());
        let Some(run) = &self.run else { return };
        let outcome = match (run.forced, self.degraded) {
            (true, _) => ShutdownOutcome::Forced,
            (false, true) => ShutdownOutcome::Degraded,
            (false, false) => ShutdownOutcome::Clean,
        };
        let exit = self.way_out(outcome, run.forced_by);
        self.tell_drained();
        self.life = Life::Finished;
        self.finish = Some((outcome, exit));
        self.timers.clear();
        self.record(now, What::Finished { outcome, exit });
        self.command(Command::Finish { outcome, exit, at_once });
    }

    pub(super) fn way_out(&self, outcome: ShutdownOutcome, forced_by: Option<i32>) -> ExitPlan {
        let kind = self.reason().map_or(ReasonKind::Stop, |r| r.kind);
        // An uncaught error keeps the host's own status, whatever a hook's exit call proposes.
        let code = match kind {
            ReasonKind::Uncaught => self.triggers.first_code,
            _ => self.proposed_code.or(self.triggers.host_code),
        };
        exit_plan(self.settings.exit, outcome, kind, self.started_by(), forced_by, code, self.triggers.dealt_with)
    }
}
