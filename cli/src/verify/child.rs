//! The service as a process: started in a session of its own, listened to, signalled, waited for, and never left behind.

use super::proc;
use crate::signals;
use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many of its last lines are told when it ends too early.
const LINES_KEPT: usize = 10;
/// A line is passed on at this length even if it has not ended.
const LINE_LIMIT: usize = 16 * 1024;
/// How long a process may take to vanish after SIGKILL; only one stuck in the kernel takes longer than moments.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// Orphans are reaped and our own signals looked for at least this often.
const TICK: Duration = Duration::from_millis(25);

/// The signal that told us ourselves to stop, or 0.
static INTERRUPTED: AtomicI32 = AtomicI32::new(0);

/// The signal by which we were told to give the check up, if so.
pub fn interrupted() -> Option<i32> {
    Some(INTERRUPTED.load(Ordering::Relaxed)).filter(|n| *n != 0)
}

extern "C" fn note_interrupt(signal: libc::c_int) {
    INTERRUPTED.store(signal, Ordering::Relaxed);
}

/// Makes INT, TERM and HUP end the check in good order, and the orphans of the service our own children.
pub fn prepare() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: all-zero is a valid sigaction: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = note_interrupt as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: `action` is a live sigaction whose handler only stores to an atomic.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: this prctl takes one integer and touches no memory of ours.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// How a process ended: one of the two is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its exit code.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "status {code}"),
            (None, Some(signal)) => write!(f, "killed by {}", signals::name(signal)),
            (None, None) => write!(f, "status unknown"),
        }
    }
}

/// The end of the main process.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// When.
    pub at: Instant,
    /// How.
    pub status: Status,
}

enum Event {
    Exited(Ended),
    /// It printed a line with the word `ready`.
    SaysReady,
    OutputEnded,
}

/// What a wait ended with.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited {
    /// The main process is gone.
    Exited,
    /// The time is over.
    TimeOver,
    /// We were told to give up, by this signal.
    Interrupted(i32),
}

type Tail = Arc<Mutex<VecDeque<String>>>;

/// A running service.
pub struct Service {
    child: Child,
    pid: i32,
    events: Receiver<Event>,
    not_its: HashSet<proc::Id>,
    ended: Option<Ended>,
    says_ready: bool,
    outputs_open: u8,
    stdout: Tail,
    stderr: Tail,
    reaped: bool,
}

impl Service {
    /// Starts it. The signal it will get is set to its default action, in case it was inherited as ignored; with `full_disk` a
    /// write that is refused is an error and no signal.
    pub fn start(command: &[OsString], env: &[(String, OsString)], signal: i32, full_disk: bool) -> Result<Service, String> {
        let not_its = proc::own_children();
        let (program, args) = command.split_first().ok_or("no command given")?;
        let mut builder = Command::new(program);
        builder.args(args).envs(env.iter().cloned());
        builder.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let parent = std::process::id() as i32;
        // SAFETY: between fork and exec `own_session` makes system calls only; it allocates nothing and takes no lock.
        unsafe { builder.pre_exec(move || own_session(signal, parent, full_disk)) };
        let mut child = builder.spawn().map_err(|e| cannot_start(program, &e))?;
        let pid = child.id() as i32;
        let (send, events) = mpsc::channel();
        let tails = [Tail::default(), Tail::default()];
        let outputs: [Option<Box<dyn Read + Send>>; 2] =
            [child.stdout.take().map(|o| Box::new(o) as _), child.stderr.take().map(|o| Box::new(o) as _)];
        let mut service = Service {
            child,
            pid,
            events,
            not_its,
            ended: None,
            says_ready: false,
            outputs_open: 0,
            stdout: Arc::clone(&tails[0]),
            stderr: Arc::clone(&tails[1]),
            reaped: false,
        };
        for (output, tail) in outputs.into_iter().zip(tails) {
            let Some(output) = output else { continue };
            let send = send.clone();
            spawn("output", move || pass_on(output, &tail, &send))?;
            service.outputs_open += 1;
        }
        spawn("waiter", move || wait_for(pid, &send))?;
        Ok(service)
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// True once it has printed a line with the word `ready`.
    pub fn says_ready(&self) -> bool {
        self.says_ready
    }

    /// Waits for the end of the main process, at most until `until`.
    pub fn wait_until(&mut self, until: Instant) -> Waited {
        loop {
            if self.ended.is_some() {
                return Waited::Exited;
            }
            if let Some(signal) = interrupted() {
                return Waited::Interrupted(signal);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Waited::TimeOver;
            }
            self.next_event(left.min(TICK));
            proc::reap_orphans(self.pid);
        }
    }

    fn next_event(&mut self, limit: Duration) {
        match self.events.recv_timeout(limit) {
            Ok(Event::Exited(ended)) => self.ended = Some(ended),
            Ok(Event::SaysReady) => self.says_ready = true,
            Ok(Event::OutputEnded) => self.outputs_open = self.outputs_open.saturating_sub(1),
            Err(RecvTimeoutError::Timeout) => {}
            // Every sender is gone, and so every thread has ended: there is nothing to wait for but time.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(limit),
        }
    }

    /// Sends the main process a signal. It cannot be the wrong process: the main one is not reaped before we are done.
    pub fn signal(&self, signal: i32) -> bool {
        proc::kill(self.pid, signal)
    }

    /// Kills the whole process group and waits for the main process to vanish.
    pub fn kill_group(&mut self) -> Option<Ended> {
        if !self.reaped {
            proc::kill(-self.pid, libc::SIGKILL);
        }
        let until = Instant::now() + KILL_LIMIT;
        while self.ended.is_none() && Instant::now() < until {
            self.next_event(TICK);
        }
        self.ended
    }

    /// What of it is still alive after `settle`: processes about to go by themselves are given that long.
    pub fn left_behind(&mut self, settle: Duration) -> Vec<(i32, String)> {
        let until = Instant::now() + settle;
        loop {
            proc::reap_orphans(self.pid);
            let left = proc::survivors(self.pid, &self.not_its);
            if left.is_empty() || Instant::now() >= until {
                return left.iter().map(|id| (id.pid, proc::command_of(id.pid))).collect();
            }
            self.next_event(Duration::from_millis(10));
        }
    }

    /// The last lines it printed to standard error, or to standard output if there are none.
    pub fn last_words(&mut self) -> Vec<String> {
        self.drain_output();
        let lines = |tail: &Tail| tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect::<Vec<_>>();
        let stderr = lines(&self.stderr);
        if stderr.is_empty() { lines(&self.stdout) } else { stderr }
    }

    /// Waits, shortly, until all it printed has been passed on.
    fn drain_output(&mut self) {
        let until = Instant::now() + Duration::from_millis(500);
        while self.outputs_open > 0 && Instant::now() < until {
            self.next_event(TICK);
        }
    }

    /// Ends whatever is left of it, and reaps it. True if nothing is left.
    pub fn end(&mut self) -> bool {
        if self.ended.is_none() {
            self.kill_group();
        }
        let gone = proc::end_survivors(self.pid, &self.not_its, Duration::from_secs(2));
        if self.ended.is_some() && !self.reaped {
            self.reaped = true;
            // It has ended, so this does not block; its status is known already.
            let _ = self.child.wait();
        }
        self.drain_output();
        gone && self.ended.is_some()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !self.reaped {
            self.end();
        }
    }
}

/// In the new process, before it becomes the service.
pub fn own_session(signal: i32, parent: i32, full_disk: bool) -> io::Result<()> {
    // SAFETY: takes nothing and touches no memory.
    if unsafe { libc::setsid() } < 0 {
        return Err(io::Error::last_os_error());
    }
    // Should we be killed in a way that nobody can handle, the service goes too.
    // SAFETY: this prctl takes one integer and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    // SAFETY: takes nothing and touches no memory.
    if unsafe { libc::getppid() } != parent {
        return Err(io::Error::from(io::ErrorKind::Interrupted));
    }
    if full_disk {
        // What cannot be written is an error then, and not the end.
        // SAFETY: SIG_IGN is a valid disposition.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    }
    // For KILL and STOP this fails, and nothing is lost by it.
    // SAFETY: SIG_DFL is a valid disposition; nothing of ours runs on a signal.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    Ok(())
}

pub fn cannot_start(program: &OsString, error: &io::Error) -> String {
    let program = program.to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') => {
            format!(
                "cannot start {program}: no such file, or the interpreter its first line names is missing (a shell would exit 127)"
            )
        }
        io::ErrorKind::NotFound => format!("cannot start {program}: command not found in PATH (a shell would exit 127)"),
        io::ErrorKind::PermissionDenied => format!("cannot start {program}: not executable (a shell would exit 126)"),
        _ => format!("cannot start {program}: {error}"),
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    thread::Builder::new().name(name.into()).spawn(work).map(drop).map_err(|e| format!("cannot start a thread: {e}"))
}

/// Blocks until the process ends and leaves it unreaped: its pid stays its own for as long as we speak of it.
fn wait_for(pid: i32, events: &Sender<Event>) {
    loop {
        // SAFETY: all-zero is a valid siginfo_t, a plain C struct of integers.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is a live siginfo_t that the call fills in.
        let rc = unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
        let at = Instant::now();
        if rc != 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        let mut status = Status { code: None, signal: None };
        if rc == 0 {
            // SAFETY: waitid succeeded for a child, so the status member is the active one.
            let value = unsafe { info.si_status() };
            match info.si_code {
                libc::CLD_EXITED => status.code = Some(value),
                _ => status.signal = Some(value),
            }
        }
        // Nobody listening means that the check is over.
        let _ = events.send(Event::Exited(Ended { at, status }));
        return;
    }
}

/// Passes what the service prints to our standard error, line by line, and keeps the last lines.
fn pass_on(mut output: Box<dyn Read + Send>, tail: &Tail, events: &Sender<Event>) {
    let mut line = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let bytes = match output.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => &buffer[..n],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for byte in bytes {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() >= LINE_LIMIT {
                keep_line(&mut line, tail, events);
            }
        }
    }
    if !line.is_empty() {
        keep_line(&mut line, tail, events);
    }
    let _ = events.send(Event::OutputEnded);
}

fn keep_line(line: &mut Vec<u8>, tail: &Tail, events: &Sender<Event>) {
    {
        let mut stderr = io::stderr().lock();
        // A closed standard error is no reason to disturb the check.
        let _ = stderr.write_all(&[b"| ".as_slice(), line, b"\n"].concat());
    }
    if has_ready(line) {
        let _ = events.send(Event::SaysReady);
    }
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    if tail.len() == LINES_KEPT {
        tail.pop_front();
    }
    tail.push_back(String::from_utf8_lossy(line).into_owned());
    line.clear();
}

/// Is the word `ready`, in whatever case, in the line? `already` is another word.
fn has_ready(line: &[u8]) -> bool {
    line.split(|b| !b.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case(b"ready"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_word_ready() {
        for line in ["ready", "Server READY.", "state=ready pid=3", "\u{fc}ready"] {
            assert!(has_ready(line.as_bytes()), "{line}");
        }
        for line in ["", "already up", "readiness", "read y"] {
            assert!(!has_ready(line.as_bytes()), "{line}");
        }
    }
}
