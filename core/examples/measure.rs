//! What graceshut costs on this machine: `cargo run --release -p graceshut --example measure`.
#![allow(clippy::unwrap_used, clippy::undocumented_unsafe_blocks, reason = "a tool for developers, not an example to copy")]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use graceshut::clock::At;
use graceshut::{Exit, Options, ReportTo, Runtime, install};

const ROUNDS: usize = 300;
const HOOKS: u32 = 10_000;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("exit") => bare_exit(),
        Some("leave") => leave(),
        Some("memory") => memory(),
        _ => all(),
    }
}

fn options() -> Options {
    Options { exit: Some(Exit::Manual), report: Some(ReportTo::None), ..Options::default() }
}

fn kill_self() {
    let own = i32::try_from(std::process::id()).unwrap();
    unsafe { libc::kill(own, libc::SIGTERM) };
}

fn median(mut all: Vec<u64>) -> (u64, u64) {
    all.sort_unstable();
    (all[all.len() / 2], all[all.len() * 99 / 100])
}

fn private_dirty_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find(|l| l.starts_with("Private_Dirty:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Where the memory of an install lies: each mapping that has more than before.
fn memory() {
    let look = || -> Vec<(String, u64)> {
        let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut list: Vec<(String, u64)> = Vec::new();
        for line in text.lines() {
            let first = line.split(' ').next().unwrap();
            if first.contains('-') {
                list.push((line.to_owned(), 0));
            } else if let (Some(last), "Private_Dirty:") = (list.last_mut(), first) {
                last.1 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            }
        }
        list
    };
    let before = look();
    let _gs = install(options()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    for (map, kib) in look() {
        let start = |m: &str| m.split('-').next().unwrap().to_owned();
        let was = before.iter().find(|(m, _)| start(m) == start(&map)).map_or(0, |(_, k)| *k);
        if kib > was {
            println!("{:>5} KiB more: {map}", kib - was);
        }
    }
}

fn all() {
    let before = private_dirty_kib();
    let gs = install(options()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    println!("install: {} KiB more private dirty memory", private_dirty_kib().saturating_sub(before));
    for phase in ["announce", "drain", "flush", "close", "final"] {
        gs.hook(phase, "h").run(|_| Ok(())).unwrap();
    }
    std::thread::sleep(Duration::from_millis(50));
    println!("with a hook in each phase: {} KiB", private_dirty_kib().saturating_sub(before));
    gs.uninstall().unwrap();
    latency();
    (0..5).for_each(|_| many());
    leaving();
}

fn latency() {
    let (mut engine, mut hook, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let gs = install(options()).unwrap();
        let began = Arc::new(AtomicU64::new(0));
        let at = Arc::clone(&began);
        gs.hook("announce", "first")
            .run(move |_| {
                at.store(At::now().0, SeqCst);
                Ok(())
            })
            .unwrap();
        std::thread::sleep(Duration::from_millis(2));
        let start = At::now();
        kill_self();
        gs.wait(None).unwrap();
        whole.push((At::now() - start).as_nanos() as u64);
        engine.push((gs.first_action().unwrap() - start).as_nanos() as u64);
        hook.push(began.load(SeqCst) - start.0);
        gs.uninstall().unwrap();
    }
    for (what, list) in [("engine", engine), ("first native hook", hook), ("wait() returns", whole)] {
        let (p50, p99) = median(list);
        println!("kill() to {what}: p50 {:.1} us, p99 {:.1} us", p50 as f64 / 1e3, p99 as f64 / 1e3);
    }
}

fn register(gs: &Runtime) -> Duration {
    let start = Instant::now();
    for _ in 0..HOOKS {
        gs.hook("flush", "n").run(|_| Ok(())).unwrap();
    }
    start.elapsed()
}

fn many() {
    let gs = install(Options { grace: Some(Duration::from_secs(60)), ..options() }).unwrap();
    let registered = register(&gs);
    gs.stop("x", None).unwrap();
    let finished = gs.wait(None).unwrap();
    let flush = finished.report.phases.iter().find(|p| p.name == "flush").unwrap();
    let per = |us: f64| us / f64::from(HOOKS);
    println!(
        "{HOOKS} no-op hooks: {:.2} us each to register, {:.2} us each to run ({})",
        per(registered.as_secs_f64() * 1e6),
        per(flush.used_us as f64),
        finished.report.outcome
    );
    gs.uninstall().unwrap();
}

fn bare_exit() {
    println!("{}", At::now().0);
    std::process::exit(0)
}

fn leave() {
    let gs = install(Options { report: Some(ReportTo::None), ..Options::default() }).unwrap();
    gs.hook("final", "last")
        .run(|_| {
            println!("{}", At::now().0);
            Ok(())
        })
        .unwrap();
    gs.stop("x", None).unwrap();
    let code = gs.wait(None).unwrap().exit.code;
    std::process::exit(code)
}

fn leaving() {
    let gone = |mode: &str| {
        let child = Command::new(std::env::current_exe().unwrap()).arg(mode).stdout(Stdio::piped()).spawn().unwrap();
        let out = child.wait_with_output().unwrap();
        let now = At::now();
        let said: u64 = String::from_utf8(out.stdout).unwrap().trim().parse().unwrap();
        now.0 - said
    };
    let (bare, _) = median((0..100).map(|_| gone("exit")).collect());
    let (ours, p99) = median((0..100).map(|_| gone("leave")).collect());
    println!("last hook's end to process gone: {} us (p99 {} us), bare exit {} us", ours / 1000, p99 / 1000, bare / 1000);
}
