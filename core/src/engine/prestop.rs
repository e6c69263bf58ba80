//! A preStop of our own (spec 7.4): announce and drain run, then the plan waits for the signal, at latest until
//! D - remaining reserves.

use super::event::Command;
use super::record::What;
use super::timer::Timer;
use super::trigger::ReasonKind;
use super::{Engine, Life};
use crate::clock::At;
use crate::plan::{ANNOUNCE, DRAIN};

/// How far the preStop of this run has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Prestop {
    /// Another trigger started the run.
    None,
    /// Announce and drain run.
    Runs,
    /// As `Runs`, and another trigger came meanwhile: there is nothing to wait for after drain.
    RunsThrough,
    /// Between two phases; the signal is awaited.
    Waits,
    /// The plan has gone on.
    Over,
}

impl Prestop {
    pub(super) fn of(kind: ReasonKind) -> Prestop {
        if kind == ReasonKind::Prestop { Prestop::Runs } else { Prestop::None }
    }

    pub(super) fn waits(self) -> bool {
        self == Prestop::Waits
    }
}

impl Engine {
    /// The first phase that a preStop keeps back.
    fn after_drain(&self) -> usize {
        let plan = &self.settings.plan;
        plan.index(DRAIN).or_else(|| plan.index(ANNOUNCE)).map_or(0, |i| i + 1)
    }

    pub(super) fn began_with_prestop(&self) -> bool {
        self.run.as_ref().is_some_and(|r| r.prestop != Prestop::None)
    }

    /// True once announce and drain of a preStop are over, and where another trigger began the shutdown: whoever asks for a
    /// preStop has nothing to wait for.
    #[must_use]
    pub fn is_past_prestop(&self) -> bool {
        self.run.as_ref().is_some_and(|r| !matches!(r.prestop, Prestop::Runs | Prestop::RunsThrough))
    }

    /// True while the plan stands between two phases and waits for the signal after a preStop.
    #[must_use]
    pub fn waits_after_prestop(&self) -> bool {
        self.run.as_ref().is_some_and(|r| r.prestop.waits())
    }

    /// The signal that counts as the one that started the shutdown (spec 6.4): after a preStop the first that came.
    #[must_use]
    pub fn started_by(&self) -> Option<i32> {
        let reason = self.reason()?;
        if reason.kind == ReasonKind::Prestop { self.triggers.signals.first } else { reason.signo }
    }

    /// Until when the plan waits for the signal, while it does.
    pub(super) fn waits_until(&self) -> Option<At> {
        let run = self.run.as_ref().filter(|r| r.prestop.waits())?;
        let own = run.budget.slots.get(run.phase).map_or(std::time::Duration::ZERO, |s| s.reserve);
        Some(run.budget.deadline.minus(own.saturating_add(run.budget.reserved_after(run.phase))))
    }

    /// Phase `i` comes next: whether it has to wait for the signal.
    pub(super) fn waits_for_signal(&mut self, i: usize, now: At) -> bool {
        let after_drain = self.after_drain();
        let Some(run) = self.run.as_mut().filter(|r| i >= after_drain && !matches!(r.prestop, Prestop::None | Prestop::Over))
        else {
            return false;
        };
        let wait = run.prestop == Prestop::Runs && !run.cut;
        run.prestop = if wait { Prestop::Waits } else { Prestop::Over };
        self.pass_drain(i);
        self.command(Command::Drained);
        match self.waits_until() {
            Some(until) if now < until => {
                self.record(now, What::PrestopWait(until - now));
                self.make_room();
                self.timers.push(until, Timer::Wait);
                true
            }
            _ => {
                self.set_over();
                false
            }
        }
    }

    fn set_over(&mut self) {
        if let Some(run) = &mut self.run {
            run.prestop = Prestop::Over;
        }
    }

    /// D or a reserve may have moved, or the time is up.
    pub(super) fn end_wait_if_due(&mut self, now: At) {
        match self.waits_until() {
            Some(until) if now < until => {
                self.make_room();
                self.timers.push(until, Timer::Wait);
            }
            Some(_) => self.go_on_after_wait(now),
            None => {}
        }
    }

    /// A trigger came before drain is over: there will be nothing to wait for.
    pub(super) fn run_through_prestop(&mut self) {
        if let Some(run) = &mut self.run
            && run.prestop == Prestop::Runs
        {
            run.prestop = Prestop::RunsThrough;
            self.tell_watchdog();
        }
    }

    /// A trigger came: if the plan waits, it goes on.
    pub(super) fn end_prestop(&mut self, now: At) {
        if self.life == Life::Stopping && self.waits_after_prestop() {
            self.go_on_after_wait(now);
        }
    }

    fn go_on_after_wait(&mut self, now: At) {
        self.set_over();
        self.tell_watchdog();
        self.enter_phase(now);
    }

    /// What the process leaves with when D is missed may have changed with the signal.
    fn tell_watchdog(&mut self) {
        if let Some(deadline) = self.deadline() {
            self.command(Command::Deadline(deadline));
        }
    }

    /// The plan ends before drain did (a third signal).
    pub(super) fn tell_drained(&mut self) {
        if !self.is_past_prestop() {
            self.set_over();
            self.command(Command::Drained);
        }
    }
}
