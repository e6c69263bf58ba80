//! What the benchmark's own child processes do: `graceshut-bench child MODE`.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use graceshut::{Exit, Options, ReportTo};

use crate::process::{BACK_ROUNDS, mono_ns};

type Any = Box<dyn std::error::Error>;

fn options() -> Options {
    Options { exit: Some(Exit::Manual), report: Some(ReportTo::None), ..Options::default() }
}

/// Runs the mode.
pub fn run(mode: &str) -> Result<(), Any> {
    match mode {
        "graceshut" => graceshut_signal(),
        "ctrlc" => ctrlc_signal(),
        "signal-hook" => signal_hook_signal(),
        "many-hooks" => many_hooks(),
        "memory" => memory(),
        "back" => signal_back(),
        "stamps" => Ok(crate::inits::stamps_child()?),
        "orphans" => Ok(crate::inits::orphans_child()?),
        #[cfg(feature = "wasm")]
        "wasm-memory" => crate::wasm::memory_child(),
        _ => Err(format!("no such mode: {mode}").into()),
    }
}

fn graceshut_signal() -> Result<(), Any> {
    let gs = graceshut::install(options())?;
    let (tell, told) = mpsc::channel();
    gs.hook("drain", "stamp").run(move |_| {
        let _ = tell.send(mono_ns());
        Ok(())
    })?;
    println!("ready");
    gs.wait(None)?;
    let engine = gs.first_action().map_or(0, |at| at.0);
    println!("stamps {engine} {}", told.recv_timeout(Duration::from_secs(5))?);
    Ok(())
}

fn ctrlc_signal() -> Result<(), Any> {
    let (tell, told) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = tell.send(mono_ns());
    })?;
    println!("ready");
    println!("stamps {}", told.recv_timeout(Duration::from_secs(30))?);
    Ok(())
}

fn signal_hook_signal() -> Result<(), Any> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            let _ = tell.send(mono_ns());
        }
    });
    println!("ready");
    println!("stamps {}", told.recv_timeout(Duration::from_secs(30))?);
    Ok(())
}

const HOOKS: u32 = 10_000;

/// 10,000 hooks that do nothing, in one concurrent phase; beside as many boxed jobs through a channel to one thread.
fn many_hooks() -> Result<(), Any> {
    let gs = graceshut::install(options())?;
    for i in 0..HOOKS {
        gs.hook("flush", &format!("h{i}")).run(|_| Ok(()))?;
    }
    gs.stop("bench", None)?;
    let finished = gs.wait(None)?;
    let flush = finished.report.phases.iter().find(|p| p.name == "flush").map_or(0, |p| p.used_us);
    let ok = finished.report.phases.iter().flat_map(|p| &p.hooks).filter(|h| h.outcome == "ok").count();
    if ok < HOOKS as usize {
        return Err(format!("only {ok} hooks ended ok").into());
    }
    println!("stamps {} {}", flush as f64 / f64::from(HOOKS), channel_jobs()?);
    Ok(())
}

fn channel_jobs() -> Result<f64, Any> {
    type Job = Box<dyn FnOnce() + Send>;
    let (give, take) = mpsc::channel::<Job>();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || take.into_iter().for_each(|job| job()));
    let begin = Instant::now();
    for _ in 0..HOOKS {
        let tell = tell.clone();
        give.send(Box::new(move || {
            let _ = tell.send(());
        }))?;
    }
    for _ in 0..HOOKS {
        told.recv_timeout(Duration::from_secs(10))?;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(HOOKS))
}

/// Sends USR1 to the parent as a `signal` hook does (by pidfd), and says when it began to.
fn signal_back() -> Result<(), Any> {
    // SAFETY: getppid takes nothing and cannot fail.
    let parent = unsafe { libc::getppid() };
    for _ in 0..BACK_ROUNDS {
        std::thread::sleep(Duration::from_millis(5));
        let begin = crate::process::wall_us();
        // SAFETY: pidfd_open takes two integers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, parent, 0) };
        // SAFETY: pidfd_send_signal reads no memory when its third argument is null.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGUSR1, std::ptr::null::<libc::siginfo_t>(), 0) };
        // SAFETY: the descriptor is ours and not used again.
        unsafe { libc::close(fd as i32) };
        println!("stamps {begin}");
    }
    Ok(())
}

fn private_dirty_kib() -> Result<u64, Any> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find(|l| l.starts_with("Private_Dirty:")).ok_or("no Private_Dirty")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}

/// Private dirty memory that `install` adds, and what one idle std thread adds.
fn memory() -> Result<(), Any> {
    private_dirty_kib()?; // the reading itself warms buffers up
    let before = private_dirty_kib()?;
    let (hold, held) = mpsc::channel::<()>();
    let (up, is_up) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = up.send(());
        let _ = held.recv();
    });
    is_up.recv()?;
    let thread = private_dirty_kib()? - before;
    let before = private_dirty_kib()?;
    let _gs = graceshut::install(options())?;
    std::thread::sleep(Duration::from_millis(50));
    let after = private_dirty_kib()?;
    drop(hold);
    println!("stamps {} {thread}", after - before);
    Ok(())
}
