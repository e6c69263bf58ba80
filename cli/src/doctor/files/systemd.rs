//! systemd units: TimeoutStopSec, KillMode, signals, notifications, the command.

use super::command;
use super::ini::{self, Entry, Style};
use super::place::{Grace, Place};
use super::{Sheet, docker, shell};
use graceshut::parse_duration;
use std::time::Duration;

/// DefaultTimeoutStopSec, where the distribution did not change it.
const USUAL: Duration = Duration::from_secs(90);
/// Programs that send READY=1 and STOPPING=1 when asked to.
const NOTIFIES: &[&str] = &["gunicorn", "uwsgi"];

/// Examines the `[Service]` section.
pub fn check(sheet: &mut Sheet<'_>) {
    let (entries, sections) = ini::parse(sheet.text, Style::Backslash);
    let service: Vec<&Entry> = entries.iter().filter(|e| e.section == "Service").collect();
    let Some(start_line) = sections.iter().find(|(s, _)| s == "Service").map(|(_, l)| *l) else { return };
    let last = |key: &str| service.iter().rev().find(|e| e.key == key).copied();
    let is = |key: &str, values: &[&str]| last(key).filter(|e| values.iter().any(|v| e.value.eq_ignore_ascii_case(v)));
    kill(sheet, &is, &last);
    let said = last("TimeoutStopSec").or(last("TimeoutSec"));
    let time = said.map_or(Some(USUAL), |e| time(&e.value));
    let origin = said.map_or("no TimeoutStopSec is set".to_owned(), |e| e.key.clone());
    let grace = time.map(|time| Grace {
        time,
        origin,
        said: said.is_some(),
        setting: "TimeoutStopSec=",
        unit: |d| d.as_secs().to_string(),
    });
    let variables: Vec<String> =
        service.iter().filter(|e| e.key == "Environment").flat_map(|e| shell::words(&e.value)).collect();
    plan(sheet, &variables, grace.as_ref(), said.map_or(start_line, |e| e.line));
    let Some(start) = service.iter().rev().find(|e| e.key == "ExecStart" && !e.value.is_empty()) else { return };
    let argv = shell::words(start.value.trim_start_matches(['-', '@', ':', '+', '!']));
    notify(sheet, &argv, start.line, &is, &last, &variables);
    let signal = last("KillSignal").map(|e| e.value.clone());
    // TERM goes to every process of the unit, the one behind a shell too.
    let everybody = is("KillMode", &["mixed", "process", "none"]).is_none();
    let place = Place { line: start.line, grace, signal, exec_form: "ExecStart=/usr/bin/PROGRAM", wrapper_is_fine: everybody };
    command::check(sheet, &argv, &place);
}

fn kill<'a>(sheet: &mut Sheet<'_>, is: &dyn Fn(&str, &[&str]) -> Option<&'a Entry>, last: &dyn Fn(&str) -> Option<&'a Entry>) {
    if let Some(e) = is("KillMode", &["none", "process"]) {
        let mode = &e.value;
        sheet.say(
            "systemd-kill-mode",
            e.line,
            format!("KillMode={mode}: at the end only the main process is dealt with, and what it started is left behind, out of systemd's sight"),
            "KillMode=mixed (TERM to the main process alone, KILL to whatever is left at the end)",
        );
    }
    if let Some(e) = last("KillSignal") {
        docker::stop_signal(sheet, e.line, &e.value, "KillSignal=SIGTERM");
    }
    if let Some(e) = is("SendSIGKILL", &["no", "false", "off", "0"]) {
        sheet.say(
            "systemd-send-sigkill",
            e.line,
            "SendSIGKILL=no: a service that hangs is never ended, and cannot be started again",
            "SendSIGKILL=yes, with a TimeoutStopSec that is long enough",
        );
    }
    if let Some(e) = last("TimeoutStopSec").filter(|e| e.value == "infinity" || e.value == "0") {
        sheet.say(
            "systemd-send-sigkill",
            e.line,
            format!(
                "TimeoutStopSec={}: a service that hangs is never ended, and holds up the whole machine's shutdown",
                e.value
            ),
            "TimeoutStopSec=90",
        );
    }
    if let Some(e) = last("ExecStop") {
        let words = shell::words(&e.value);
        let kills = words.first().is_some_and(|w| w.ends_with("kill") || w.ends_with("pkill") || w.ends_with("killall"));
        let hard = words.iter().any(|w| ["-9", "-KILL", "-SIGKILL"].contains(&w.as_str()));
        if kills && hard {
            sheet.say(
                "systemd-stop-kill",
                e.line,
                "ExecStop kills the service before it is asked to stop: nothing is shut down",
                "remove ExecStop; systemd sends TERM by itself, and KILL after TimeoutStopSec",
            );
        }
    }
}

fn notify<'a>(
    sheet: &mut Sheet<'_>,
    argv: &[String],
    line: usize,
    is: &dyn Fn(&str, &[&str]) -> Option<&'a Entry>,
    last: &dyn Fn(&str) -> Option<&'a Entry>,
    variables: &[String],
) {
    let by_shell = shell::script_of(argv).is_some_and(|s| matches!(shell::last(s), shell::Last::Behind(_)));
    let hears_all = is("NotifyAccess", &["all", "exec"]).is_some();
    if let Some(e) = is("Type", &["notify", "notify-reload"]).filter(|_| by_shell && !hears_all) {
        sheet.say(
            "systemd-notify-access",
            e.line,
            "Type=notify listens to the main process, which is a shell here: READY=1 of the program behind it is dropped, and the start times out",
            "start the program without the shell (or by exec), or NotifyAccess=all",
        );
    }
    let program = command::stripped(argv);
    let name = super::servers::without_interpreter(program).first().map_or("", |p| p.rsplit('/').next().unwrap_or(p));
    let speaks = NOTIFIES.contains(&name) || variables.iter().any(|v| v.starts_with("GRACESHUT_"));
    let simple = last("Type").is_none() || is("Type", &["simple", "exec"]).is_some();
    if speaks && simple && last("NotifyAccess").is_none() {
        let at = last("Type").map_or(line, |e| e.line);
        let (who, fix) = if NOTIFIES.contains(&name) {
            (name, "Type=notify")
        } else {
            ("graceshut", "NotifyAccess=main (or Type=notify, where the program says READY=1)")
        };
        sheet.say(
            "systemd-type-notify",
            at,
            format!("{who} can tell systemd that it is stopping, and how far it is; nobody listens"),
            fix,
        );
    }
}

fn plan(sheet: &mut Sheet<'_>, variables: &[String], grace: Option<&Grace>, line: usize) {
    let told = variables.iter().find_map(|v| v.strip_prefix("GRACESHUT_GRACE=")).and_then(|v| parse_duration(v).ok());
    if let (Some(counts), Some(grace)) = (told, grace)
        && counts > grace.time
    {
        sheet.plans_longer(counts, grace, line, format!("TimeoutStopSec={}", counts.as_secs_f64().ceil()));
    }
}

/// `90`, `1min 30s`, `500ms`; `None` for infinity.
fn time(text: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        let tail = rest[digits..].trim_start();
        let unit = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let scale = match &tail[..unit] {
            "" | "s" | "sec" | "second" | "seconds" => 1.0,
            "ms" | "msec" => 1e-3,
            "us" | "usec" => 1e-6,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            _ => return None,
        };
        sum += Duration::try_from_secs_f64(number * scale).ok()?;
        rest = tail[unit..].trim_start();
    }
    (!sum.is_zero()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ms) in [("90", 90_000), ("1min 30s", 90_000), ("2m", 120_000), ("500ms", 500), ("1h", 3_600_000)] {
            assert_eq!(time(text), Some(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!((time("infinity"), time("0"), time("soon")), (None, None, None));
    }
}
