//! One driver as a real process: pipes, signals, wait status. Judges nothing.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use serde_json::Value;

/// What a process tells.
#[derive(Debug)]
pub enum Told {
    /// A line of the trace.
    Trace(Instant, String),
    /// The trace's end.
    TraceEnd,
    /// Everything on stderr.
    Stderr(String),
    /// It is gone, not yet reaped.
    Gone(Instant),
}

/// A driver that runs. Killed and reaped at the latest when dropped.
pub struct Process {
    child: Child,
    control: Option<File>,
    told: Receiver<Told>,
    status: Option<ExitStatus>,
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: pipe2 writes two descriptors into an array of two.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    let read = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: likewise.
    let write = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((read, write))
}

/// In the child: what the runner itself inherited (nohup, a job in the background, a mask) is no scenario's business.
fn plain_signals() -> io::Result<()> {
    for signo in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE, libc::SIGUSR1, libc::SIGUSR2] {
        // SAFETY: a number and a default disposition; async-signal-safe.
        if unsafe { libc::signal(signo, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: all zeroes is the empty set.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a local set; async-signal-safe.
    if unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn start(mut command: Command) -> io::Result<Process> {
        let (trace, trace_end) = pipe()?;
        let (control_end, control) = pipe()?;
        let kept = [trace_end.as_raw_fd(), control_end.as_raw_fd()];
        command.env("CONFORMANCE_TRACE_FD", kept[0].to_string()).env("CONFORMANCE_CONTROL_FD", kept[1].to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let keep = move || {
            plain_signals()?;
            for fd in kept {
                // SAFETY: fcntl on a descriptor that is open in the child; async-signal-safe.
                if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        };
        // SAFETY: between fork and exec only fcntl, signal and sigprocmask are called.
        unsafe { command.pre_exec(keep) };
        let mut child = command.spawn()?;
        drop((trace_end, control_end));
        let (to, told) = channel();
        read_trace(File::from(trace), to.clone());
        if let Some(mut stderr) = child.stderr.take() {
            let to = to.clone();
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = stderr.read_to_end(&mut bytes);
                let _ = to.send(Told::Stderr(String::from_utf8_lossy(&bytes).into_owned()));
            });
        }
        watch(child.id(), to);
        Ok(Process { child, control: Some(File::from(control)), told, status: None })
    }

    /// What comes next, until `until`.
    pub fn next(&self, until: Instant) -> Option<Told> {
        self.told.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }

    /// Its threads by name; none when they cannot be read.
    pub fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        tasks.filter_map(|t| Some(std::fs::read_to_string(t.path().join("comm")).ok()?.trim_end().to_owned())).collect()
    }

    /// Sends a real signal.
    pub fn signal(&self, signo: i32) {
        if self.status.is_none() {
            // SAFETY: a number; the process is not reaped yet, so its pid is its own.
            unsafe { libc::kill(self.child.id() as i32, signo) };
        }
    }

    /// Hands it an act.
    pub fn act(&mut self, act: &Value) {
        if let Some(control) = &mut self.control {
            // A driver that is gone reads nothing: that shows in its trace.
            let _ = control.write_all(format!("{act}\n").as_bytes());
        }
    }

    /// Reaps it once it is gone.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait()?;
        self.status = Some(status);
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read_trace(trace: File, to: Sender<Told>) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(trace).lines();
        while let Some(Ok(line)) = lines.next() {
            if to.send(Told::Trace(Instant::now(), line)).is_err() {
                return;
            }
        }
        let _ = to.send(Told::TraceEnd);
    });
}

/// Tells the moment in which the process is gone, and leaves it to be reaped.
fn watch(pid: u32, to: Sender<Told>) {
    std::thread::spawn(move || {
        // SAFETY: all zeroes is a valid siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: waits for a child and writes to a local; WNOWAIT leaves the child.
        while unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT) } != 0 {
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                break;
            }
        }
        let _ = to.send(Told::Gone(Instant::now()));
    });
}
