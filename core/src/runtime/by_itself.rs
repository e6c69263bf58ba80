//! Who leaves first (spec 6.6): a program that handles the signal itself may be stopping by itself when the plan is over. It may
//! go on with that until D; only then is the host's exit called.
//!
//! The thread that opened the door sees to it: the report's, or the one that took over from it (`leave`). Nothing wakes it
//! before D unless the program begins to leave, says that its own stop is over, or a signal leaves at once.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use super::{Shared, exit};
use crate::clock::At;
use crate::config::Leave;
use crate::engine::{Leaving, ShutdownOutcome};
use crate::error::{Error, ErrorKind};
use crate::host::OwnHandler;
use crate::signal::name;

/// What is known of the program's own way out.
#[derive(Debug, Default)]
pub(crate) struct ByItself {
    /// Bit n - 1: the program has a handler of its own for signal n.
    own: AtomicU64,
    /// As `own`: it may have one, which the host cannot be asked.
    assumed: AtomicU64,
    /// As `own`: signal n was handed on to the program, which has it blocked.
    handed_on: AtomicU64,
    /// Fixed when the plan is over: the program may leave by itself.
    may: OnceLock<bool>,
    /// Fixed with it, because a handler may be gone when the program is made to leave: what is known of its own.
    handler: OnceLock<OwnHandler>,
    stage: AtomicU32,
    /// D, while it is waited for.
    until: AtomicU64,
    /// Do not wait any longer: the program sent itself the signal, one that was handed on came back, or one leaves at once (spec 7.2).
    hurry: AtomicBool,
    /// A signal that was handed on came back: the program does nothing about it.
    came_back: AtomicBool,
}

/// The program is waited for.
const WAITS: u32 = 1;
/// It has begun to leave, or was made to.
const OVER: u32 = 2;
/// The host's exit was called as soon as the plan was over; at D it is looked whether it took.
const TOLD: u32 = 3;

fn bit(signo: i32) -> u64 {
    1u64.checked_shl(signo.unsigned_abs().wrapping_sub(1)).unwrap_or(0)
}

impl ByItself {
    pub(super) fn set_own_handler(&self, signo: i32, has: OwnHandler) -> Result<(), Error> {
        if name::name_of(signo).is_none() {
            return Err(Error::new(ErrorKind::BadValue, format!("{signo} is not the number of a signal")));
        }
        for (signals, wanted) in [(&self.own, OwnHandler::Known), (&self.assumed, OwnHandler::Assumed)] {
            if has == wanted {
                signals.fetch_or(bit(signo), SeqCst);
            } else {
                signals.fetch_and(!bit(signo), SeqCst);
            }
        }
        Ok(())
    }

    /// The program has `signo` blocked and is given it, to take when and as it wants to.
    pub(super) fn hand_on(&self, signo: i32) {
        self.handed_on.fetch_or(bit(signo), SeqCst);
    }

    pub(super) fn waits(&self) -> bool {
        self.stage.load(SeqCst) == WAITS
    }

    /// When there is something to do about the program's leaving.
    pub(super) fn until(&self) -> At {
        match (self.stage.load(SeqCst), self.hurry.load(SeqCst)) {
            (WAITS, true) => At(0),
            (WAITS, false) | (TOLD, _) => At(self.until.load(SeqCst)),
            _ => At::NEVER,
        }
    }
}

impl Shared {
    /// The program has a handler of its own for `signo`, by what the binding has said or says now.
    pub(super) fn has_own_handler(&self, signo: i32) -> bool {
        let said = self.by_itself.own.load(SeqCst) | self.by_itself.assumed.load(SeqCst);
        said & bit(signo) != 0 || self.host.has_own_handler(signo)
    }

    /// A signal that was handed on met our handler: the program has unblocked it, its critical section is over. Where no handler of
    /// its own is called then, nothing in it will stop it.
    pub(super) fn came_back(&self, signo: i32) {
        let was = self.by_itself.handed_on.fetch_and(!bit(signo), SeqCst) & bit(signo) != 0;
        if was && self.by_itself.waits() && !self.has_own_handler(signo) {
            self.by_itself.came_back.store(true, SeqCst);
            self.hurry();
        }
    }

    /// What is known of the program's own handler for the signal that started the shutdown. A program that takes the signal without a
    /// handler counts as one that has it; who can be asked wins over what is assumed. Asked when the plan is over; the first answer stays.
    fn own_handler(&self) -> OwnHandler {
        *self.by_itself.handler.get_or_init(|| {
            let Some(signo) = self.with_engine(|e| e.started_by()) else { return OwnHandler::None };
            let said = |signals: &AtomicU64| signals.load(SeqCst) & bit(signo) != 0;
            let known = said(&self.by_itself.own) || said(&self.by_itself.handed_on) || self.host.has_own_handler(signo);
            match known {
                true => OwnHandler::Known,
                false if said(&self.by_itself.assumed) => OwnHandler::Assumed,
                false => OwnHandler::None,
            }
        })
    }

    /// True when the program may leave by itself until D. Asked when the plan is over; the first answer stays.
    pub(super) fn may_leave_by_itself(&self) -> bool {
        *self.by_itself.may.get_or_init(|| {
            let own_handler = self.own_handler();
            let (outcome, by_signal, deadline) =
                self.with_engine(|e| (e.finished().map(|(outcome, _)| outcome), e.started_by().is_some(), e.deadline()));
            if !by_signal || !self.leaves() || self.at_once.load(SeqCst) {
                return false;
            }
            // A plan that was cut has no time to give away, and without D there would be no end to the waiting.
            let has_time = deadline.is_some_and(|d| !d.is_never() && At::now() < d);
            if !has_time || outcome.is_none_or(|o| o == ShutdownOutcome::Forced) {
                return false;
            }
            match self.config.leave.value {
                Leave::AtOnce => false,
                _ if self.with_engine(|e| e.is_done_by_itself()) => false,
                Leave::ByItself => true,
                Leave::Auto => !self.door.awaited() && !self.host.is_waiting() && own_handler != OwnHandler::None,
            }
        })
    }

    /// From here on the program is waited for.
    pub(super) fn let_it_leave(&self) {
        self.look_at(WAITS, self.with_engine(|e| e.deadline()).unwrap_or(At(0)));
    }

    /// The host's exit is about to be called at once.
    pub(super) fn tell_it_to_leave(&self) {
        let told = self.with_engine(|e| e.started_by().and(e.deadline()).zip(e.window()));
        if let Some((deadline, (_, margin))) = told {
            // Late enough for a host that was told in the last moment, and before the watchdog, so that the report is written again.
            self.look_at(TOLD, deadline.minus(margin / 2).max(At::now().plus(margin / 2)));
        }
    }

    fn look_at(&self, stage: u32, when: At) {
        self.by_itself.until.store(when.0, SeqCst);
        let _ = self.by_itself.stage.compare_exchange(0, stage, SeqCst, SeqCst); // over already: it has begun to leave
    }

    /// The program leaves: the host's exit is not called any more.
    pub(super) fn it_leaves(&self) {
        self.by_itself.stage.store(OVER, SeqCst);
    }

    /// Another stop signal came while the program was waited for.
    pub(super) fn hurry(&self) {
        self.by_itself.hurry.store(true, SeqCst);
        self.events.bell();
        self.door.shake();
    }

    /// Calls the host's exit when D has come and the program is still there.
    pub(super) fn leave_if_due(self: &Arc<Self>) {
        if At::now() < self.by_itself.until() {
            return;
        }
        if self.door.awaited() || exit::host_is_exiting() {
            return self.it_leaves();
        }
        if self.by_itself.stage.compare_exchange(TOLD, OVER, SeqCst, SeqCst).is_ok() {
            if let (false, Some((outcome, plan))) = (self.host.is_leaving(), self.with_engine(|e| e.finished())) {
                if outcome == ShutdownOutcome::Clean {
                    self.settle(Leaving::MadeTo, None);
                }
                self.host.exit(plan);
            }
            return;
        }
        if self.by_itself.stage.compare_exchange(WAITS, OVER, SeqCst, SeqCst).is_err() {
            return;
        }
        self.made_to_leave();
        let Some((_, plan)) = self.with_engine(|e| e.finished()) else { return };
        if self.at_once.load(SeqCst) {
            self.exit_at_once(plan);
        }
        self.host.exit(plan);
    }

    /// The program was waited for, and leaves now by the host's exit. Where a signal said that its own stop is over it has left by
    /// itself: without graceshut that signal would have ended it.
    pub(super) fn made_to_leave(self: &Arc<Self>) {
        let its_stop_is_over = self.by_itself.came_back.load(SeqCst) || self.with_engine(|e| e.is_done_by_itself());
        self.settle(if its_stop_is_over { Leaving::ByItself } else { Leaving::MadeTo }, None);
    }

    /// Being made to leave cuts a stop of the program's own, unless nothing is known of one (spec 6.3).
    pub(super) fn cuts_its_own_stop(&self, how: Leaving) -> bool {
        let said = self.config.leave.value == Leave::ByItself;
        how == Leaving::MadeTo && (said || self.own_handler() != OwnHandler::Assumed)
    }

    /// As the report's thread does it, for the one that took over from it.
    pub(super) fn see_it_off(self: &Arc<Self>) {
        while self.by_itself.waits() && !self.closed.load(SeqCst) {
            self.door.rest(self.by_itself.until());
            self.leave_if_due();
        }
    }
}
