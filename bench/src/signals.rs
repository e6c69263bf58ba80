//! kill() to the first instruction of a thread, in Rust: graceshut's engine and a native hook beside `ctrlc` and `signal-hook`.

use std::io::Result;
use std::process::Command;

use crate::Tools;
use crate::process::{Running, mono_ns, settle};
use crate::stats::{Limit, Row, missing, row};

const ROUNDS: usize = 150;

fn own_child(mode: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", mode]);
    Ok(command)
}

/// Microseconds from kill() to each stamp the child took.
fn sample(mode: &str) -> Result<Vec<f64>> {
    let mut child = Running::ready(&mut own_child(mode)?)?;
    settle();
    let sent = mono_ns();
    child.signal(libc::SIGTERM);
    let stamps = child.until("stamps")?;
    child.wait()?;
    Ok(stamps.split(' ').filter_map(|s| s.parse::<u64>().ok()).map(|at| at.saturating_sub(sent) as f64 / 1000.0).collect())
}

/// Both rows, against both peers.
pub fn rows(_: &Tools) -> Vec<Row> {
    match rounds() {
        Ok((engine, hook, ctrlc, hooked)) => {
            let pair = |what: &str, ours: &Vec<f64>, limit: f64| {
                [("ctrlc", &ctrlc), ("signal-hook", &hooked)]
                    .map(|(name, peer)| row(what, "us", ours.clone(), (name, peer.clone()), Limit::Ratio(limit)))
            };
            let mut rows = pair("kill() to the engine's thread, idle", &engine, 1.3).to_vec();
            rows.extend(pair("kill() to a native hook, idle", &hook, 2.5));
            rows
        }
        Err(e) => vec![missing("kill() to a thread", &e.to_string())],
    }
}

type Samples = (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>);

/// Interleaved, so that whatever else the machine does hits all alike.
fn rounds() -> Result<Samples> {
    let mut all: Samples = Default::default();
    for _ in 0..ROUNDS {
        if let [engine, hook] = sample("graceshut")?[..] {
            all.0.push(engine);
            all.1.push(hook);
        }
        all.2.extend(sample("ctrlc")?);
        all.3.extend(sample("signal-hook")?);
    }
    Ok(all)
}

/// 10,000 no-op hooks in one concurrent phase.
pub fn many_hooks(_: &Tools) -> Vec<Row> {
    let what = "10,000 no-op native hooks, each";
    let measure = || -> Result<(Vec<f64>, Vec<f64>)> {
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..9 {
            let mut child = Running::start(&mut own_child("many-hooks")?)?;
            let stamps = child.until("stamps")?;
            let mut numbers = stamps.split(' ').filter_map(|s| s.parse::<f64>().ok());
            ours.extend(numbers.next());
            peer.extend(numbers.next());
        }
        Ok((ours, peer))
    };
    match measure() {
        Ok((ours, peer)) => vec![row(what, "us", ours, ("std mpsc, boxed jobs", peer), Limit::Value(2.0))],
        Err(e) => vec![missing(what, &e.to_string())],
    }
}
