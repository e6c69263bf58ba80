//! One shutdown as rows on a time axis: what every drawing of it shows, whether in characters, SVG or HTML.

use crate::duration::human;
use graceshut::Report;
use graceshut::report::{HookInfo, PhaseInfo};
use std::time::Duration;

/// The axis shows what happened, not the whole budget, when less than this part of it was used.
const ZOOM_BELOW: u64 = 5;

/// A phase or a hook.
#[derive(Clone, Debug)]
pub struct Row {
    /// A hook, inside the phase above.
    pub is_hook: bool,
    /// As registered.
    pub name: String,
    /// Began, from the trigger; `None`: never.
    pub start: Option<u64>,
    /// What it took.
    pub used: u64,
    /// What it was given; `None`: no deadline, or never started.
    pub budget: Option<u64>,
    /// The outcome in a word; of a phase, the worst of its required hooks'.
    pub outcome: String,
    /// Why, late, optional, the error's own words.
    pub note: String,
}

/// All rows, and the axis they are drawn on.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// In the order they are shown.
    pub rows: Vec<Row>,
    /// The right end of the axis, from the trigger, in microseconds.
    pub end: u64,
    /// The axis ends before the budget does.
    pub zoomed: bool,
}

impl Timeline {
    /// Lays `report` out; `whole` keeps the whole budget on the axis, however little was used.
    pub fn of(report: &Report, whole: bool) -> Timeline {
        let mut rows = Vec::new();
        for phase in &report.phases {
            rows.push(phase_row(phase));
            rows.extend(phase.hooks.iter().map(hook_row));
        }
        let used = report.used_us.max(rows.iter().filter_map(|r| Some(r.start? + r.used)).max().unwrap_or(0)).max(1);
        let budget = report.budget_us.unwrap_or(0);
        let zoomed = !whole && budget / ZOOM_BELOW > used;
        let end = if zoomed { used + used / 20 } else { budget.max(used) };
        Timeline { rows, end: end.max(1), zoomed }
    }

    /// A point of time as a share of the axis, 0 to 1.
    pub fn share(&self, us: u64) -> f64 {
        (us as f64 / self.end as f64).min(1.0)
    }
}

fn phase_row(phase: &PhaseInfo) -> Row {
    let ran = phase.state == "ran";
    let worst = phase.hooks.iter().filter(|h| !h.optional).map(|h| h.outcome.as_str()).max_by_key(|o| severity(o));
    let promise = if phase.reserve_us > 0 { format!("reserve {}", time(phase.reserve_us)) } else { String::new() };
    Row {
        is_hook: false,
        name: phase.name.clone(),
        start: ran.then_some(phase.start_us),
        used: phase.used_us,
        budget: phase.budget_us,
        outcome: if ran { worst.unwrap_or("ok") } else { "skipped" }.to_owned(),
        note: promise,
    }
}

fn hook_row(hook: &HookInfo) -> Row {
    let mut notes = Vec::new();
    if hook.kind != "function" {
        notes.push(hook.kind.clone());
    }
    notes.extend(hook.late.then(|| "late".to_owned()));
    notes.extend(hook.panic.then(|| "panic".to_owned()));
    notes.extend(hook.optional.then(|| "optional".to_owned()));
    notes.extend(hook.why.as_ref().map(|w| w.replace('_', " ")));
    notes.extend(hook.message.as_ref().map(|m| crate::verify::plain(m, 200)));
    Row {
        is_hook: true,
        name: crate::verify::plain(&hook.name, 60),
        start: hook.start_us,
        used: hook.used_us,
        budget: hook.budget_us,
        outcome: hook.outcome.clone(),
        note: notes.join(", "),
    }
}

/// Which outcome says more about a phase.
fn severity(outcome: &str) -> u8 {
    match outcome {
        "ok" => 0,
        "skipped" => 1,
        "cancelled" => 2,
        "not_started" => 3,
        "failed" => 4,
        "killed" => 5,
        _ => 6,
    }
}

/// Good, bad or neither, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Ended ok, clean.
    Good,
    /// Did not end ok, but was not lost either: late, cancelled, degraded.
    Uneasy,
    /// Failed, was left or killed; forced.
    Bad,
    /// Did not take part.
    Quiet,
}

/// The tone of an outcome of a hook or of a whole shutdown.
pub fn tone(outcome: &str) -> Tone {
    match outcome {
        "ok" | "clean" => Tone::Good,
        "cancelled" | "degraded" | "not_started" => Tone::Uneasy,
        "skipped" => Tone::Quiet,
        _ => Tone::Bad,
    }
}

/// A time as people read it.
pub fn time(us: u64) -> String {
    human(Duration::from_micros(us))
}

/// `10 ms of 2.4 s`.
pub fn used_of(row: &Row) -> String {
    match (row.start, row.budget) {
        (None, _) => "-".to_owned(),
        (Some(_), Some(budget)) => format!("{} of {}", time(row.used), time(budget)),
        (Some(_), None) => time(row.used),
    }
}

/// The shutdown in one line.
pub fn summary(report: &Report) -> String {
    let reason = report.reason.signal.clone().unwrap_or_else(|| report.reason.kind.replace('_', " "));
    let mut parts = vec![format!("{reason} at {}", clock(report.triggered_at_us))];
    match (report.grace_us, report.budget_us) {
        (Some(grace), Some(budget)) => {
            parts.push(format!("grace {} ({})", time(grace), report.grace_origin));
            parts.push(format!("used {} of {}", time(report.used_us), time(budget)));
        }
        _ => parts.push(format!("no deadline, used {}", time(report.used_us))),
    }
    if let (Some(start), Some(end)) = (report.in_flight.at_drain_start, report.in_flight.at_drain_end) {
        parts.push(format!("in flight {start} -> {end}"));
    }
    parts.push(exit(report));
    parts.join(", ")
}

/// How the process left.
pub fn exit(report: &Report) -> String {
    report.exit_signal.as_ref().map_or_else(|| format!("exit status {}", report.exit_code), |s| format!("died by {s}"))
}

/// What a reader has to know besides: repeated signals, being held up, handlers replaced, warnings.
pub fn remarks(report: &Report) -> Vec<String> {
    let mut remarks = Vec::new();
    for t in report.triggers.iter().skip(1) {
        let what = t.signal.clone().unwrap_or_else(|| t.kind.replace('_', " "));
        remarks.push(format!("another {what} after {}: {}", time(t.at_us), t.action));
    }
    remarks.extend(report.rebased_us.map(|us| format!("the process was held up for {} (SIGSTOP, suspend)", time(us))));
    for h in &report.handler {
        if h.state == "replaced" || h.repairs > 0 {
            remarks.push(format!("handler of {}: {}, put back {} times", h.signal, h.state, h.repairs));
        }
    }
    remarks.extend(report.warnings.iter().map(|w| crate::verify::plain(w, 300)));
    remarks
}

/// `2026-11-26 02:15:08Z` from microseconds since 1970.
pub fn clock(us: u64) -> String {
    let seconds = us / 1_000_000;
    let (days, day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil-from-days, for days since 1970.
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let y = yoe + era * 400 + u64::from(m <= 2);
    format!("{y:04}-{m:02}-{d:02} {:02}:{:02}:{:02}Z", day / 3600, day % 3600 / 60, day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_399, "2000-02-28 23:59:59Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_709_251_199, "2024-02-29 23:59:59Z"),
            (1_795_659_308, "2026-11-26 02:15:08Z"),
        ] {
            assert_eq!(clock(seconds * 1_000_000), text);
        }
    }
}
