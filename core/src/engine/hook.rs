//! One hook's life inside a shutdown: started, cancelled, ended (spec 5.5, 5.8, 6.1).

use std::time::Duration;

use super::Engine;
use super::event::{Command, Ending};
use super::outcome::{HookOutcome, NotStarted, Skip};
use super::record::What;
use super::registry::{HookId, Kind, Lane, Pause, Step};
use super::timer::Timer;
use crate::clock::At;
use crate::plan::{OnFailure, hook_box, hook_soft};

/// The most `extend` moves a deadline at a time; more is a mistake.
const EXTEND_LIMIT: Duration = Duration::from_secs(3600);

/// Extensions of one hook kept in the event list.
const EXTENDS_KEPT: u8 = 3;

impl Engine {
    /// Starts a waiting hook of the running phase; its timers are armed before the lane hears of it (spec 5.6).
    pub(super) fn start_hook(&mut self, id: HookId, now: At) {
        let Some(run) = &mut self.run else { return };
        run.waiting -= 1;
        let pause = self.pause_of(id);
        let limit = self.box_end(id);
        let spec = &self.hook(id).spec;
        let hard = spec.timeout.map_or(limit, |t| limit.min(now.plus(t)));
        if self.host_closed && spec.kind.lane == Lane::Host {
            return self.end_hook(id, HookOutcome::Skipped(Skip::HostClosed), None, false, now);
        }
        if hard <= now && pause.is_none() {
            let why = self.why_no_time(now);
            return self.end_hook(id, HookOutcome::Skipped(why), None, false, now);
        }
        let hook = &mut self.hooks[id.index()];
        hook.start = now;
        hook.step = Step::Given;
        // A pause that is cut short has done all it could: no soft deadline, ok at the end.
        hook.hard = pause.map_or(hard, |p| hard.min(now.plus(p)).max(now));
        hook.soft = if pause.is_some() { At::NEVER } else { hook_soft(hard, hard - now) };
        let (soft, hard) = (hook.soft, hook.hard);
        if let Some(run) = &mut self.run {
            run.running += 1;
        }
        self.record(now, What::HookStart(id, hard - now));
        self.arm_timers(id, soft, hard);
        if pause.is_none() {
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
        self.make_room();
        self.timers.push(soft, Timer::Hook(id));
        self.timers.push(hard, Timer::Hook(id));
    }

    /// Makes sure that two timers more fit into what was set aside.
    pub(super) fn make_room(&mut self) {
        if self.timers.lacks_room() {
            let (hooks, held_until, waits_until) = (&self.hooks, self.held_until, self.waits_until());
            self.timers.compact(|at, timer| match timer {
                Timer::Hold => Some(at) == held_until,
                Timer::Wait => Some(at) == waits_until,
                Timer::Hook(id) => {
                    hooks.get(id.index()).is_some_and(|h| h.runs() && (at == h.hard || (at == h.soft && !h.cancelled)))
                }
            });
        }
    }

    /// The latest end of a hook: the phase's, less what hooks further down its line keep (spec 4.6).
    fn box_end(&self, id: HookId) -> At {
        let Some(run) = &self.run else { return At::NEVER };
        if self.is_serial(run.phase) {
            return hook_box(run.end, run.given, run.waiting, self.hooks_in(run.phase));
        }
        let (behind, line) = self.rosters.get(run.phase).map_or((0, 0), |r| r.chain(self.hook(id).name));
        hook_box(run.end, run.given, behind.min(run.waiting), line)
    }

    /// After the phase's end moved closer: a running hook follows, but never into the past.
    pub(super) fn retime_hook(&mut self, id: HookId, now: At) {
        let limit = self.box_end(id).max(now);
        let hook = &mut self.hooks[id.index()];
        if !hook.runs() || limit >= hook.hard {
            return;
        }
        hook.hard = limit;
        if hook.spec.kind.pause.is_none() {
            // Of what is left, not of the whole: a hook that still has time is not cancelled for having had more before.
            hook.soft = hook.soft.min(hook_soft(limit, limit - now));
        }
        let (soft, hard) = (hook.soft, hook.hard);
        self.arm_timers(id, soft, hard);
    }

    /// After a re-base the running hooks of a reserved phase get its whole reserve again.
    pub(super) fn restart_hook_clock(&mut self, id: HookId, now: At) {
        let limit = self.box_end(id);
        let hook = &mut self.hooks[id.index()];
        if hook.spec.kind.pause.is_some() {
            hook.hard = hook.hard.min(limit);
        } else {
            hook.hard = hook.spec.timeout.map_or(limit, |t| limit.min(now.plus(t)));
            hook.soft = hook_soft(hook.hard, hook.hard - now);
        }
        let (soft, hard) = (hook.soft, hook.hard);
        self.arm_timers(id, soft, hard);
    }

    /// More time for a running hook, asked before its soft deadline; answers what was granted (spec 5.8): never what later
    /// phases, or hooks further down its own line, keep. A hook without a deadline has all it asks for.
    pub fn extend(&mut self, id: HookId, more: Duration, now: At) -> Duration {
        let more = more.min(EXTEND_LIMIT);
        let (Some(run), Some(hook)) = (&self.run, self.hooks.get(id.index())) else {
            return Duration::ZERO;
        };
        if !hook.runs() || hook.cancelled || now >= hook.soft.min(hook.hard) || hook.spec.kind.pause.is_some() || run.cut {
            return Duration::ZERO;
        }
        let hard = hook.hard;
        if hard.is_never() {
            return more;
        }
        let wish = hard.plus(more);
        let kept = if run.end.is_never() { Duration::ZERO } else { run.end - self.box_end(id) };
        let mut limit = run.budget.latest_end(run.phase, run.start, now).minus(kept);
        if wish > limit && self.settings.systemd_extend {
            let deadline = wish.plus(kept).plus(run.budget.reserved_after(run.phase));
            if deadline > run.budget.deadline {
                self.move_deadline(deadline, now);
                self.command(Command::ExtendTimeout(deadline));
            }
            limit = wish;
        }
        let new = wish.min(limit);
        if new <= hard {
            return Duration::ZERO;
        }
        if let Some(run) = &mut self.run {
            run.end = run.end.max(new.plus(kept));
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

    pub(super) fn on_taken(&mut self, id: HookId) {
        if let Some(hook) = self.hooks.get_mut(id.index()) {
            hook.taken = true;
        }
    }

    pub(super) fn on_begun(&mut self, id: HookId) {
        if let Some(hook) = self.hooks.get_mut(id.index())
            && hook.step == Step::Given
            && hook.spec.kind.pause.is_none()
        {
            hook.step = Step::Begun;
        }
    }

    /// True while the body of `id` may still begin: a lane asks before it calls, so that a hook whose time passed never runs.
    #[must_use]
    pub fn may_begin(&self, id: HookId) -> bool {
        self.hooks.get(id.index()).is_some_and(|h| h.step == Step::Given)
    }

    /// A worker took a hook of a kind that prepares itself; false when its time has passed.
    pub fn note_preparing(&mut self, id: HookId) -> bool {
        let may = self.may_begin(id);
        if let Some(hook) = self.hooks.get_mut(id.index()) {
            hook.preparing = may;
        }
        may
    }

    pub(super) fn on_done(&mut self, id: HookId, ending: Ending, code: Option<i32>, now: At) {
        let Some(hook) = self.hooks.get_mut(id.index()) else { return };
        if code.is_some() && self.proposed_code.is_none() {
            self.proposed_code = code;
        }
        if std::mem::take(&mut hook.dying) {
            if let Ending::Stopped(place) = ending {
                self.record(now, What::HookStopped(id, place));
            }
            return;
        }
        if hook.still_running {
            hook.still_running = false;
            return self.record(now, What::HookReturned(id));
        }
        if !hook.runs() {
            return;
        }
        // The deadline decides, not the order in which two threads were scheduled. It has ended, so nobody is told to end it.
        if now >= hook.hard && hook.spec.kind.pause.is_none() {
            let killable = hook.spec.kind.killable;
            let outcome = match killable {
                // It gave up by itself, before the engine looked.
                true if hook.preparing && hook.step != Step::Begun => HookOutcome::NotStarted(NotStarted::NotCompiled),
                true => HookOutcome::Killed,
                false => HookOutcome::Abandoned,
            };
            let place = if let Ending::Stopped(place) = ending { Some(place) } else { None };
            self.end_running(id, outcome, place, false, now);
            if !killable {
                self.record(now, What::HookReturned(id));
            }
            return self.go_on(now);
        }
        let (outcome, message, panic) = match ending {
            Ending::Ok => (HookOutcome::Ok, None, false),
            Ending::Failed { message, panic } => (HookOutcome::Failed, Some(message), panic),
            Ending::Cancelled => (HookOutcome::Cancelled, None, false),
            Ending::Stopped(place) => (HookOutcome::Killed, Some(place), false),
        };
        self.end_running(id, outcome, message, panic, now);
        self.go_on(now);
    }

    fn end_running(&mut self, id: HookId, outcome: HookOutcome, message: Option<String>, panic: bool, now: At) {
        if let Some(run) = &mut self.run {
            run.running -= 1;
        }
        self.end_hook(id, outcome, message, panic, now);
    }

    /// Writes the one outcome of a hook down, and what follows from it.
    pub(super) fn end_hook(&mut self, id: HookId, outcome: HookOutcome, message: Option<String>, panic: bool, now: At) {
        let hook = &mut self.hooks[id.index()];
        let late = outcome == HookOutcome::Ok && now > hook.soft;
        let was_open = hook.is_open();
        hook.step = Step::Ended;
        hook.outcome = Some(outcome);
        let optional = hook.spec.optional;
        // A host that ends by itself has chosen to; one that a signal asked to leave has left this undone (spec 6.3).
        let undone = outcome == HookOutcome::Skipped(Skip::HostClosed) && self.started_by().is_some();
        let hook = &self.hooks[id.index()];
        if (outcome.degrades() || undone) && !optional {
            self.degraded = true;
            let jump =
                self.settings.plan.phases().get(hook.spec.phase).map(|p| p.on_failure) == Some(OnFailure::SkipToReserved);
            if let Some(run) = &mut self.run {
                run.skip_to_reserved |= jump && was_open;
                run.forced |= now >= run.budget.deadline && outcome.is_undone();
            }
        }
        self.record(now, What::HookEnd { hook: id, outcome, late, panic, message });
        if was_open {
            self.count_off(id);
        }
    }

    /// What is due of one hook: its soft deadline, then its hard one.
    pub(super) fn look_at_hook(&mut self, id: HookId, now: At) {
        let hook = self.hook(id);
        if !hook.runs() {
            return;
        }
        if now >= hook.hard {
            self.expire_hook(id, now);
            self.go_on(now);
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

    /// The hard deadline: the hook is no longer waited for. One that began is cancelled first if it never was, so that an
    /// abandoned body can always find out.
    pub(super) fn expire_hook(&mut self, id: HookId, now: At) {
        let hook = self.hook(id);
        let (kind, begun) = (hook.spec.kind, hook.step == Step::Begun);
        let (taken, preparing) = (hook.taken, hook.preparing);
        let outcome = match kind {
            Kind { pause: Some(_), .. } => HookOutcome::Ok,
            Kind { killable: true, .. } if begun => HookOutcome::Killed,
            Kind { prepares: true, .. } if !begun && preparing => HookOutcome::NotStarted(NotStarted::NotCompiled),
            Kind { lane: Lane::Host, .. } if !begun && taken => HookOutcome::NotStarted(NotStarted::HostBusy),
            Kind { lane: Lane::Native | Lane::Host, .. } if !begun => HookOutcome::NotStarted(NotStarted::NoWorker),
            _ => HookOutcome::Abandoned,
        };
        let left = matches!(outcome, HookOutcome::Abandoned | HookOutcome::Killed);
        if left && !(kind.lane == Lane::Host && self.host_closed) {
            self.cancel_hook(id, now);
        }
        self.hook_mut(id).still_running = outcome == HookOutcome::Abandoned && kind.lane != Lane::Engine;
        // Only such a kind says where it was; a command's last word is its status, which nobody waits for.
        self.hook_mut(id).dying = outcome == HookOutcome::Killed && kind.prepares;
        match outcome {
            HookOutcome::Killed => self.command(Command::Kill(id)),
            HookOutcome::Ok => {}
            _ => self.command(Command::Abandon(id)),
        }
        self.end_running(id, outcome, None, false, now);
    }

    /// The host can run nothing any more: its hooks that have not begun are skipped, which degrades nothing (spec 2.6).
    /// The host can run nothing any more.
    pub(crate) fn host_is_closed(&self) -> bool {
        self.host_closed
    }

    pub(super) fn on_host_closed(&mut self, now: At) {
        if std::mem::replace(&mut self.host_closed, true) {
            return;
        }
        let Some(i) = self.current_phase() else { return };
        for k in 0..self.rosters[i].hooks.len() {
            let id = self.rosters[i].hooks[k];
            let hook = self.hook(id);
            if hook.spec.kind.lane != Lane::Host {
                continue;
            }
            let skipped = HookOutcome::Skipped(Skip::HostClosed);
            match hook.step {
                Step::Waiting => {
                    if let Some(run) = &mut self.run {
                        run.waiting -= 1;
                    }
                    self.end_hook(id, skipped, None, false, now);
                }
                Step::Given => {
                    self.command(Command::Abandon(id));
                    self.end_running(id, skipped, None, false, now);
                }
                Step::Begun => self.expire_hook(id, now),
                _ => {}
            }
        }
        self.go_on(now);
    }
}
