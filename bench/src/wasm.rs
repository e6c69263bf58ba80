//! WebAssembly hooks: compiling, starting, stopping, and what they weigh. Needs the feature `wasm`.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use graceshut::{Exit, Options, ReportTo};
use graceshut_wasm::{Access, Meter, Wasm};

use crate::Tools;
use crate::process::Running;
use crate::sizes::size_row;
use crate::stats::{Limit, Row, missing, row};

type Any = Box<dyn Error>;

const ROUNDS: usize = 60;
const BOX: Duration = Duration::from_millis(50);

const SMALL: &str = r#"(module (import "graceshut_v1" "remaining_ms" (func $left (result i64)))
    (memory (export "memory") 1)
    (func (export "run") (param i32) (result i32) (i64.lt_s (call $left) (i64.const 0))))"#;
/// Opens a file for writing, writes six bytes and closes it.
const FILE: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "\40\00\00\00\06\00\00\00") (data (i32.const 64) "state\0a")
    (func (export "run") (param i32) (result i32)
      (if (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 1)
        (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)) (then (return (i32.const 1))))
      (if (call $write (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 36)) (then (return (i32.const 2))))
      (call $close (i32.load (i32.const 32)))))"#;
const SPIN: &str = r#"(module (memory (export "memory") 1)
    (func (export "run") (param i32) (result i32) (loop $again (br $again)) unreachable))"#;
/// poll_oneoff on the monotonic clock, ten seconds.
const SLEEP: &str = r#"(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "run") (param i32) (result i32)
      (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 10000000000))
      (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256))))"#;

/// A module with `functions` functions of some arithmetic each: about as many bytes as a hook in C or Rust has.
fn sized(functions: usize) -> String {
    let step =
        "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 31)) (i32.load (i32.and (local.get 0) (i32.const 1020)))))";
    let body = step.repeat(20);
    let function = |n: usize| format!("(func $f{n} (param i32) (result i32) {body} (local.get 0))");
    let all: String = (0..functions).map(function).collect();
    format!(
        "(module (memory (export \"memory\") 1) {all}
         (func (export \"run\") (param i32) (result i32) (drop (call $f0 (local.get 0))) (i32.const 0)))"
    )
}

fn options() -> Options {
    Options { exit: Some(Exit::Manual), report: Some(ReportTo::None), ..Options::default() }
}

/// `count` hooks one after the other in a shutdown of their own: how each took by the report, and how long its run took.
fn play_all(wasm: &Wasm, count: usize, timeout: Duration) -> Result<Vec<(String, Duration, Duration)>, Any> {
    let gs = graceshut::install(options())?;
    let name = |n: usize| format!("guest-{n}");
    let meters: Vec<Arc<Meter>> = (0..count).map(|_| Arc::default()).collect();
    for (n, meter) in meters.iter().enumerate() {
        let mut hook = gs.hook("flush", &name(n)).timeout(timeout);
        if n > 0 {
            hook = hook.after(&name(n - 1));
        }
        wasm.clone().metered(meter).register(hook)?;
    }
    // Until its code is there: what is measured is a hook at the signal, not at the start.
    std::thread::sleep(Duration::from_millis(30));
    gs.stop("bench", None)?;
    let report = gs.wait(Some(Duration::from_secs(30)))?.report;
    gs.uninstall()?;
    let hooks = report.phases.iter().flat_map(|p| &p.hooks);
    let mut played = Vec::new();
    for (n, meter) in meters.iter().enumerate() {
        let hook = hooks.clone().find(|h| h.name == name(n)).ok_or("no hook")?;
        played.push((hook.outcome.clone(), Duration::from_micros(hook.used_us), meter.time()));
    }
    Ok(played)
}

fn play(wasm: &Wasm, timeout: Duration) -> Result<(String, Duration, Duration), Any> {
    play_all(wasm, 1, timeout)?.pop().ok_or_else(|| "no hook".into())
}

fn bytes(text: &str) -> Result<Vec<u8>, Any> {
    Ok(wat::parse_str(text)?)
}

fn us(d: Duration) -> f64 {
    d.as_secs_f64() * 1e6
}

fn compile_rows() -> Result<Vec<Row>, Any> {
    let limit = Duration::from_secs(60);
    let mut rows = Vec::new();
    for (what, text) in [("184 B", SMALL.to_owned()), ("about 30 KB", sized(80))] {
        let (mut fresh, mut cached) = (Vec::new(), Vec::new());
        let module = bytes(&text)?;
        for n in 0..15 {
            // A custom section makes it another module to the cache, and the same work to the compiler.
            let mut module = module.clone();
            module.extend([0, 6, 4, b'b', b'e', b'n', b'c', n]);
            for samples in [&mut fresh, &mut cached] {
                let began = Instant::now();
                graceshut_wasm::compile(module.clone(), false, limit)?;
                samples.push(us(began.elapsed()) / 1e3);
            }
        }
        let size = module.len();
        rows.push(row(
            &format!("wasm: compile in the background, {size} bytes ({what})"),
            "ms",
            fresh,
            ("", vec![]),
            Limit::None,
        ));
        rows.push(row(&format!("wasm: load from the cache, {size} bytes ({what})"), "ms", cached, ("", vec![]), Limit::None));
    }
    Ok(rows)
}

fn run_rows(folder: &Path) -> Result<Vec<Row>, Any> {
    // The first hook of a shutdown finds cold caches: the process has done nothing for a while. Those after it do not.
    let sample = |wasm: &Wasm, count: usize| -> Result<(Vec<f64>, Vec<f64>), Any> {
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            for (n, (outcome, _, run)) in play_all(wasm, count, Duration::from_secs(2))?.into_iter().enumerate() {
                if outcome != "ok" {
                    return Err(format!("the hook ended {outcome}").into());
                }
                if n == 0 { &mut first } else { &mut later }.push(us(run));
            }
        }
        Ok((first, later))
    };
    let (small, again) = sample(&Wasm::bytes(bytes(SMALL)?), 6)?;
    let (file, _) = sample(&Wasm::bytes(bytes(FILE)?).dir("/out", folder, Access::ReadWrite), 1)?;
    let none = || ("", vec![]);
    Ok(vec![
        row("wasm: instantiate and run a small hook, the first of a shutdown", "us", small, none(), Limit::Value(50.0)),
        row("wasm: instantiate and run a small hook, those after it", "us", again, none(), Limit::Value(50.0)),
        row("wasm: the first, writing a file", "us", file, none(), Limit::Value(1000.0)),
    ])
}

fn overshoot(text: &str) -> Result<Vec<f64>, Any> {
    let wasm = Wasm::bytes(bytes(text)?);
    let mut samples = Vec::new();
    for _ in 0..ROUNDS {
        let (outcome, used, _) = play(&wasm, BOX)?;
        if outcome != "killed" {
            return Err(format!("the hook ended {outcome}").into());
        }
        samples.push(us(used.saturating_sub(BOX)) / 1e3);
    }
    Ok(samples)
}

fn overshoot_rows() -> Result<Vec<Row>, Any> {
    let mut rows = Vec::new();
    for (load, limit) in [("", Limit::Value(1.0)), (", both cores busy", Limit::None)] {
        let stop = Arc::new(AtomicBool::new(false));
        let busy: Vec<_> = (0..if load.is_empty() { 0 } else { 4 })
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || while !stop.load(SeqCst) {})
            })
            .collect();
        let measured = [("spins", SPIN), ("sleeps in the host", SLEEP)].map(|(what, text)| (what, overshoot(text)));
        stop.store(true, SeqCst);
        busy.into_iter().for_each(|thread| drop(thread.join()));
        for (what, samples) in measured {
            rows.push(row(
                &format!("wasm: a guest that {what}, past its box of 50 ms{load}"),
                "ms",
                samples?,
                ("", vec![]),
                limit,
            ));
        }
    }
    Ok(rows)
}

/// Resident KiB that one hook out of the cache adds to a process: registered, and run.
pub fn memory_child() -> Result<(), Any> {
    graceshut_wasm::enable();
    let gs = graceshut::install(options())?;
    let resident = || -> Result<f64, Any> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find(|l| l.starts_with("VmRSS")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
    };
    let before = resident()?;
    Wasm::bytes(bytes(&sized(80))?).register(gs.hook("flush", "guest"))?;
    std::thread::sleep(Duration::from_millis(100));
    let registered = resident()?;
    gs.stop("bench", None)?;
    gs.wait(None)?;
    println!("stamps {} {}", registered - before, resident()? - before);
    Ok(())
}

fn memory_rows() -> Result<Vec<Row>, Any> {
    let (mut registered, mut ran) = (Vec::new(), Vec::new());
    for n in 0..8 {
        let mut child = Running::start(Command::new(std::env::current_exe()?).args(["child", "wasm-memory"]))?;
        let stamps = child.until("stamps")?;
        let mut numbers = stamps.split(' ').filter_map(|s| s.parse::<f64>().ok());
        let pair = (numbers.next(), numbers.next());
        // The first one compiles, the others load.
        if n > 0 {
            registered.extend(pair.0);
            ran.extend(pair.1);
        }
    }
    Ok(vec![
        row("wasm: resident memory added by one hook, registered", "KiB", registered, ("", vec![]), Limit::None),
        row("wasm: resident memory added by one hook, run", "KiB", ran, ("", vec![]), Limit::None),
    ])
}

/// All of them.
pub fn rows(tools: &Tools) -> Vec<Row> {
    graceshut_wasm::enable();
    let folder = std::env::temp_dir().join(format!("graceshut-bench-wasm-{}", std::process::id()));
    if let Err(e) = std::fs::create_dir_all(&folder) {
        return vec![missing("wasm", &e.to_string())];
    }
    // SAFETY: the bench has no other thread now, and its children inherit the folder.
    unsafe { std::env::set_var(graceshut_wasm::CACHE_VARIABLE, folder.join("cache")) };
    let mut rows = Vec::new();
    let parts: [(&str, Result<Vec<Row>, Any>); 4] = [
        ("wasm: compile and load", compile_rows()),
        ("wasm: run", run_rows(&folder)),
        ("wasm: past its box", overshoot_rows()),
        ("wasm: memory", memory_rows()),
    ];
    for (what, part) in parts {
        match part {
            Ok(part) => rows.extend(part),
            Err(e) => rows.push(missing(what, &e.to_string())),
        }
    }
    rows.push(size_row(tools, "library-wasm", "libgraceshut.so, stripped, with wasm", Limit::Value(10.0 * 1e6 / 1024.0)));
    // What is left is in the temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
    rows
}
