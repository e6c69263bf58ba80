//! Compose files: `stop_grace_period` against what the command needs, `stop_signal`, `init`, the command itself.

use super::command;
use super::place::{Grace, Place};
use super::yaml::Node;
use super::{Sheet, docker, shell};
use graceshut::{format_duration, parse_duration};
use std::time::Duration;

/// `docker stop`'s, unless told.
const USUAL: Duration = Duration::from_secs(10);
/// Programs whose own handling of signals as PID 1 is nothing.
const INTERPRETERS: &[&str] = &["node", "python", "python3", "ruby", "php", "perl", "bun", "deno"];

/// Examines every service.
pub fn check(sheet: &mut Sheet<'_>, file: &Node) {
    let services = file.get("services").into_iter().flat_map(Node::entries);
    for (name, line, service) in services.filter(|(_, _, s)| s.is_map()) {
        one(sheet, name, line, service);
    }
}

fn one(sheet: &mut Sheet<'_>, name: &str, line: usize, service: &Node) {
    let said = service.text_of("stop_grace_period");
    let time = said.and_then(compose_time).unwrap_or(USUAL);
    let at = |key: &str| service.line_of(key).unwrap_or(line);
    if said.is_some() && time < Duration::from_secs(2) {
        sheet.say(
            "grace-zero",
            at("stop_grace_period"),
            format!("{name} gets {} between TERM and KILL", format_duration(time)),
            "stop_grace_period: 30s",
        );
        return;
    }
    if let Some(signal) = service.text_of("stop_signal") {
        docker::stop_signal(sheet, at("stop_signal"), signal, "stop_signal: SIGTERM");
    }
    let origin = if said.is_some() { "stop_grace_period" } else { "no stop_grace_period is set" };
    let grace =
        Grace { time, origin: origin.to_owned(), said: said.is_some(), setting: "stop_grace_period:", unit: format_duration };
    plan(sheet, service, &grace, line);
    let signal = service.text_of("stop_signal").map(str::to_owned);
    let init = service.text_of("init").is_some_and(|v| matches!(v, "true" | "yes" | "on"));
    let key = if service.get("command").is_some() { "command" } else { "entrypoint" };
    let Some(argv) = argv(service) else { return };
    let place = Place { line: at(key), grace: Some(grace), signal, exec_form: "command: [WORDS]", wrapper_is_fine: false };
    command::check(sheet, &argv, &place);
    if !init && is_bare(&argv) && !environment(service).any(|(n, _)| n.starts_with("GRACESHUT_")) {
        let program = &command::stripped(&argv)[0];
        sheet.say(
            "pid1-no-init",
            at(key),
            format!("{program} is PID 1 of the container, where the kernel drops TERM unless the program handles it, and nobody reaps orphans"),
            "init: true",
        );
    }
}

/// An interpreter that runs a file, with nothing before it.
fn is_bare(argv: &[String]) -> bool {
    let same = command::stripped(argv).len() == argv.len();
    let program = argv.first().map_or("", |p| p.rsplit('/').next().unwrap_or(p));
    let module = argv.iter().take(3).any(|w| w == "-m");
    same && INTERPRETERS.contains(&program) && !module
}

/// Entrypoint and command together; a string is split as a shell would, but no shell runs it.
fn argv(service: &Node) -> Option<Vec<String>> {
    let words = |key: &str| {
        let node = service.get(key)?;
        match node.text() {
            Some(text) => Some(shell::words(text)),
            None => Some(node.items().filter_map(Node::text).map(str::to_owned).collect()),
        }
    };
    let (entry, cmd) = (words("entrypoint"), words("command"));
    match (entry, cmd) {
        (None, None) => None,
        (a, b) => Some([a.unwrap_or_default(), b.unwrap_or_default()].concat()).filter(|w| !w.is_empty()),
    }
}

/// `KEY: value` or `- KEY=value`.
fn environment(service: &Node) -> impl Iterator<Item = (String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    if let Some(env) = service.get("environment") {
        all.extend(env.entries().map(|(k, _, v)| (k.to_owned(), v.text().unwrap_or_default().to_owned())));
        all.extend(
            env.items().filter_map(Node::text).filter_map(|t| t.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
    }
    all.into_iter()
}

fn plan(sheet: &mut Sheet<'_>, service: &Node, grace: &Grace, line: usize) {
    let told = environment(service).find(|(n, _)| n == "GRACESHUT_GRACE").and_then(|(_, v)| parse_duration(&v).ok());
    if let Some(counts) = told.filter(|d| *d > grace.time) {
        let at = service.line_of("stop_grace_period").or(service.line_of("environment")).unwrap_or(line);
        sheet.plans_longer(
            counts,
            grace,
            at,
            format!("stop_grace_period: {}, or GRACESHUT_GRACE={}", format_duration(counts), format_duration(grace.time)),
        );
    }
}

/// `1m30s`, `10s`, `500ms`.
fn compose_time(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        sum += parse_duration(&rest[..unit]).ok()?;
        rest = &rest[unit..];
    }
    Some(sum)
}
