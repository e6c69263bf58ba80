//! From "every phase is over" to "the process is gone" (spec 6.5).
//!
//! Order: the engine finishes; the watchdog gets the decided code; the report's thread writes and opens the door; then
//! either a thread in `wait` returns and the host leaves by itself, or the host's own exit is called, or it is called only at D
//! because the program is stopping by itself (`by_itself`). The report can
//! hold this up by at most twice its `WRITE_LIMIT` (then the engine's thread has the door opened all the same); a hanging
//! host by what is left until D + margin/2.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::api::Finished;
use super::{Shared, exit, watchdog};
use crate::clock::At;
use crate::engine::{ExitPlan, ReasonKind};
use crate::wake::Wake;

/// How long a program that has not called `wait` yet may take to get there, before graceshut exits in its stead.
const LINGER: Duration = Duration::from_millis(50);
/// How long an interruptible wait sleeps at a time.
const LONG: Duration = Duration::from_secs(3600);
/// What a third signal leaves for the report.
const AT_ONCE: Duration = Duration::from_millis(50);

/// The way out: closed, finished (plan over), open (report written).
#[derive(Debug, Default)]
pub(super) struct Door {
    stage: AtomicU32,
    waiters: AtomicU32,
    wake: Wake,
    finished: OnceLock<Finished>,
    /// In the place of `finished`, for a program that was made to leave.
    last: OnceLock<Finished>,
}

const FINISHED: u32 = 1;
const OPEN: u32 = 2;

impl Door {
    pub(super) fn is_finished(&self) -> bool {
        self.stage.load(SeqCst) >= FINISHED
    }

    pub(super) fn is_open(&self) -> bool {
        self.stage.load(SeqCst) >= OPEN
    }

    pub(super) fn publish(&self, finished: Finished) {
        let _ = self.finished.set(finished); // a second publication would be the same report
    }

    pub(super) fn publish_last(&self, finished: Finished) {
        let _ = self.last.set(finished); // a process leaves once
    }

    pub(super) fn finished(&self) -> Option<&Finished> {
        self.last.get().or_else(|| self.finished.get())
    }

    /// Opens once; true for who did it.
    fn open(&self) -> bool {
        let first = self.stage.swap(OPEN, SeqCst) < OPEN;
        self.wake.notify();
        first
    }

    pub(super) fn shake(&self) {
        self.wake.notify();
    }

    /// Waits until the door is open, `until` passes or, if `interruptible`, a signal handler ran on this thread.
    /// While somebody waits here, leaving is left to them.
    pub(super) fn wait(&self, until: At, interruptible: bool, closed: impl Fn() -> bool) -> bool {
        self.waiters.fetch_add(1, SeqCst);
        // With no limit at all the kernel restarts the wait after a handler with SA_RESTART, and nobody would look; with
        // one it answers EINTR whatever the flags (embedding A7).
        let until = if interruptible { until.min(At::now().plus(LONG)) } else { until };
        let open = loop {
            let seen = self.wake.seen();
            if self.is_open() || closed() || At::now() >= until {
                break self.is_open();
            }
            self.wake.wait(seen, until);
            if interruptible && self.wake.seen() == seen {
                break self.is_open();
            }
        };
        if !open {
            self.waiters.fetch_sub(1, SeqCst);
        }
        open
    }

    /// Some thread waits here, or has passed.
    pub(super) fn awaited(&self) -> bool {
        self.waiters.load(SeqCst) > 0
    }

    /// Until `until`, or until something about leaving changed.
    pub(super) fn rest(&self, until: At) {
        let seen = self.wake.seen();
        if At::now() < until {
            self.wake.wait(seen, until);
        }
    }
}

impl Shared {
    /// The engine says that the plan is over. Runs on the engine's thread: never blocks.
    pub(super) fn on_finish(self: &Arc<Self>, plan: ExitPlan, at_once: bool) {
        self.watchdog.set_code(plan.code);
        self.door.stage.fetch_max(FINISHED, SeqCst);
        let now = At::now();
        let (deadline, margin) = {
            let core = self.lock();
            (core.engine.deadline().unwrap_or(At::NEVER), core.engine.window().map_or(Duration::ZERO, |(_, m)| m))
        };
        let mut hard = deadline.plus(margin / 2);
        if let Some(cap) = self.config.exit_cap.value {
            hard = hard.min(now.plus(cap));
        }
        if at_once {
            hard = hard.min(now.plus(AT_ONCE.min(margin / 2)));
        }
        if self.watchdog_on || at_once && self.leaves() {
            self.watchdog.set(hard, Duration::from_secs(1).max(margin), margin / 2);
            self.watchdog.notify();
        }
        self.at_once.store(at_once, SeqCst);
        if at_once && self.by_itself.waits() {
            self.hurry();
        }
        self.drained.notify();
    }

    /// The report hangs: another thread opens the door instead. Made only then; where none can be made the process ends
    /// here, since only the host's own exit would need one.
    pub(super) fn overtake_report(self: &Arc<Self>) {
        if self.door.is_open() {
            return;
        }
        let shared = Arc::clone(self);
        let leave = move || {
            crate::signal::block_all_but(None);
            shared.open_door();
            shared.see_it_off();
        };
        let made = crate::process::thread::spawn("gs-leave", 0, Box::new(leave));
        match self.exit_plan() {
            Some(plan) if made.is_err() && self.leaves() => watchdog::leave(plan.code),
            _ if made.is_err() => self.open_door(),
            _ => {}
        }
    }

    fn exit_plan(&self) -> Option<ExitPlan> {
        self.with_engine(|e| e.finished()).map(|(_, plan)| plan)
    }

    /// The report is written, or given up: whoever is to leave may leave.
    pub(super) fn open_door(self: &Arc<Self>) {
        if self.door.finished().is_none() {
            let report = Arc::new(self.build_report());
            if let Some(exit) = self.exit_plan() {
                self.door.publish(Finished { report, exit });
            }
        }
        if !self.door.open() || !self.leaves() {
            return;
        }
        let Some(finished) = self.door.finished() else { return };
        if self.at_once.load(SeqCst) {
            self.exit_at_once(finished.exit);
        }
        let ending_itself = self.reason().is_some_and(|r| matches!(r.kind, ReasonKind::HostEnd | ReasonKind::Uncaught));
        if ending_itself && !self.host.waits_for_exit() || !self.host_lingers() {
            return;
        }
        if self.may_leave_by_itself() {
            return self.let_it_leave();
        }
        self.tell_it_to_leave();
        self.host.exit(finished.exit);
    }

    /// As a third signal has it: without the host's exit.
    pub(super) fn exit_at_once(&self, plan: ExitPlan) -> ! {
        self.unlink_admin();
        self.host.leaving_at_once();
        watchdog::leave(plan.code)
    }

    /// True when the host does not leave by itself and has to be told.
    fn host_lingers(&self) -> bool {
        let until = At::now().plus(if self.host.leaves_by_wait() { LINGER } else { Duration::ZERO });
        loop {
            let seen = self.door.wake.seen();
            if self.door.awaited() || exit::host_is_exiting() {
                return false;
            }
            if At::now() >= until {
                return true;
            }
            self.door.wake.wait(seen, until);
        }
    }
}
