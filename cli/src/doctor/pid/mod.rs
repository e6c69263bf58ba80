//! `graceshut doctor --pid N`: what a signal to this very process comes to.

mod advice;
mod facts;
mod handlers;
mod maps;

pub use facts::Facts;

use super::finding::Finding;
use crate::signals;
use crate::terminal::Style;
use facts::Action;
use graceshut::config::{Options, Platform, Sources, Surroundings, resolve};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// Signals that have a line of their own even where nothing is done about them.
const ALWAYS: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// Findings about the process.
pub fn advice(facts: &Facts) -> Vec<Finding> {
    advice::of(facts)
}

/// The platform that its environment shows, and what that usually gives.
fn usual_grace(facts: &Facts) -> Option<(&'static str, Duration)> {
    let vars = std::fs::read(format!("/proc/{}/environ", facts.pid)).ok()?;
    let has = |name: &str| {
        let start = format!("{name}=");
        vars.split(|b| *b == 0)
            .find(|e| e.starts_with(start.as_bytes()))
            .map(|e| String::from_utf8_lossy(&e[start.len()..]).into_owned().into())
    };
    let root = format!("/proc/{}/root", facts.pid);
    let around = Surroundings::detect(&has, &|p| std::path::Path::new(&format!("{root}{}", p.display())).exists());
    let platform: Platform = *around.seen.iter().find(|p| p.usual_grace().is_some())?;
    Some((platform.name(), platform.usual_grace()?))
}

/// Grace and its origin in words.
fn grace(facts: &Facts) -> String {
    match &facts.config {
        Ok(c) => {
            let assumed = if facts.leader().is_some() || facts.has_variables { "" } else { "; graceshut is not in it" };
            format!("{} ({}{assumed})", graceshut::format_duration(c.grace.value), c.grace.origin)
        }
        Err(why) => {
            let usual = resolve(Options::default(), &Sources::none()).map(|c| graceshut::format_duration(c.grace.value));
            format!("not known: {why}; graceshut's default is {}", usual.unwrap_or_default())
        }
    }
}

/// Facts and findings as a page.
pub fn page(facts: &Facts, findings: &[Finding], style: Style) -> String {
    let mut out = String::new();
    let title = crate::verify::plain(&facts.argv.join(" "), 120);
    let _ = writeln!(out, "{}  pid {}  {title}", style.paint("1", "graceshut doctor"), facts.pid);
    let mut row = |label: &str, text: &str| {
        let _ = writeln!(out, "  {label:<10}  {text}");
    };
    if facts.inner_pid != facts.pid {
        row("inside", &format!("pid {} in its own namespace", facts.inner_pid));
    }
    if let Some(parent) = &facts.parent {
        row("parent", &format!("{} {}", parent.pid, crate::verify::plain(&parent.command, 100)));
    }
    let exe = facts.exe.as_ref().map_or("unknown".to_owned(), |e| e.display().to_string());
    row(
        "program",
        &format!("{exe}  ({}, {} thread{})", facts.runtime.name(), facts.threads, if facts.threads == 1 { "" } else { "s" }),
    );
    row("grace", &grace(facts));
    row("graceshut", &copies(facts));
    let mut label = "signals";
    for signo in shown(facts) {
        row(std::mem::take(&mut label), &format!("{:<9} {}", signals::name(signo), signal_text(facts, signo)));
    }
    let mut label = "children";
    for child in facts.children.iter().take(8) {
        row(std::mem::take(&mut label), &format!("{} {}", child.pid, crate::verify::plain(&child.command, 100)));
    }
    if facts.children.len() > 8 {
        row("", &format!("and {} more", facts.children.len() - 8));
    }
    let mut label = "not seen";
    for unseen in &facts.unseen {
        row(std::mem::take(&mut label), unseen);
    }
    out.push('\n');
    out.push_str(&super::output::human(findings, style));
    out
}

fn copies(facts: &Facts) -> String {
    if facts.copies.is_empty() {
        return "none in it".to_owned();
    }
    let leads = |c: &graceshut::process::outside::Copy| c.active && c.owner_pid as i32 == facts.inner_pid;
    let one = |(c, file): &(_, String)| {
        let c: &graceshut::process::outside::Copy = c;
        let state = if leads(c) { "armed" } else { "not installed" };
        format!("{} in {file}, {state}", c.version)
    };
    facts.copies.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn shown(facts: &Facts) -> Vec<i32> {
    let interesting = |s: &i32| ALWAYS.contains(s) || facts.action(*s) != Action::Default || Facts::has(facts.blocked, *s);
    let mut all: Vec<i32> = ALWAYS.to_vec();
    all.extend((1..=64).filter(|s| !ALWAYS.contains(s) && interesting(s)));
    all
}

fn signal_text(facts: &Facts, signo: i32) -> String {
    let mut text = match facts.action(signo) {
        Action::Caught => match facts.handlers.get(&signo) {
            Some((at, file)) => match facts.leader() {
                Some((copy, _)) if copy.handles(*at) => format!("caught by graceshut in {file}"),
                _ => format!("caught in {file}"),
            },
            None => "caught".to_owned(),
        },
        Action::Ignored => "ignored".to_owned(),
        Action::Default => "default action".to_owned(),
    };
    if Facts::has(facts.blocked, signo) {
        text.push_str(if facts.signalfd {
            ", blocked in every thread (there is a signalfd)"
        } else {
            ", blocked in every thread"
        });
    }
    if Facts::has(facts.pending, signo) {
        text.push_str(", pending");
    }
    text
}

/// Facts as JSON.
pub fn json(facts: &Facts) -> Value {
    let signal = |signo: &i32| {
        let action = match facts.action(*signo) {
            Action::Caught => "caught",
            Action::Ignored => "ignored",
            Action::Default => "default",
        };
        json!({
            "signal": signals::name(*signo), "action": action, "blocked": Facts::has(facts.blocked, *signo),
            "pending": Facts::has(facts.pending, *signo), "handler_in": facts.handlers.get(signo).map(|(_, f)| f),
        })
    };
    json!({
        "pid": facts.pid, "inner_pid": facts.inner_pid, "command": facts.argv, "exe": facts.exe, "runtime": facts.runtime.name(),
        "threads": facts.threads, "parent": facts.parent.as_ref().map(|p| json!({"pid": p.pid, "command": p.command})),
        "children": facts.children.iter().map(|c| json!({"pid": c.pid, "command": c.command})).collect::<Vec<_>>(),
        "grace_us": facts.config.as_ref().ok().map(|c| c.grace.value.as_micros() as u64),
        "grace_origin": facts.config.as_ref().ok().map(|c| c.grace.origin.to_string()),
        "graceshut": facts.copies.iter().map(|(c, f)| json!({"version": c.version, "file": f, "armed": c.active})).collect::<Vec<_>>(),
        "signals": shown(facts).iter().map(signal).collect::<Vec<_>>(), "not_seen": facts.unseen,
    })
}
