//! From phase to phase (spec 4): entering one, starting what may start, leaving it, finishing.

use super::event::{Command, InFlightPoint};
use super::outcome::{HookOutcome, ShutdownOutcome, Skip, exit_plan};
use super::record::What;
use super::registry::{HookId, Lane, Step};
use super::timer::Timer;
use super::trigger::ReasonKind;
use super::{Engine, Life};
use crate::clock::At;
use crate::plan::{DRAIN, OnFailure, Order};

impl Engine {
    /// Enters the first phase from the current position on that may run; finishes when there is none.
    pub(super) fn enter_phase(&mut self, now: At) {
        loop {
            let Some(run) = &self.run else { return };
            let i = run.phase;
            if i >= self.members.len() {
                return self.finish_plan(now, false);
            }
            self.pass_drain(i);
            if self.is_cut_off(i) {
                self.skip_phase(i, now);
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

    /// The shared word becomes 2 where `drain` begins, or would have begun (spec 9.1).
    fn pass_drain(&mut self, i: usize) {
        let drain = self.settings.plan.index(DRAIN);
        // With `drain` taken out of the plan, work is refused from the first phase that is not `announce`.
        let here = drain.map_or_else(
            || i == usize::from(self.settings.plan.index(crate::plan::ANNOUNCE) == Some(0)),
            |d| d == i,
        );
        if here {
            self.command(Command::Word(2));
            self.command(Command::CountInFlight(InFlightPoint::DrainStart));
        }
    }

    /// True when the plan is cut, or a failure jumps ahead, and phase `i` is one of those passed over.
    pub(super) fn is_cut_off(&self, i: usize) -> bool {
        let Some(run) = &self.run else { return false };
        let reserve = |j: usize| self.slot_reserve(j);
        if run.cut {
            return reserve(i).is_zero();
        }
        run.skip_to_reserved && reserve(i).is_zero() && (i..self.members.len()).any(|j| !reserve(j).is_zero())
    }

    fn slot_reserve(&self, i: usize) -> std::time::Duration {
        self.run
            .as_ref()
            .and_then(|r| r.budget.slots.get(i))
            .map_or(std::time::Duration::ZERO, |s| s.reserve)
    }

    fn skip_phase(&mut self, i: usize, now: At) {
        let why = if self.run.as_ref().is_some_and(|r| r.cut) {
            Skip::Expedited
        } else {
            Skip::Failure
        };
        self.record(now, What::PhaseSkip(i));
        for k in 0..self.members[i].len() {
            let id = self.members[i][k];
            if self.hook(id).step == Step::Registered {
                self.end_hook(id, HookOutcome::Skipped(why), None, false, now);
            }
        }
        if self.settings.plan.index(DRAIN) == Some(i) {
            self.command(Command::CountInFlight(InFlightPoint::DrainEnd));
        }
    }

    /// Fixes the budget of phase `i` (spec 5.1) and lines its hooks up.
    fn open_phase(&mut self, i: usize, now: At) {
        self.refresh_reserves();
        let closed = self.run.as_ref().is_some_and(|r| r.host_closed);
        let mut waiting = 0;
        for k in 0..self.members[i].len() {
            let id = self.members[i][k];
            if self.hook(id).step != Step::Registered {
                continue;
            }
            if closed && self.hook(id).spec.kind.lane == Lane::Host {
                self.end_hook(id, HookOutcome::Skipped(Skip::HostClosed), None, false, now);
                continue;
            }
            self.hook_mut(id).step = Step::Waiting;
            waiting += 1;
        }
        let Some(run) = &mut self.run else { return };
        run.skip_to_reserved = false;
        run.start = now;
        run.end = run.budget.phase_end(i, now, now);
        run.given = run.end - now;
        run.running = 0;
        run.waiting = waiting;
        let given = run.given;
        self.record(now, What::PhaseStart(i, given));
        self.line_up(i, now);
    }

    /// A default reserve counts only while its phase has hooks (spec 4.1); looked at whenever a phase begins.
    fn refresh_reserves(&mut self) {
        for i in 0..self.members.len() {
            let used = self.hooks_in(i) > 0;
            let Some(run) = &mut self.run else { return };
            let (Some(slot), Some(spec)) = (run.budget.slots.get_mut(i), self.settings.plan.phases().get(i)) else {
                continue;
            };
            if !used && !spec.reserve_explicit {
                slot.reserve = std::time::Duration::ZERO;
            } else if run.budget.deadline.is_never() {
                slot.reserve = std::time::Duration::ZERO;
            } else if slot.reserve.is_zero() {
                slot.reserve = spec.reserve.resolve(Some(run.b)).min(slot.cap);
            }
        }
    }

    /// Counts blockers and the longest chain through each hook that has or is an `after` (spec 4.4, 4.6).
    fn line_up(&mut self, i: usize, now: At) {
        if !self.members[i].iter().any(|id| !self.hook(*id).spec.after.is_empty()) {
            return;
        }
        for k in 0..self.members[i].len() {
            let id = self.members[i][k];
            for a in 0..self.hook(id).spec.after.len() {
                let named = |e: &Engine, m: &HookId| e.hook(*m).is_live() && e.hook(*m).spec.name == e.hook(id).spec.after[a];
                let (mut known, mut open) = (false, 0);
                for m in &self.members[i] {
                    if named(self, m) {
                        known = true;
                        open += u32::from(self.hook(*m).step != Step::Ended);
                    }
                }
                self.hook_mut(id).blockers += open;
                if !known {
                    self.record(now, What::UnknownAfter(id));
                }
            }
        }
        self.measure_lines(i);
    }

    /// Longest chain before and after each hook, by relaxation: no allocation, and chains are short.
    fn measure_lines(&mut self, i: usize) {
        let n = self.members[i].len();
        for k in 0..n {
            let id = self.members[i][k];
            let hook = self.hook_mut(id);
            (hook.line, hook.line_after) = (1, 0);
        }
        for _ in 0..n {
            let mut changed = false;
            for k in 0..n {
                let id = self.members[i][k];
                for m in 0..n {
                    let earlier = self.members[i][m];
                    let (late, early) = (self.hook(id), self.hook(earlier));
                    if late.is_live() && early.is_live() && late.spec.after.contains(&early.spec.name) {
                        let depth = early.line + 1;
                        let below = late.line_after + 1;
                        changed |= depth > late.line || below > early.line_after;
                        self.hook_mut(id).line = depth.max(self.hook(id).line);
                        self.hook_mut(earlier).line_after = below.max(self.hook(earlier).line_after);
                    }
                }
            }
            if !changed {
                break;
            }
        }
        for k in 0..n {
            let id = self.members[i][k];
            let hook = self.hook_mut(id);
            hook.line = if hook.line + hook.line_after > 1 {
                hook.line + hook.line_after
            } else {
                0
            };
        }
    }

    /// Starts every hook of the running phase whose turn it is. A loop, not a recursion: ten thousand hooks may be skipped
    /// one after another.
    pub(super) fn start_what_may(&mut self, now: At) {
        let Some(i) = self.current_phase() else { return };
        if self.settings.plan.phases().get(i).is_some_and(|p| p.order == Order::Serial) {
            while self.run.as_ref().is_some_and(|r| r.waiting > 0 && r.running == 0) {
                let Some(&next) = self.members[i].iter().rev().find(|id| self.is_ready(**id)) else {
                    return;
                };
                self.start_hook(next, now);
                self.release_after(next);
            }
            return;
        }
        let mut again = true;
        while again && self.run.as_ref().is_some_and(|r| r.waiting > 0) {
            again = false;
            for k in 0..self.members[i].len() {
                let id = self.members[i][k];
                if self.is_ready(id) {
                    self.start_hook(id, now);
                    // A hook that was skipped for want of time may have freed one before it in the list.
                    again |= self.release_after(id);
                }
            }
        }
    }

    fn is_ready(&self, id: HookId) -> bool {
        let hook = self.hook(id);
        hook.step == Step::Waiting && hook.blockers == 0
    }

    /// If `id` has ended, counts it off for the hooks that wait for its name; true when there was one.
    fn release_after(&mut self, id: HookId) -> bool {
        let ended = matches!(self.hook(id).step, Step::Ended | Step::Removed);
        let i = self.hook(id).spec.phase;
        if !ended || self.run.as_ref().is_none_or(|r| r.waiting == 0 || r.phase != i) {
            return false;
        }
        let mut any = false;
        for k in 0..self.members[i].len() {
            let waiter = self.members[i][k];
            let hook = self.hook(waiter);
            if hook.step == Step::Waiting && hook.blockers > 0 && hook.spec.after.contains(&self.hook(id).spec.name) {
                self.hook_mut(waiter).blockers -= 1;
                any = true;
            }
        }
        any
    }

    /// A hook has ended or was taken out: what waited for it may start.
    pub(super) fn unblock_after(&mut self, id: HookId, now: At) {
        if self.run.as_ref().is_some_and(|r| r.waiting > 0) {
            self.release_after(id);
            self.start_what_may(now);
        }
    }

    /// After a hook of the running phase ended: its failure, its successors, the end of the phase.
    pub(super) fn after_end(&mut self, id: HookId, now: At) {
        self.note_failure(id);
        self.unblock_after(id, now);
        self.leave_phase_if_over(now);
    }

    fn note_failure(&mut self, id: HookId) {
        let hook = self.hook(id);
        let failed = self.outcome_of(id).is_some_and(HookOutcome::degrades) && !hook.spec.optional;
        let jump = self
            .settings
            .plan
            .phases()
            .get(hook.spec.phase)
            .is_some_and(|p| p.on_failure == OnFailure::SkipToReserved);
        if failed
            && jump
            && let Some(run) = &mut self.run
        {
            run.skip_to_reserved = true;
        }
    }

    /// A hook registered while its phase runs shares what is not kept for others (spec 8.2).
    pub(super) fn join_running_phase(&mut self, id: HookId, now: At) {
        let Some(run) = &mut self.run else { return };
        let i = run.phase;
        run.waiting += 1;
        self.hook_mut(id).step = Step::Waiting;
        for k in 0..self.members[i].len() {
            let other = self.members[i][k];
            let open = other != id && matches!(self.hook(other).step, Step::Waiting | Step::Given | Step::Begun);
            let waits = self.hook(id).spec.after.contains(&self.hook(other).spec.name);
            if open && waits {
                self.hook_mut(id).blockers += 1;
            }
            let awaited =
                self.hook(other).step == Step::Waiting && self.hook(other).spec.after.contains(&self.hook(id).spec.name);
            if other != id && awaited {
                self.hook_mut(other).blockers += 1;
            }
        }
        if !self.hook(id).spec.after.is_empty() {
            self.measure_lines(i);
        }
        self.start_what_may(now);
    }

    /// The phase's end may have moved closer: follow it.
    pub(super) fn tighten_phase(&mut self, now: At) {
        let Some(run) = &mut self.run else { return };
        if !run.begun || run.phase >= self.members.len() {
            return;
        }
        run.end = run.end.min(run.budget.phase_end(run.phase, run.start, now));
        self.retime_running(now);
    }

    /// Spec 5.10: a reserved phase that ran when the process was held up gets its reserve again.
    pub(super) fn restart_phase_clock(&mut self, now: At) {
        let Some(run) = &mut self.run else { return };
        let i = run.phase;
        run.end = run.budget.phase_end(i, now, now);
        run.given = run.end - now;
        for k in 0..self.members.get(i).map_or(0, Vec::len) {
            let id = self.members[i][k];
            if self.hook(id).runs() {
                self.restart_hook_clock(id, now);
            }
        }
    }

    pub(super) fn skip_waiting(&mut self, why: Skip, now: At) {
        let Some(run) = &mut self.run else { return };
        let i = run.phase;
        run.waiting = 0;
        for k in 0..self.members.get(i).map_or(0, Vec::len) {
            let id = self.members[i][k];
            if self.hook(id).step == Step::Waiting {
                self.end_hook(id, HookOutcome::Skipped(why), None, false, now);
            }
        }
    }

    pub(super) fn cancel_running(&mut self, now: At) {
        let Some(run) = &self.run else { return };
        let i = run.phase;
        for k in 0..self.members.get(i).map_or(0, Vec::len) {
            self.cancel_hook(self.members[i][k], now);
        }
    }

    /// Every running hook of the phase is left, now.
    pub(super) fn expire_running(&mut self, now: At) {
        let Some(run) = &self.run else { return };
        let i = run.phase;
        for k in 0..self.members.get(i).map_or(0, Vec::len) {
            let id = self.members[i][k];
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
                Timer::Hook(id) => self.look_at_hook(id, now),
            }
        }
    }

    pub(super) fn leave_phase_if_over(&mut self, now: At) {
        let Some(run) = &mut self.run else { return };
        if self.life != Life::Stopping || !run.begun || run.running > 0 {
            return;
        }
        let i = run.phase;
        if run.skip_to_reserved && run.waiting > 0 {
            self.skip_waiting(Skip::Failure, now);
        }
        let Some(run) = &mut self.run else { return };
        if run.waiting > 0 || i >= self.members.len() {
            return;
        }
        run.phase += 1;
        self.close_phase(i, now);
        self.enter_phase(now);
    }

    fn close_phase(&mut self, i: usize, now: At) {
        self.record(now, What::PhaseEnd(i));
        if self.settings.plan.index(DRAIN) == Some(i) {
            self.command(Command::CountInFlight(InFlightPoint::DrainEnd));
        }
    }

    /// Closes what is still open: a third signal, or D with work undone.
    pub(super) fn close_plan(&mut self, now: At, at_once: bool) {
        let why = if at_once { Skip::Expedited } else { Skip::Deadline };
        self.skip_waiting(why, now);
        self.expire_running(now);
        let Some(run) = &self.run else { return };
        let i = run.phase;
        if i < self.members.len() {
            self.close_phase(i, now);
        }
        for j in i + 1..self.members.len() {
            self.skip_phase(j, now);
        }
        if let Some(run) = &mut self.run {
            run.phase = self.members.len();
        }
        self.finish_plan(now, at_once);
    }

    fn finish_plan(&mut self, now: At, at_once: bool) {
        let Some(run) = &self.run else { return };
        let outcome = match (run.forced, self.degraded) {
            (true, _) => ShutdownOutcome::Forced,
            (false, true) => ShutdownOutcome::Degraded,
            (false, false) => ShutdownOutcome::Clean,
        };
        let reason = self.triggers.first();
        let kind = reason.map_or(ReasonKind::Stop, |r| r.kind);
        let started_by = reason.and_then(|r| r.signo);
        let code = self.proposed_code.or(self.triggers.host_code);
        let exit = exit_plan(self.settings.exit, outcome, kind, started_by, run.forced_by, code);
        self.life = Life::Finished;
        self.finish = Some((outcome, exit));
        self.timers.clear();
        self.record(now, What::Finished { outcome, exit });
        self.command(Command::Finish { outcome, exit, at_once });
    }
}
