//! The report once more: what became of the process after its plan, where that is not what the report had said (spec 6.6).
//!
//! The first report is written when the plan is over, because a program may end by `_exit` at any moment after. A file is
//! replaced by what is written here. On a stream it follows, and only where somebody has to know: the program had to be made to
//! leave, outcome or status are others than those said, or the program left long after its plan (one line, no second object).

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::api::Finished;
use super::events::EventView;
use super::reporter::WRITE_LIMIT;
use crate::clock::{At, micros};
use crate::config::ReportTo;
use crate::engine::{Cut, Leaving, ReasonKind};
use crate::inflight;
use crate::report::{self, Report};

/// A process that leaves so long after its plan says so. Python waits a second for hooks that were abandoned.
const LATE: Duration = Duration::from_secs(2);

impl Shared {
    /// The host leaves by itself with `status`, after a plan that was over. Called by the thread that leaves.
    pub(super) fn host_leaves(self: &Arc<Self>, status: i32) {
        let was_waited_for = self.by_itself.waits();
        self.it_leaves();
        let by_signal = self.with_engine(|e| e.started_by().is_some() && !e.has_left());
        let ending_itself = self.reason().is_some_and(|r| matches!(r.kind, ReasonKind::HostEnd | ReasonKind::Uncaught));
        if !by_signal || ending_itself || !self.door.is_open() {
            return;
        }
        let how = if was_waited_for || self.may_leave_by_itself() { Leaving::ByItself } else { Leaving::AtOnce };
        let late = self.since_the_plan().is_some_and(|d| d >= LATE);
        let other = self.with_engine(|e| e.finished()).is_some_and(|(_, plan)| status != 0 && status != plan.code);
        if how == Leaving::ByItself || late || other {
            self.settle(how, Some(status));
        }
    }

    fn since_the_plan(&self) -> Option<Duration> {
        let over = self.with_engine(|e| e.finished_at())?;
        Some(At::now() - over)
    }

    /// Notes how the process leaves and what that cuts off, and writes the report once more. `status`: the host's own, where it
    /// is known.
    pub(super) fn settle(self: &Arc<Self>, how: Leaving, status: Option<i32>) {
        let Some(first) = self.door.finished().map(|f| Arc::clone(&f.report)) else { return };
        // A program that is left its time finishes its work in it, also where `drain` was told not to wait for that.
        let counts = self.config.inflight.value || how != Leaving::AtOnce;
        let in_flight = if counts { inflight::total() } else { 0 };
        let cut = Cut { own_stop: self.cuts_its_own_stop(how), in_flight };
        let Some(plan) = self.with_engine(|e| e.note_leaving(how, status, cut, At::now())) else { return };
        self.watchdog.set_code(plan.code);
        let mut last = self.report_like(&first);
        if let Some(status) = status.filter(|s| *s != 0 && *s != plan.code) {
            // A status that the program chose after its shutdown is kept (spec 6.5).
            (last.exit_code, last.exit_signal) = (status, None);
        }
        let changed =
            (&last.outcome, last.exit_code, &last.exit_signal) != (&first.outcome, first.exit_code, &first.exit_signal);
        let line = report::leave_line(&last, cut.own_stop);
        if how == Leaving::MadeTo {
            self.door.publish_last(Finished { report: Arc::new(last.clone()), exit: plan });
            self.events.say(EventView {
                event: "leave",
                at_us: first.used_us + last.leave.after_us.unwrap_or(0),
                outcome: Some("made_to".to_owned()),
                message: Some(line.clone()),
                value: Some(in_flight),
                ..EventView::default()
            });
        }
        let late = last.leave.after_us.is_some_and(|us| us >= micros(LATE));
        let wanted = match self.config.report.value {
            ReportTo::None => false,
            ReportTo::Path(_) | ReportTo::TerminationLog => true,
            ReportTo::Line => how == Leaving::MadeTo || changed || late,
            ReportTo::StderrJson | ReportTo::Fd(_) => how == Leaving::MadeTo || changed,
        };
        if wanted {
            // As for the first one: nothing can be done for a report that cannot be written (spec 11.1).
            let _ = report::deliver(&self.config.report.value, &line, &last.to_json(), At::now().plus(WRITE_LIMIT));
        }
    }

    /// The report as of now, with what `first` had found out from the host and the kernel.
    fn report_like(&self, first: &Report) -> Report {
        let mut report = self.report_of(&self.lock(), first.host.clone(), first.handler.clone(), &first.leave.how);
        report.triggered_at_us = first.triggered_at_us;
        report
    }
}
