//! `graceshut stop`: ask a process to stop, wait until it has, tell which way it went.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::run::sys;
use crate::{duration, signals};

/// Stop a process: signal, wait, KILL if asked to; the exit status tells how it went.
#[derive(clap::Args, Clone, Debug)]
#[command(
    long_about = "Stop a process: signal, wait, KILL if asked to; the exit status tells how it went.\n\n\
        The process is held by a pidfd from the first moment: neither the signal nor the wait can meet another one that was \
        given its number. A pidfile that is older than the process of that number is stale, and nothing is signalled.",
    after_long_help = "Exit status:\n  \
          0    it is gone\n  \
          1    it still runs, after --timeout\n  \
          3    there was no such process (or the pidfile is stale, or not there)\n  \
          4    it is gone, but took KILL\n  \
          125  it could not be tried: no right, no pid in the file\n\n\
        Examples:\n  \
          graceshut stop 1234\n  \
          graceshut stop --pidfile /run/app.pid --timeout 30s --kill-after 30s"
)]
pub struct Args {
    /// The process
    #[arg(value_name = "PID", required_unless_present = "pidfile", conflicts_with = "pidfile", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,

    /// A file that holds its pid
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,

    /// The signal that asks it to stop
    #[arg(long, value_name = "SIGNAL", default_value = "TERM", value_parser = signals::parse)]
    pub signal: i32,

    /// How long to wait for it; with --kill-after that counts instead
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse_positive)]
    pub timeout: Duration,

    /// KILL it when it still runs this long after the signal
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub kill_after: Option<Duration>,
}

const STILL_RUNS: u8 = 1;
const NOT_THERE: u8 = 3;
const KILLED: u8 = 4;
const OWN_ERROR: u8 = 125;

/// How long a process may take to go after KILL (a dead file server can hold it for ever).
const AFTER_KILL: Duration = Duration::from_secs(5);

/// Runs the command.
pub fn run(args: Args) -> ExitCode {
    match stop(&args) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            eprintln!("graceshut: {message}");
            ExitCode::from(OWN_ERROR)
        }
    }
}

fn stop(args: &Args) -> Result<u8, String> {
    let Some(pid) = pid_of(args)? else { return Ok(not_there("the pidfile is not there")) };
    let process = match sys::pidfd_open(pid) {
        Ok(process) => process,
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Ok(not_there(&format!("no process {pid}"))),
        Err(e) => return Err(format!("process {pid}: {e}")),
    };
    if let Some(path) = &args.pidfile
        && is_younger(pid, path)
    {
        return Ok(not_there(&format!("{} is stale: process {pid} is younger than the file", path.display())));
    }
    let since = Instant::now();
    if !send(&process, pid, args.signal)? || gone_within(&process, args.kill_after.unwrap_or(args.timeout)) {
        return Ok(0);
    }
    let waited = duration::human(since.elapsed());
    if args.kill_after.is_none() {
        eprintln!("graceshut: process {pid} still runs after {waited}; --kill-after TIME would end it");
        return Ok(STILL_RUNS);
    }
    eprintln!("graceshut: process {pid} still ran after {waited}: KILL");
    if !send(&process, pid, libc::SIGKILL)? || gone_within(&process, AFTER_KILL) {
        return Ok(KILLED);
    }
    eprintln!("graceshut: process {pid} is there even after KILL; the kernel holds it");
    Ok(STILL_RUNS)
}

fn not_there(why: &str) -> u8 {
    eprintln!("graceshut: nothing to stop: {why}");
    NOT_THERE
}

fn pid_of(args: &Args) -> Result<Option<i32>, String> {
    let Some(path) = &args.pidfile else { return Ok(args.pid) };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
    };
    match text.trim().parse() {
        Ok(pid) if pid > 0 => Ok(Some(pid)),
        _ => Err(format!("{} holds no pid", path.display())),
    }
}

/// True when the process began after the file was written, by more than the clocks' coarseness.
fn is_younger(pid: i32, file: &std::path::Path) -> bool {
    let began = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| {
        let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let boot: i64 = boot.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()?;
        // SAFETY: sysconf takes an integer.
        let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok().filter(|n| *n > 0)?;
        Some(boot + i64::try_from(ticks / per_second).ok()?)
    });
    match (began, std::fs::metadata(file)) {
        (Some(began), Ok(meta)) => began > meta.mtime() + 2,
        _ => false,
    }
}

/// False when it was gone already.
fn send(process: &OwnedFd, pid: i32, signo: i32) -> Result<bool, String> {
    match sys::pidfd_signal(process, signo) {
        Ok(()) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(e) => Err(format!("cannot send {} to process {pid}: {e}", signals::name(signo))),
    }
}

/// A pidfd can be read when its process has ended, waited for or not.
fn gone_within(process: &OwnedFd, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if sys::poll(&[process.as_raw_fd()], Some(left)) {
            return true;
        }
        if left.is_zero() {
            return false;
        }
    }
}
