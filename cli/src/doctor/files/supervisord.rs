//! supervisord: stopwaitsecs, whom the signals reach, the command.

use super::command;
use super::ini::{self, Entry, Style};
use super::place::{Grace, Place};
use super::{Sheet, docker, shell};
use graceshut::parse_duration;
use std::time::Duration;

/// stopwaitsecs, unless told.
const USUAL: u64 = 10;
/// Servers with worker processes of their own.
const MASTERS: &[&str] = &["gunicorn", "uwsgi", "celery", "unicorn", "puma", "hypercorn", "granian"];

/// Examines every program.
pub fn check(sheet: &mut Sheet<'_>) {
    let (entries, sections) = ini::parse(sheet.text, Style::Indented);
    for (section, line) in sections.iter().filter(|(s, _)| s.starts_with("program:") || s.starts_with("fcgi-program:")) {
        let own: Vec<&Entry> = entries.iter().filter(|e| e.section == *section).collect();
        program(sheet, &own, *line);
    }
}

fn program(sheet: &mut Sheet<'_>, own: &[&Entry], line: usize) {
    let get = |key: &str| own.iter().rev().find(|e| e.key.eq_ignore_ascii_case(key)).copied();
    let on = |key: &str| get(key).is_some_and(|e| ["true", "yes", "on", "1"].iter().any(|v| e.value.eq_ignore_ascii_case(v)));
    let Some(start) = get("command") else { return };
    let said = get("stopwaitsecs");
    let secs = said.and_then(|e| e.value.parse::<u64>().ok()).unwrap_or(USUAL);
    if let Some(e) = said.filter(|_| secs < 2) {
        sheet.say("grace-zero", e.line, format!("stopwaitsecs={secs}: KILL follows TERM at once"), "stopwaitsecs=30");
        return;
    }
    if let Some(e) = get("stopsignal") {
        docker::stop_signal(sheet, e.line, &e.value, "stopsignal=TERM");
    }
    let argv = shell::words(&start.value);
    let origin = if said.is_some() { "stopwaitsecs" } else { "no stopwaitsecs is set" };
    let grace = Grace {
        time: Duration::from_secs(secs),
        origin: origin.into(),
        said: said.is_some(),
        setting: "stopwaitsecs=",
        unit: |d| d.as_secs().to_string(),
    };
    plan(sheet, &get, &grace, said.map_or(line, |e| e.line));
    let inner = command::stripped(&argv);
    let behind = shell::script_of(inner).is_some_and(|s| matches!(shell::last(s), shell::Last::Behind(_)));
    let managed = inner.first().is_some_and(|w| ["npm", "yarn", "pnpm", "npx"].contains(&w.rsplit('/').next().unwrap_or(w)));
    if (behind || managed) && !on("stopasgroup") {
        sheet.say(
            "supervisord-group",
            start.line,
            format!("stopsignal goes to {} alone, and not to the program behind it, which stays when it is killed", inner[0]),
            "stopasgroup=true (which kills as a group as well), or start the program without it",
        );
    }
    let name = super::servers::without_interpreter(inner).first().map_or("", |w| w.rsplit('/').next().unwrap_or(w));
    if MASTERS.contains(&name) && !on("killasgroup") && !on("stopasgroup") {
        sheet.say(
            "supervisord-orphans",
            start.line,
            format!(
                "when stopwaitsecs are over, KILL ends {name}'s master alone; its workers stay, hold the port and go on working"
            ),
            "killasgroup=true",
        );
    }
    let signal = get("stopsignal").map(|e| e.value.clone());
    let place = Place { line: start.line, grace: Some(grace), signal, exec_form: "command=PROGRAM", wrapper_is_fine: true };
    command::check(sheet, &argv, &place);
}

fn plan<'a>(sheet: &mut Sheet<'_>, get: &dyn Fn(&str) -> Option<&'a Entry>, grace: &Grace, line: usize) {
    let Some(env) = get("environment") else { return };
    let told =
        env.value.split(',').find_map(|v| v.trim().strip_prefix("GRACESHUT_GRACE=")).map(|v| v.trim_matches(['"', '\'']));
    if let Some(counts) = told.and_then(|v| parse_duration(v).ok()).filter(|d| *d > grace.time) {
        sheet.plans_longer(counts, grace, line, format!("stopwaitsecs={}", counts.as_secs_f64().ceil()));
    }
}
