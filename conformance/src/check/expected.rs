//! What the scenario says.

use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use super::{Case, hooks_of};
use crate::expect::{Cancel, ExitStatus, HookExpect, Sleeper};
use crate::signals;

/// The wait status.
pub fn status(case: &Case<'_>, problems: &mut Vec<String>) {
    let Some(status) = case.played.status else { return problems.push("it has no wait status".to_owned()) };
    let seen = match (status.code(), status.signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (_, Some(signo)) => ExitStatus::Signal(signals::name(signo).map_or(signo.to_string(), str::to_owned)),
        _ => return problems.push(format!("its wait status is {status:?}")),
    };
    if seen != case.checks.exit {
        problems.push(format!("exit: {seen:?}, not {:?}", case.checks.exit));
    }
}

/// The trace's lines.
pub fn trace(case: &Case<'_>, problems: &mut Vec<String>) {
    let lines = &case.played.lines;
    let mut at = 0;
    for wanted in &case.checks.order {
        match lines[at..].iter().position(|l| l.key == *wanted) {
            Some(i) => at += i + 1,
            None => {
                let all: Vec<&str> = lines.iter().map(|l| l.key.as_str()).collect();
                problems.push(format!("order: no {wanted:?} where it has to be; the trace is {all:?}"));
                break;
            }
        }
    }
    for key in case.checks.absent.iter().filter(|k| case.played.line(k).is_some()) {
        problems.push(format!("absent: {key:?} is there"));
    }
    for (key, wanted) in &case.checks.times {
        let seen = lines.iter().filter(|l| l.key == *key).count();
        if seen != *wanted {
            problems.push(format!("times: {key:?} is there {seen} times, not {wanted}"));
        }
    }
    for wanted in &case.checks.said {
        let key = wanted.get("line").and_then(Value::as_str).unwrap_or_default();
        let fits = |l: &&crate::play::Line| wanted.iter().all(|(k, v)| k == "line" || l.fields.get(k) == Some(v));
        if !lines.iter().filter(|l| l.key == key).any(|l| fits(&l)) {
            let seen: Vec<String> = lines.iter().filter(|l| l.key == key).map(|l| l.fields.to_string()).collect();
            problems.push(format!("said: no {key:?} with {}; there is {seen:?}", Value::Object(wanted.clone())));
        }
    }
}

/// Lines that have to say the same.
pub fn same(case: &Case<'_>, problems: &mut Vec<String>) {
    for [one, other] in &case.checks.same {
        let value = |key: &str| case.played.line(key).and_then(|l| l.fields.get("value"));
        if value(one).is_none() || value(one) != value(other) {
            problems.push(format!("same: {one:?} has {:?}, {other:?} has {:?}", value(one), value(other)));
        }
    }
}

/// Files, requests, stderr.
pub fn surroundings(case: &Case<'_>, problems: &mut Vec<String>) {
    let (checks, played) = (case.checks, case.played);
    let is_there = |name: &&String| played.folder.join(name).exists();
    problems.extend(checks.files.iter().filter(|f| !is_there(f)).map(|f| format!("files: {f} is not there")));
    problems.extend(checks.no_files.iter().filter(is_there).map(|f| format!("no_files: {f} is there")));
    let (threads, files) = &played.at_ready;
    for name in checks.not_at_ready.iter().filter(|n| threads.contains(n) || files.contains(n)) {
        problems.push(format!("not_at_ready: {name} is there; threads {threads:?}, files {files:?}"));
    }
    if !checks.not_at_ready.is_empty() && threads.is_empty() {
        problems.push("not_at_ready: the threads could not be read".to_owned());
    }
    if checks.requests.as_ref().is_some_and(|r| *r != played.requests) {
        problems.push(format!("requests: {:?}, not {:?}", played.requests, checks.requests));
    }
    if let Some(wanted) = checks.sleeper
        && (wanted == Sleeper::Gone) != played.sleeper_gone
    {
        problems.push(format!("sleeper: it is not {wanted:?}"));
    }
    let said = &played.stderr;
    for text in checks.stderr.iter().filter(|t| !said.contains(t.as_str())) {
        problems.push(format!("stderr: no {text:?} in {said:?}"));
    }
    if checks.quiet && !said.is_empty() {
        problems.push(format!("quiet: stderr has {said:?}"));
    }
    let complaint = case.language.host_errors.iter().find(|e| said.contains(e.as_str()));
    match complaint {
        Some(error) if !checks.host_error => problems.push(format!("the host says {error:?} on stderr: {said}")),
        None if checks.host_error => problems.push(format!("host_error: the host said nothing of an error: {said:?}")),
        _ => {}
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The report as a whole.
pub fn report(case: &Case<'_>, problems: &mut Vec<String>) {
    let (checks, played) = (case.checks, case.played);
    let Some(report) = &played.report else {
        if checks.outcome != "none" && !checks.unreported {
            problems.push(format!("there is no report; stderr: {:?}", played.stderr));
        }
        return;
    };
    if checks.outcome == "none" {
        return problems.push(format!("there is a report: {report}"));
    }
    let mut same = |what: &str, seen: Option<&str>, wanted: Option<&str>| {
        if wanted.is_some() && seen != wanted {
            problems.push(format!("{what}: {seen:?}, not {wanted:?}"));
        }
    };
    same("outcome", text(report, "outcome"), Some(&checks.outcome));
    same("reason", text(&report["reason"], "kind"), checks.reason.as_deref());
    same("signal", text(&report["reason"], "signal"), checks.signal.as_deref());
    let message = text(&report["reason"], "message");
    if checks.message.as_ref().is_some_and(|m| !message.is_some_and(|seen| seen.contains(m.as_str()))) {
        problems.push(format!("message: {message:?}, not {:?}", checks.message));
    }
    let actions: Vec<&str> = report["triggers"].as_array().into_iter().flatten().filter_map(|t| text(t, "action")).collect();
    if checks.triggers.as_ref().is_some_and(|t| *t != actions) {
        problems.push(format!("triggers: {actions:?}, not {:?}", checks.triggers));
    }
    let phases = report["phases"].as_array().into_iter().flatten();
    let skipped: Vec<&str> = phases.filter(|p| text(p, "state") == Some("skipped")).filter_map(|p| text(p, "name")).collect();
    if checks.skipped != skipped {
        problems.push(format!("skipped: {skipped:?}, not {:?}", checks.skipped));
    }
    let in_flight = ["at_drain_start", "at_drain_end"].map(|k| report["in_flight"][k].as_u64());
    if checks.in_flight.as_ref().is_some_and(|w| w.iter().copied().map(Some).ne(in_flight)) {
        problems.push(format!("in_flight: {in_flight:?}, not {:?}", checks.in_flight));
    }
    for (pointer, wanted) in &checks.report {
        let seen = report.pointer(pointer);
        let null = wanted == "null" && seen == Some(&Value::Null);
        if seen != Some(wanted) && !null {
            problems.push(format!("report {pointer}: {seen:?}, not {wanted}"));
        }
    }
    report_and_status(report, case, problems);
}

/// What the report says of the end is how it ended, unless the program chose another one or was killed.
fn report_and_status(report: &Value, case: &Case<'_>, problems: &mut Vec<String>) {
    if case.scenario.options.get("exit").and_then(Value::as_str) == Some("manual") || !case.scenario.after_wait.is_empty() {
        return;
    }
    let said = match text(report, "exit_signal") {
        Some(name) => ExitStatus::Signal(name.to_owned()),
        None => ExitStatus::Code(report["exit_code"].as_i64().unwrap_or(-1) as i32),
    };
    let uncaught = text(&report["reason"], "kind") == Some("uncaught") || case.checks.host_error;
    if let Some(code) = case.checks.report_exit_code {
        if said != ExitStatus::Code(code) {
            problems.push(format!("report_exit_code: {said:?}, not {code}"));
        }
    } else if said != case.checks.exit && !uncaught {
        problems.push(format!("the report says that it leaves with {said:?}, not {:?}", case.checks.exit));
    }
}

/// Each hook, in report and trace.
pub fn hooks(case: &Case<'_>, report: &Value, problems: &mut Vec<String>) {
    let all = case.scenario.all_hooks();
    let default = HookExpect::default();
    for (_, row) in hooks_of(report) {
        let name = text(row, "name").unwrap_or_default();
        let wanted = case.checks.hook.get(name).unwrap_or(&default);
        in_report(case, name, row, wanted, problems);
        if all.iter().any(|h| h.name == name && h.is_function()) {
            in_trace(case, name, row, wanted, problems);
        }
    }
    for name in case.checks.hook.keys().filter(|n| hooks_of(report).all(|(_, h)| text(h, "name") != Some(n))) {
        problems.push(format!("hook {name}: it is not in the report"));
    }
    let removed = |n: &str| case.played.line(&format!("removed:{n}")).is_some_and(|l| l.fields["answer"] == "removed");
    let refused = |n: &str| case.played.line(&format!("error:{n}")).is_some();
    for hook in &case.scenario.hooks {
        let n = hook.name.as_str();
        if !removed(n) && !refused(n) && hooks_of(report).all(|(_, h)| text(h, "name") != Some(n)) {
            problems.push(format!("hook {n}: it is not in the report"));
        }
    }
}

fn in_report(case: &Case<'_>, name: &str, row: &Value, wanted: &HookExpect, problems: &mut Vec<String>) {
    let mut say = |what: String| problems.push(format!("hook {name}: {what}"));
    if text(row, "outcome") != Some(&wanted.outcome) {
        say(format!("it is {} in the report, not {:?}: {row}", row["outcome"], wanted.outcome));
    }
    if wanted.why.is_some() && text(row, "why") != wanted.why.as_deref() {
        say(format!("why is {}, not {:?}", row["why"], wanted.why));
    }
    if row["late"] != wanted.late || row["panic"] != wanted.panic {
        say(format!("late is {} and panic {}, not {} and {}", row["late"], row["panic"], wanted.late, wanted.panic));
    }
    let message = text(row, "message");
    let bare = message.map(|m| m.strip_prefix(case.language.error_prefix.as_str()).unwrap_or(m));
    if let Some(wanted) = &wanted.message {
        if bare != Some(wanted) {
            say(format!("its message is {message:?}, not {wanted:?}"));
        }
    } else if wanted.outcome != "failed" && wanted.outcome != "killed" && message.is_some() {
        say(format!("it has the message {message:?}"));
    }
}

fn in_trace(case: &Case<'_>, name: &str, row: &Value, wanted: &HookExpect, problems: &mut Vec<String>) {
    let mut say = |what: String| problems.push(format!("hook {name}: {what}"));
    let count = |what: &str| {
        let key = format!("{what}:{name}");
        case.played.lines.iter().filter(|l| l.key == key).count()
    };
    let (starts, cancels, ends) = (count("start"), count("cancel"), count("end"));
    let ran = !matches!(wanted.outcome.as_str(), "skipped" | "not_started");
    if starts != usize::from(ran) {
        say(format!("its code started {starts} times, but it is {:?}", wanted.outcome));
    }
    if cancels > 1 || ends > 1 {
        say(format!("it was cancelled {cancels} times and ended {ends} times"));
    }
    let by_outcome = Cancel::Seen(wanted.late || matches!(wanted.outcome.as_str(), "cancelled" | "abandoned"));
    let cancel = wanted.cancel.as_ref().unwrap_or(&by_outcome);
    if ran && *cancel == Cancel::Seen(cancels == 0) {
        say(format!("its code saw {cancels} cancellations"));
    }
    let end = case.played.line(&format!("end:{name}"));
    let how = end.and_then(|l| l.fields.get("how")).and_then(Value::as_str).unwrap_or("no end");
    let fits = match wanted.outcome.as_str() {
        "ok" => matches!(how, "ok" | "exit"),
        "failed" => matches!(how, "failed" | "exit") || (wanted.panic && how == "panic"),
        "cancelled" => how == "cancelled",
        "abandoned" => true,
        _ => how == "no end",
    };
    if !fits {
        say(format!("its code ended with {how:?}, the report says {}", row["outcome"]));
    }
    let said = end.and_then(|l| l.fields.get("message")).and_then(Value::as_str);
    if let (Some(said), Some(message)) = (said, text(row, "message"))
        && !message.ends_with(said)
    {
        say(format!("its code failed with {said:?}, the report says {message:?}"));
    }
}
