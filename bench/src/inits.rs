//! `graceshut run` beside tini, dumb-init and catatonit: size, memory, start, forwarding, reaping.

use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Tools;
use crate::process::{Running, mono_ns, settle};
use crate::stats::{Limit, Row, missing, row};

const PEERS: [&str; 3] = ["tini", "dumb-init", "catatonit"];
const STARTS: usize = 60;
const SIGNALS: usize = 100;
const REAPINGS: usize = 7;
const MEMORIES: usize = 9;

/// How one wrapper is called, up to the command it wraps.
struct Wrapper {
    name: String,
    program: PathBuf,
    words: &'static [&'static str],
}

impl Wrapper {
    fn ours(tools: &Tools) -> Option<Wrapper> {
        let program = std::fs::canonicalize(tools.get("command")?).ok()?;
        Some(Wrapper { name: "graceshut run".into(), program, words: &["run", "--report", "none", "--"] })
    }

    fn peer(name: &str) -> Option<Wrapper> {
        let path = std::env::var_os("PATH")?;
        let program = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.is_file())?;
        Some(Wrapper { name: name.to_owned(), program, words: &["--"] })
    }

    fn around(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.words).arg(program).args(args);
        command
    }
}

/// Milliseconds from the start of a wrapper to the end of `true` under it.
fn start(wrapper: Option<&Wrapper>) -> Result<f64> {
    let program = Path::new("/bin/true");
    let mut command = wrapper.map_or_else(|| Command::new(program), |w| w.around(program, &[]));
    let began = Instant::now();
    let status = command.stdin(Stdio::null()).stderr(Stdio::null()).status()?;
    if !status.success() {
        return Err(Error::other(format!("it left with {status}")));
    }
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

fn start_row(ours: &Wrapper, peer: &Wrapper) -> Result<Row> {
    let (mut us, mut them) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let bare = start(None)?;
        us.push(start(Some(ours))? - bare);
        them.push(start(Some(peer))? - bare);
    }
    Ok(row("start and end of true, beyond true alone", "ms", us, (&peer.name, them), Limit::None))
}

/// Resident KiB of a wrapper whose command sleeps.
fn resident(wrapper: &Wrapper) -> Result<f64> {
    let child = Running::ready(&mut wrapper.around(&std::env::current_exe()?, &["child", "stamps"]))?;
    settle();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid()))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or_else(|| Error::other("no VmRSS"))?;
    let kib = line.split_whitespace().next().and_then(|n| n.parse().ok()).ok_or_else(|| Error::other("no number"));
    end(child)?;
    kib
}

/// TERM, so that the wrapper takes its command along.
fn end(mut child: Running) -> Result<()> {
    child.signal(libc::SIGTERM);
    child.wait().map(drop)
}

fn memory_row(ours: &Wrapper, peer: &Wrapper) -> Result<Row> {
    let samples = |w: &Wrapper| (0..MEMORIES).map(|_| resident(w)).collect::<Result<Vec<_>>>();
    Ok(row(
        "resident memory of the wrapper, its command asleep",
        "KiB",
        samples(ours)?,
        (&peer.name, samples(peer)?),
        Limit::None,
    ))
}

/// Microseconds from kill() of the wrapper to the command's own look at its clock.
fn forwarded(wrapper: &Wrapper) -> Result<Vec<f64>> {
    let mut child = Running::ready(&mut wrapper.around(&std::env::current_exe()?, &["child", "stamps"]))?;
    let mut all = Vec::new();
    for _ in 0..SIGNALS {
        settle();
        let sent = mono_ns();
        child.signal(libc::SIGUSR1);
        let at: u64 = child.until("stamp")?.parse().map_err(Error::other)?;
        all.push(at.saturating_sub(sent) as f64 / 1000.0);
    }
    end(child)?;
    Ok(all)
}

fn forward_row(ours: &Wrapper, peer: &Wrapper) -> Result<Row> {
    Ok(row(
        "kill() of the wrapper to the command's handler",
        "us",
        forwarded(ours)?,
        (&peer.name, forwarded(peer)?),
        Limit::None,
    ))
}

/// Microseconds per orphan that PID 1 has reaped.
fn reaped(wrapper: &Wrapper) -> Result<f64> {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(&wrapper.program).args(wrapper.words);
    let mut child = Running::start(command.arg(std::env::current_exe()?).args(["child", "orphans"]))?;
    let each = child.until("each")?.parse().map_err(Error::other);
    child.wait()?;
    each
}

fn reap_row(ours: &Wrapper, peer: &Wrapper) -> Result<Row> {
    let (mut us, mut them) = (Vec::new(), Vec::new());
    for _ in 0..REAPINGS {
        us.push(reaped(ours)?);
        them.push(reaped(peer)?);
    }
    Ok(row("an orphan made, ended and reaped by PID 1", "us", us, (&peer.name, them), Limit::None))
}

fn size_row(ours: &Wrapper, peer: &Wrapper) -> Result<Row> {
    let kib = |w: &Wrapper| Ok::<_, Error>(std::fs::metadata(&w.program)?.len() as f64 / 1024.0);
    Ok(row("the wrapper's file", "KiB", vec![kib(ours)?], (&peer.name, vec![kib(peer)?]), Limit::None))
}

type Measure = fn(&Wrapper, &Wrapper) -> Result<Row>;

/// All of them.
pub fn rows(tools: &Tools) -> Vec<Row> {
    let Some(ours) = Wrapper::ours(tools) else { return vec![missing("graceshut run", "no command was given")] };
    let measures: [(&str, Measure); 5] =
        [("size", size_row), ("memory", memory_row), ("start", start_row), ("forwarding", forward_row), ("reaping", reap_row)];
    let mut rows = Vec::new();
    for (what, measure) in measures {
        for name in PEERS {
            let what = format!("graceshut run, {what}, beside {name}");
            let one = Wrapper::peer(name).ok_or_else(|| Error::other("it is not installed")).and_then(|p| measure(&ours, &p));
            rows.push(one.unwrap_or_else(|e| missing(&what, &e.to_string())));
        }
    }
    rows
}

// ---- what the wrapped command does: `graceshut-bench child MODE` ----

/// Says when each USR1 came.
pub fn stamps_child() -> Result<()> {
    // SAFETY: a set of signals is plain data, for which zeros are a value.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is live and writable.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: as above.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGUSR1) };
    // SAFETY: `set` is live; the mask before is not wanted.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    println!("ready");
    loop {
        let mut signo = 0;
        // SAFETY: both point to live values.
        unsafe { libc::sigwait(&raw const set, &raw mut signo) };
        println!("stamp {}", mono_ns());
    }
}

const ORPHANS: u32 = 2000;

/// Makes orphans that end at once, waits until none is left, says how long one took.
pub fn orphans_child() -> Result<()> {
    let began = Instant::now();
    for _ in 0..ORPHANS {
        // SAFETY: this process has one thread; its children only fork and leave.
        let middle = unsafe { libc::fork() };
        if middle == 0 {
            // SAFETY: as above; the orphan and its parent both go on to leave.
            unsafe { libc::fork() };
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: waitpid takes a null status.
        if middle < 0 || unsafe { libc::waitpid(middle, std::ptr::null_mut(), 0) } != middle {
            return Err(Error::last_os_error());
        }
    }
    while processes()? > 2 {
        std::thread::yield_now();
    }
    println!("each {}", began.elapsed().as_secs_f64() * 1e6 / f64::from(ORPHANS));
    Ok(())
}

/// PID 1 and this one, and who is left.
fn processes() -> Result<usize> {
    let names = std::fs::read_dir("/proc")?.flatten().map(|e| e.file_name());
    Ok(names.filter(|n| n.as_encoded_bytes().iter().all(u8::is_ascii_digit)).count())
}
