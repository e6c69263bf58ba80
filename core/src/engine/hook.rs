//! One hook's life inside a shutdown: started, cancelled, ended (spec 5.5, 5.8, 6.1).

use std::time::Duration;

use super::Engine;
use super::event::{Command, Ending};
use super::outcome::{HookOutcome, NotStarted, Skip};
use super::record::What;
use super::registry::{HookId, Kind, Lane, Pause, Step};
use super::timer::Timer;
use crate::clock::At;
use crate::plan::{Order, hook_box, hook_soft};

/// The most `extend` moves a deadline at a time; more is a mistake.
const EXTEND_LIMIT: Duration = Duration::from_secs(3600);

/// Extensions of one hook kept in the event list.
const EXTENDS_KEPT: u8 = 3;

impl Engine {
    /// Starts a waiting hook of the running phase; its timers are armed before the lane hears of it (spec 5.6).
    pub(super) fn start_hook(&mut self, id: HookId, now: At) {
        let pause = self.pause_of(id);
        let Some(run) = &mut self.run else { return };
        run.waiting -= 1;
        let limit = self.box_end(id);
        let hook = &mut self.hooks[id.index()];
        let hard = hook.spec.timeout.map_or(limit, |t| limit.min(now.plus(t)));
        if hard <= now {
            let why = self.why_no_time(now);
            return self.end_hook(id, HookOutcome::Skipped(why), None, false, now);
        }
        let hook = &mut self.hooks[id.index()];
        hook.start = now;
        hook.hard = hard;
        hook.soft = hook_soft(hard, hard - now);
        hook.step = Step::Given;
        if let Some(pause) = pause {
            // A pause that is cut short has done all it could: no soft deadline, ok at the end.
            hook.hard = hard.min(now.plus(pause));
            hook.soft = At::NEVER;
        }
        let (soft, hard, kind) = (hook.soft, hook.hard, hook.spec.kind);
        if let Some(run) = &mut self.run {
            run.running += 1;
        }
        self.record(now, What::HookStart(id, hard - now));
        self.arm_timers(id, soft, hard);
        if kind.pause.is_none() {
            self.command(Command::Start(id));
        }
    }

    fn pause_of(&self, id: HookId) -> Option<Duration> {
        match self.hook(id).spec.kind.pause {
            Some(Pause::Fixed(d)) => Some(d),
            Some(Pause::Announce) => Some(self.announce_delay()),
            None => None,
        }
    }

    fn why_no_time(&self, now: At) -> Skip {
        match &self.run {
            Some(run) if now >= run.budget.deadline => Skip::Deadline,
            _ => Skip::PhaseOver,
        }
    }

    fn arm_timers(&mut self, id: HookId, soft: At, hard: At) {
        if self.timers.lacks_room() {
            let hooks = &self.hooks;
            self.timers.compact(|at, timer| match timer {
                Timer::Hold => true,
                Timer::Hook(id) => hooks
                    .get(id.index())
                    .is_some_and(|h| h.runs() && (at == h.hard || (at == h.soft && !h.cancelled))),
            });
        }
        self.timers.push(soft, Timer::Hook(id));
        self.timers.push(hard, Timer::Hook(id));
    }

    /// The latest end of a hook: the phase's, less what hooks further down its line keep (spec 4.6).
    fn box_end(&self, id: HookId) -> At {
        let Some(run) = &self.run else { return At::NEVER };
        let hook = self.hook(id);
        let serial = self
            .settings
            .plan
            .phases()
            .get(run.phase)
            .is_some_and(|p| p.order == Order::Serial);
        if serial {
            let line = self.members[run.phase].iter().filter(|m| self.hook(**m).is_live()).count();
            hook_box(run.end, run.given, run.waiting, line)
        } else {
            hook_box(run.end, run.given, hook.line_after as usize, hook.line as usize)
        }
    }

    /// After the phase's end moved closer: running hooks follow, but never into the past.
    pub(super) fn retime_running(&mut self, now: At) {
        let Some(run) = &self.run else { return };
        for k in 0..self.members[run.phase.min(self.members.len() - 1)].len() {
            let Some(run) = &self.run else { return };
            let Some(&id) = self.members.get(run.phase).and_then(|m| m.get(k)) else {
                return;
            };
            if !self.hook(id).runs() {
                continue;
            }
            let limit = self.box_end(id).max(now);
            let hook = &mut self.hooks[id.index()];
            if limit >= hook.hard {
                continue;
            }
            hook.hard = limit;
            if !hook.soft.is_never() {
                hook.soft = hook.soft.min(hook_soft(limit, limit - now));
            }
            let (soft, hard) = (hook.soft, hook.hard);
            self.arm_timers(id, soft, hard);
        }
    }

    /// After a re-base the running hooks of a reserved phase get its whole reserve again.
    pub(super) fn restart_hook_clock(&mut self, id: HookId, now: At) {
        let limit = self.box_end(id);
        let hook = &mut self.hooks[id.index()];
        hook.hard = hook.spec.timeout.map_or(limit, |t| limit.min(now.plus(t)));
        if !hook.soft.is_never() {
            hook.soft = hook_soft(hook.hard, hook.hard - now);
        }
        let (soft, hard) = (hook.soft, hook.hard);
        self.arm_timers(id, soft, hard);
    }

    /// More time for a running hook, asked before its soft deadline; answers what was granted (spec 5.8).
    pub fn extend(&mut self, id: HookId, more: Duration, now: At) -> Duration {
        let more = more.min(EXTEND_LIMIT);
        let Some(run) = &self.run else { return Duration::ZERO };
        let Some(hook) = self.hooks.get(id.index()) else {
            return Duration::ZERO;
        };
        if !hook.runs() || hook.cancelled || now >= hook.soft || hook.spec.kind.pause.is_some() || run.cut {
            return Duration::ZERO;
        }
        let (hard, wish) = (hook.hard, hook.hard.plus(more));
        let mut limit = run.budget.latest_end(run.phase, run.start, now);
        if wish > limit && self.settings.systemd_extend {
            let deadline = run.budget.deadline.plus(wish - limit);
            self.move_deadline(deadline, now);
            self.command(Command::ExtendTimeout(deadline));
            limit = wish;
        }
        let new = wish.min(limit);
        if new <= hard {
            return Duration::ZERO;
        }
        if let Some(run) = &mut self.run {
            run.end = run.end.max(new);
        }
        let hook = &mut self.hooks[id.index()];
        hook.hard = new;
        hook.soft = hook_soft(new, new - hook.start);
        let soft = hook.soft;
        self.arm_timers(id, soft, new);
        // A hook may extend in a loop; the record of it stays bounded.
        if self.hook(id).extends < EXTENDS_KEPT {
            self.hook_mut(id).extends += 1;
            self.record(now, What::HookExtend(id, new - hard));
        }
        new - hard
    }

    pub(super) fn on_begun(&mut self, id: HookId) {
        if let Some(hook) = self.hooks.get_mut(id.index())
            && hook.step == Step::Given
        {
            hook.step = Step::Begun;
        }
    }

    /// True while the body of `id` may still begin: a lane asks before it calls, so that a hook whose time passed never runs.
    #[must_use]
    pub fn may_begin(&self, id: HookId) -> bool {
        self.hooks.get(id.index()).is_some_and(|h| h.step == Step::Given)
    }

    pub(super) fn on_done(&mut self, id: HookId, ending: Ending, code: Option<i32>, now: At) {
        let Some(hook) = self.hooks.get_mut(id.index()) else { return };
        if code.is_some() && self.proposed_code.is_none() {
            self.proposed_code = code;
        }
        if hook.still_running {
            hook.still_running = false;
            return self.record(now, What::HookReturned(id));
        }
        if !hook.runs() {
            return;
        }
        // The deadline decides, not the order in which two threads were scheduled.
        if now >= hook.hard && hook.spec.kind.pause.is_none() {
            self.expire_hook(id, now);
            self.after_end(id, now);
            return self.on_done(id, ending, None, now);
        }
        let (outcome, message, panic) = match ending {
            Ending::Ok => (HookOutcome::Ok, None, false),
            Ending::Failed { message, panic } => (HookOutcome::Failed, Some(message), panic),
            Ending::Cancelled => (HookOutcome::Cancelled, None, false),
        };
        self.end_running(id, outcome, message, panic, now);
        self.after_end(id, now);
    }

    fn end_running(&mut self, id: HookId, outcome: HookOutcome, message: Option<String>, panic: bool, now: At) {
        if let Some(run) = &mut self.run {
            run.running -= 1;
        }
        self.end_hook(id, outcome, message, panic, now);
    }

    /// Writes the one outcome of a hook down.
    pub(super) fn end_hook(&mut self, id: HookId, outcome: HookOutcome, message: Option<String>, panic: bool, now: At) {
        let hook = &mut self.hooks[id.index()];
        let late = outcome == HookOutcome::Ok && now > hook.soft;
        hook.step = Step::Ended;
        hook.outcome = Some(outcome);
        if outcome.degrades() && !hook.spec.optional {
            self.degraded = true;
        }
        self.record(
            now,
            What::HookEnd {
                hook: id,
                outcome,
                late,
                panic,
                message,
            },
        );
    }

    /// What is due of one hook: its soft deadline, then its hard one.
    pub(super) fn look_at_hook(&mut self, id: HookId, now: At) {
        let hook = self.hook(id);
        if !hook.runs() {
            return;
        }
        if now >= hook.hard {
            self.expire_hook(id, now);
            self.after_end(id, now);
        } else if now >= hook.soft && !hook.cancelled {
            self.cancel_hook(id, now);
        }
    }

    pub(super) fn cancel_hook(&mut self, id: HookId, now: At) {
        let hook = self.hook_mut(id);
        if !hook.runs() || hook.cancelled {
            return;
        }
        if hook.spec.kind.pause.is_some() {
            self.end_running(id, HookOutcome::Ok, None, false, now);
            return;
        }
        hook.cancelled = true;
        hook.soft = hook.soft.min(now);
        self.record(now, What::HookCancel(id));
        self.command(Command::Cancel(id));
    }

    /// The hard deadline: the hook is no longer waited for.
    pub(super) fn expire_hook(&mut self, id: HookId, now: At) {
        let hook = self.hook_mut(id);
        let (kind, begun) = (hook.spec.kind, hook.step == Step::Begun);
        let outcome = match kind {
            Kind { pause: Some(_), .. } => HookOutcome::Ok,
            Kind { killable: true, .. } if begun => HookOutcome::Killed,
            Kind { lane: Lane::Native, .. } if !begun => HookOutcome::NotStarted(NotStarted::NoWorker),
            Kind { lane: Lane::Host, .. } if !begun => HookOutcome::NotStarted(NotStarted::HostBusy),
            _ => HookOutcome::Abandoned,
        };
        hook.still_running = outcome == HookOutcome::Abandoned && kind.lane != Lane::Engine;
        if let Some(run) = &mut self.run
            && outcome.degrades()
            && now >= run.budget.deadline
        {
            run.forced = true;
        }
        match outcome {
            HookOutcome::Killed => self.command(Command::Kill(id)),
            HookOutcome::Ok => {}
            _ => self.command(Command::Abandon(id)),
        }
        self.end_running(id, outcome, None, false, now);
    }

    /// The host can run nothing any more: its hooks that have not begun are skipped, which degrades nothing (spec 2.6).
    pub(super) fn on_host_closed(&mut self, now: At) {
        if let Some(run) = &mut self.run {
            run.host_closed = true;
        } else {
            return;
        }
        for k in 0..self.hooks.len() {
            let id = HookId(k as u32);
            let hook = self.hook(id);
            if hook.spec.kind.lane != Lane::Host {
                continue;
            }
            match hook.step {
                Step::Given => {
                    self.command(Command::Abandon(id));
                    self.end_running(id, HookOutcome::Skipped(Skip::HostClosed), None, false, now);
                    self.after_end(id, now);
                }
                Step::Begun => {
                    self.expire_hook(id, now);
                    self.after_end(id, now);
                }
                _ => {}
            }
        }
    }
}
