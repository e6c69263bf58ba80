//! The report for people, in one line.

use std::fmt::Write;
use std::time::Duration;

use super::Report;
use crate::clock::micros;
use crate::plan::format_duration;

/// `graceshut: clean in 412ms of 9.7s after TERM: announce 2ms, drain 310ms, flush 80ms, close 20ms; exit 0`
#[must_use]
pub fn human_line(report: &Report) -> String {
    let d = |us: u64| format_duration(rounded(Duration::from_micros(us)));
    let mut line = format!("graceshut: {} in {}", report.outcome, d(report.used_us));
    if let Some(budget) = report.budget_us {
        let _ = write!(line, " of {}", d(budget));
    }
    let why = report.reason.signal.as_deref().or(report.reason.message.as_deref()).unwrap_or(&report.reason.kind);
    let _ = write!(line, " after {}", why.escape_debug());
    let phases: Vec<String> =
        report.phases.iter().filter(|p| !p.hooks.is_empty()).map(|p| format!("{} {}", p.name, d(p.used_us))).collect();
    if !phases.is_empty() {
        let _ = write!(line, ": {}", phases.join(", "));
    }
    for (phase, hook) in report.phases.iter().flat_map(|p| p.hooks.iter().map(move |h| (p, h))) {
        if hook.outcome != "ok" {
            let _ = write!(line, "; {}/{} {}", phase.name, hook.name, hook.outcome);
            if let Some(what) = hook.why.as_ref().or(hook.message.as_ref()) {
                let _ = write!(line, " ({})", what.escape_debug());
            }
        }
    }
    if let Some(left @ 1..) = report.in_flight.at_drain_end {
        let _ = write!(line, "; {left} still in flight");
    }
    match &report.exit_signal {
        Some(signal) => drop(write!(line, "; exit by {signal}")),
        None => drop(write!(line, "; exit {}", report.exit_code)),
    }
    line
}

/// How the process left, where that is news: `graceshut: the program had not left by itself, 7.3s after the plan: made to leave, which
/// cut its own stop; 2 still in flight; degraded; exit 1`. `own_stop_cut`: the program was known to have one.
#[must_use]
pub fn leave_line(report: &Report, own_stop_cut: bool) -> String {
    let after = format_duration(rounded(Duration::from_micros(report.leave.after_us.unwrap_or(0))));
    let mut line = match report.leave.how.as_str() {
        "made_to" => {
            let cut = if own_stop_cut { ", which cut its own stop" } else { "" };
            format!("graceshut: the program had not left by itself, {after} after the plan: made to leave{cut}")
        }
        _ => format!("graceshut: the program left {after} after the plan"),
    };
    if let Some(left @ 1..) = report.leave.in_flight {
        let _ = write!(line, "; {left} still in flight");
    }
    let _ = write!(line, "; {}", report.outcome);
    match &report.exit_signal {
        Some(signal) => drop(write!(line, "; exit by {signal}")),
        None => drop(write!(line, "; exit {}", report.exit_code)),
    }
    line
}

/// Three significant places are enough for a person.
pub(crate) fn rounded(d: Duration) -> Duration {
    let us = micros(d);
    let step = match us {
        0..=999 => 1,
        1_000..=99_999 => 100,
        100_000..=999_999 => 1_000,
        _ => 10_000,
    };
    Duration::from_micros((us + step / 2) / step * step)
}
