//! From the last hook's end to the process being gone, and how far past its deadline the watchdog ends a stuck process.

use std::io::{Error, Result};
use std::process::Command;

use crate::Tools;
use crate::hosts::script;
use crate::process::{Running, settle, wall_us};
use crate::stats::{Limit, Row, missing, row};

const ROUNDS: usize = 40;
const STUCK_ROUNDS: usize = 30;

/// Grace 200 ms has a margin of 50 ms: D is 150 ms after the signal, the hard end 25 ms later (spec 5.3, 5.9).
const HARD_END_MS: f64 = 175.0;

fn command(tools: &Tools, language: &str, name: &str, mode: &str) -> Result<Command> {
    let mut command = match language {
        "c" => Command::new(format!("{}/{name}", tools.get("c-folder").ok_or_else(|| Error::other("no C programs"))?)),
        _ => script(tools, language, name).ok_or_else(|| Error::other(format!("no {language} was given")))?,
    };
    command.arg(mode).env("GRACESHUT_REPORT", "none");
    Ok(command)
}

/// Milliseconds from the stamp `last` the child printed to its end.
fn leaving(tools: &Tools, language: &str, mode: &str) -> Result<f64> {
    let mut child = Running::ready(&mut command(tools, language, "leave", mode)?)?;
    settle();
    child.signal(libc::SIGTERM);
    let last: f64 = child.until("last")?.parse().map_err(Error::other)?;
    child.wait()?;
    Ok((wall_us() - last) / 1000.0)
}

/// `more`: milliseconds beyond the bare exit that are allowed.
pub fn leaving_row(tools: &Tools, language: &str, more: f64) -> Row {
    let what = format!("last hook's end to process gone, {language}");
    let measure = || -> Result<(Vec<f64>, Vec<f64>)> {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(leaving(tools, language, "graceshut")?);
            bare.push(leaving(tools, language, "bare")?);
        }
        Ok((ours, bare))
    };
    match measure() {
        Ok((ours, bare)) => row(&what, "ms", ours, ("the program's bare exit", bare), Limit::More(more)),
        Err(e) => missing(&what, &e.to_string()),
    }
}

/// Milliseconds past the hard end.
fn overshoot(tools: &Tools, language: &str) -> Result<f64> {
    let mut child = Running::ready(&mut command(tools, language, "hang", "hang")?)?;
    settle();
    let sent = wall_us();
    child.signal(libc::SIGTERM);
    child.wait()?;
    Ok((wall_us() - sent) / 1000.0 - HARD_END_MS)
}

fn overshoot_row(tools: &Tools, language: &str, how: &str) -> Row {
    let what = format!("watchdog past its deadline, {how}");
    match (0..STUCK_ROUNDS).map(|_| overshoot(tools, language)).collect::<Result<Vec<_>>>() {
        Ok(ours) => row(&what, "ms", ours, ("", Vec::new()), Limit::Value(5.0)),
        Err(e) => missing(&what, &e.to_string()),
    }
}

/// All of them.
pub fn rows(tools: &Tools) -> Vec<Row> {
    let mut rows: Vec<Row> = ["c", "python", "node"].iter().map(|language| leaving_row(tools, language, 3.0)).collect();
    rows.push(overshoot_row(tools, "python", "GIL held"));
    rows.push(overshoot_row(tools, "node", "loop blocked"));
    rows.push(overshoot_row(tools, "c", "atexit hangs"));
    rows
}
