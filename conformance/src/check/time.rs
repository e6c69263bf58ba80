//! Bounds on times. One slack for all of them: the machine is shared.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Case, hooks_of};
use crate::expect::Time;

/// Below a bound: clocks, and the runner reading a line.
pub const BELOW: i64 = 15_000;
/// Below a bound on what begins with a line of the driver's: it may be read late.
pub const BELOW_READ: i64 = 100_000;
/// Above a bound: what a busy machine adds.
pub const ABOVE: i64 = 400_000;
/// From the last phase until the process is gone: what finalisers of a language may take.
const FINALISERS: i64 = 1_000_000;

fn between(from: Instant, to: Instant) -> i64 {
    match to.checked_duration_since(from) {
        Some(d) => d.as_micros() as i64,
        None => -((from - to).as_micros() as i64),
    }
}

/// Margin and budget, by 5.3.
#[must_use]
pub fn margin_of(grace: i64) -> i64 {
    (grace * 3 / 100).clamp(100_000, 2_000_000).min(grace / 4)
}

fn millis(us: i64) -> String {
    format!("{:.1} ms", us as f64 / 1000.0)
}

fn fits(what: &str, seen: i64, low: i64, high: i64, problems: &mut Vec<String>) {
    fits_but(BELOW, what, seen, low, high, problems);
}

fn fits_but(below: i64, what: &str, seen: i64, low: i64, high: i64, problems: &mut Vec<String>) {
    if seen < low - below || seen > high + ABOVE {
        problems.push(format!(
            "time: {what} took {}, not {} to {} (and the slack of {} and {})",
            millis(seen),
            millis(low),
            millis(high),
            millis(below),
            millis(ABOVE)
        ));
    }
}

/// Start and end of each hook, in the trace and in the report; its budget in its context.
pub fn hooks(case: &Case<'_>, report: &Value, problems: &mut Vec<String>) {
    let Some(t0) = case.played.trigger() else { return };
    let frozen = is_frozen(case);
    for (_, row) in hooks_of(report) {
        let name = row["name"].as_str().unwrap_or_default();
        let (Some(start), Some(line)) = (row["start_us"].as_i64(), case.played.line(&format!("start:{name}"))) else {
            continue;
        };
        fits(&format!("until {name} starts, by the report {},", millis(start)), between(t0, line.at), start, start, problems);
        let end = case.played.line(&format!("end:{name}"));
        if let (Some(end), Some(used), false) = (end, row["used_us"].as_i64(), row["outcome"] == "abandoned") {
            let at = start + used;
            // The last line of a hook is read before its end is known: earlier by what lies between.
            if !frozen {
                fits(
                    &format!("until {name} ends, by the report {},", millis(at)),
                    between(t0, end.at),
                    at - ABOVE,
                    at,
                    problems,
                );
            }
        }
        let (remaining, budget) = (line.fields["remaining_us"].as_i64(), row["budget_us"].as_i64());
        let granted: i64 = case
            .played
            .lines
            .iter()
            .filter(|l| l.key == format!("extended:{name}"))
            .filter_map(|l| l.fields["granted_us"].as_i64())
            .sum();
        match (remaining, budget) {
            (None, None) => {}
            (Some(r), Some(b)) if r <= b - granted + BELOW && (r >= b - granted - ABOVE || frozen) => {}
            _ => problems.push(format!("time: context of {name}: remaining is {remaining:?} us, its budget {budget:?} us")),
        }
    }
}

/// True when the whole process is held up for a while, so that its own times mean little.
fn is_frozen(case: &Case<'_>) -> bool {
    case.scenario.events.iter().any(|e| e.signal.as_deref() == Some("STOP"))
}

/// Margin, budget, and that the process is gone at D + margin/2.
pub fn gone(case: &Case<'_>, report: &Value, problems: &mut Vec<String>) {
    left_at_once(case, report, problems);
    let Some(grace) = report["grace_us"].as_i64() else { return };
    let margin = margin_of(grace);
    let spent = report["already_spent_us"].as_i64().unwrap_or(0);
    let spent = if report["reason"]["kind"] == "signal" { spent } else { 0 };
    let budget = grace - spent - margin;
    if report["margin_us"].as_i64() != Some(margin) || report["budget_us"].as_i64() != Some(budget) {
        problems.push(format!(
            "of a grace of {} the margin is {} and the budget {}, not {} and {}",
            millis(grace),
            report["margin_us"],
            report["budget_us"],
            margin,
            budget
        ));
    }
    let options = &case.scenario.options;
    let unguarded = options.get("watchdog") == Some(&Value::Bool(false))
        || options.get("exit").and_then(Value::as_str) == Some("manual")
        || is_frozen(case);
    let (Some(t0), Some(exit)) = (case.played.trigger(), case.played.line("gone")) else { return };
    if !unguarded {
        fits("until the process was gone", between(t0, exit.at), 0, budget + margin / 2, problems);
    }
}

/// Nothing keeps the process once the plan is over, unless the scenario says so or a hook was abandoned: the host's own exit
/// may have to wait for what is still inside (6.5), until D + margin/2.
fn left_at_once(case: &Case<'_>, report: &Value, problems: &mut Vec<String>) {
    let (Some(t0), Some(gone)) = (case.played.trigger(), case.played.line("gone")) else { return };
    let over = report["used_us"].as_i64().unwrap_or(0);
    let left = hooks_of(report).any(|(_, h)| h["outcome"] == "abandoned");
    if !case.checks.lingers && !left && !is_frozen(case) {
        fits("from the end of the last phase until the process was gone", between(t0, gone.at) - over, 0, FINALISERS, problems);
    }
}

/// `[[expect.time]]`.
pub fn bounds(case: &Case<'_>, problems: &mut Vec<String>) {
    for time in &case.checks.time {
        match bound(case, time) {
            Ok((seen, whole)) => {
                let part = |p: f64| (whole as f64 * p / 100.0) as i64;
                let what = format!("{} to {} ({}-{} % of {})", time.from, time.to, time.percent[0], time.percent[1], time.of);
                let ours = time.from == "trigger" || time.from.starts_with("signal:") || time.from.starts_with("act:");
                let below = if ours { BELOW } else { BELOW_READ };
                fits_but(below, &what, seen, part(time.percent[0]), part(time.percent[1]), problems);
            }
            Err(words) => problems.push(words),
        }
    }
}

fn bound(case: &Case<'_>, time: &Time) -> Result<(i64, i64), String> {
    let at = |key: &str| {
        let at = if key == "trigger" { case.played.trigger() } else { case.played.line(key).map(|l| l.at) };
        at.ok_or_else(|| format!("time: there is no {key:?} in the trace"))
    };
    let of_report = |key: &str| {
        let report = case.played.report.as_ref().and_then(|r| r.get(key)).and_then(Value::as_i64);
        report.ok_or_else(|| format!("time: the report has no {key}"))
    };
    let whole = match time.of.as_str() {
        "budget" => of_report("budget_us")?,
        "grace" => of_report("grace_us")?,
        text => parse(text).ok_or_else(|| format!("time: {text:?} is neither \"budget\", \"grace\" nor a time"))?,
    };
    Ok((between(at(&time.from)?, at(&time.to)?), whole))
}

fn parse(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let n: u64 = digits.parse().ok()?;
    let d = match &text[digits.len()..] {
        "ms" => Duration::from_millis(n),
        "s" => Duration::from_secs(n),
        _ => return None,
    };
    i64::try_from(d.as_micros()).ok()
}
