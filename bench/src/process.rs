//! Child processes that print `ready`, and clocks two processes share.

use std::io::{BufRead, BufReader, Error, Result};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A started child with its standard output.
pub struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

/// Rounds of the child `back`.
pub const BACK_ROUNDS: usize = 40;

/// Wall clock in microseconds: what the report uses.
pub fn wall_us() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as f64 / 1000.0
}

/// CLOCK_MONOTONIC in nanoseconds: the same in every process.
pub fn mono_ns() -> u64 {
    graceshut::clock::At::now().0
}

impl Running {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Result<Running> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or_else(|| Error::other("no stdout"))?;
        Ok(Running { child, out: BufReader::new(out) })
    }

    /// Starts a command and waits for its `ready`.
    pub fn ready(command: &mut Command) -> Result<Running> {
        let mut running = Running::start(command)?;
        running.until("ready")?;
        Ok(running)
    }

    /// Reads lines up to one that begins with `word`; answers the rest of it.
    pub fn until(&mut self, word: &str) -> Result<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.out.read_line(&mut line)? == 0 {
                return Err(Error::other(format!("the child ended before it said {word}")));
            }
            if let Some(rest) = line.trim().strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signo: i32) {
        // SAFETY: kill takes two integers; the child has not been reaped.
        unsafe { libc::kill(self.pid(), signo) };
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    /// Waits for the end; answers its status.
    pub fn wait(&mut self) -> Result<std::process::ExitStatus> {
        self.child.wait()
    }

    /// Ends it for good.
    pub fn kill(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Lets the child come to rest: latencies are of an idle process.
pub fn settle() {
    std::thread::sleep(Duration::from_millis(3));
}
