//! Signals while the host is stuck: the GIL held by a C call, Node's loop blocked, for 2 s.
//!
//! The engine's time comes from the service's own report; the native hook is a `signal` hook that signals this process, and
//! what such a signal takes to arrive here (measured in the same run) is taken off.

use std::io::{Error, Result};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Tools;
use crate::process::{Running, settle, wall_us};
use crate::stats::{Limit, Row, figures, missing, row};

const ROUNDS: usize = 40;

/// Compiled by the second compiler alone, which leaves the polls out of the loop that stands for a stuck JVM.
const STUCK_JVM: [&str; 6] = [
    "-XX:-TieredCompilation",
    "-Xbatch",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-UseCountedLoopSafepoints",
    "-XX:LoopStripMiningIter=0",
    "-XX:+UseSerialGC",
];

/// `java Bench NAME`, with what `--java-path` says as class path.
pub fn java(tools: &Tools, name: &str) -> Option<Command> {
    let mut command = Command::new(tools.get("java")?);
    if name == "stuck" {
        command.args(STUCK_JVM);
    }
    command.arg("-cp").arg(tools.get("java-path")?).args(["Bench", name]);
    Some(command)
}

/// The command that plays `script` of a language.
pub fn script(tools: &Tools, language: &str, name: &str) -> Option<Command> {
    if language == "java" {
        return java(tools, name);
    }
    let mut command = Command::new(tools.get(language)?);
    match language {
        "python" => command.arg(format!("bench/scripts/{name}.py")),
        "go" => command.arg(name),
        _ => command.arg(format!("{}/{name}.mjs", tools.get("node-folder")?)),
    };
    Some(command)
}

fn usr1() -> libc::sigset_t {
    // SAFETY: sigset_t is plain data; sigemptyset initialises it.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid and writable.
    unsafe { libc::sigemptyset(&mut set) };
    // SAFETY: as above.
    unsafe { libc::sigaddset(&mut set, libc::SIGUSR1) };
    set
}

/// Waits for the hook's USR1; answers the wall time at which it came.
fn wait_usr1(limit: Duration) -> Result<f64> {
    let (set, ts) = (usr1(), libc::timespec { tv_sec: limit.as_secs() as i64, tv_nsec: 0 });
    // SAFETY: both point to valid data; USR1 is blocked in every thread of this process.
    let got = unsafe { libc::sigtimedwait(&set, std::ptr::null_mut(), &ts) };
    if got == libc::SIGUSR1 { Ok(wall_us()) } else { Err(Error::other("the native hook did not signal back")) }
}

/// One stuck service: microseconds from kill() to the engine and to the hook's signal arriving here.
fn sample(tools: &Tools, language: &str) -> Result<(f64, f64)> {
    let report = PathBuf::from(format!("{}/stuck-{language}.json", std::env::temp_dir().display()));
    let _ = std::fs::remove_file(&report); // of an earlier round
    let mut command = script(tools, language, "stuck").ok_or_else(|| Error::other(format!("no {language} was given")))?;
    command.arg("graceshut").arg(std::process::id().to_string()).env("GRACESHUT_REPORT", &report);
    let mut child = Running::ready(&mut command)?;
    std::thread::sleep(Duration::from_millis(30));
    settle();
    let sent = wall_us();
    child.signal(libc::SIGTERM);
    let hook = wait_usr1(Duration::from_secs(5))? - sent;
    let until = Instant::now() + Duration::from_secs(5);
    let json = loop {
        if let Some(json) = std::fs::read(&report).ok().and_then(|t| serde_json::from_slice::<Value>(&t).ok()) {
            break json;
        }
        if Instant::now() > until {
            return Err(Error::other("no report"));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    child.kill();
    let field = |k: &str| json[k].as_f64().unwrap_or(0.0);
    Ok((field("triggered_at_us") + field("scheduling_delay_us") - sent, hook))
}

/// What a hook's signal takes from the sender's first instruction to here, in microseconds.
fn way_back() -> Result<Vec<f64>> {
    let mut child = Running::start(Command::new(std::env::current_exe()?).args(["child", "back"]))?;
    (0..crate::process::BACK_ROUNDS)
        .map(|_| {
            let here = wait_usr1(Duration::from_secs(5))?;
            let begin: f64 = child.until("stamps")?.parse().map_err(Error::other)?;
            Ok(here - begin)
        })
        .collect()
}

/// The language's own handler in the same situation, in microseconds.
fn own_handler(tools: &Tools, language: &str) -> Result<f64> {
    let mut command = script(tools, language, "stuck").ok_or_else(|| Error::other("not given"))?;
    command.arg("own").arg("0");
    let mut child = Running::ready(&mut command)?;
    std::thread::sleep(Duration::from_millis(30));
    let sent = wall_us();
    child.signal(libc::SIGTERM);
    let at: f64 = child.until("handled")?.parse().map_err(Error::other)?;
    Ok(at - sent)
}

/// A language's rows.
pub fn rows_of(tools: &Tools, language: &str, how: &str) -> Vec<Row> {
    // SAFETY: blocks USR1 in the only thread there is, so that it waits for `wait_usr1`; children get it unblocked by theirs.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &usr1(), std::ptr::null_mut()) };
    let what = format!("kill() to the engine's thread, {language}, {how}");
    let measure = || -> Result<(Vec<f64>, Vec<f64>, Vec<f64>)> {
        let own = (0..3).map(|_| own_handler(tools, language)).collect::<Result<Vec<_>>>()?;
        let both = (0..ROUNDS).map(|_| sample(tools, language)).collect::<Result<Vec<_>>>()?;
        let back = figures(way_back()?).p50;
        let (engine, hook): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
        Ok((engine, hook.into_iter().map(|h| h - back).collect(), own))
    };
    match measure() {
        Ok((engine, hook, own)) => {
            let peer = match language {
                "python" => "signal.signal handler",
                "go" => "signal.Notify channel",
                "java" => "sun.misc.Signal handler",
                _ => "process.on listener",
            };
            let hook_row = format!("kill() to a native hook, {language}, {how}");
            vec![
                row(&what, "us", engine, (peer, own.clone()), Limit::Value(200.0)),
                row(&hook_row, "us", hook, (peer, own), Limit::Value(200.0)),
            ]
        }
        Err(e) => vec![missing(&what, &e.to_string())],
    }
}

/// Python and Node.
pub fn rows(tools: &Tools) -> Vec<Row> {
    let mut rows = rows_of(tools, "python", "GIL held 2 s");
    rows.extend(rows_of(tools, "node", "loop blocked 2 s"));
    rows
}
