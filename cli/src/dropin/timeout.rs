//! As timeout(1) of coreutils 9.1.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::getopt::{self, Spec};
use super::plain;
use crate::run::child::Place;
use crate::run::inherit::Inherited;
use crate::run::sys::{self, Status, Waited};
use crate::run::taken::Signals;
use crate::signals;

const SPEC: Spec = Spec {
    short: "k:s:v",
    long: &[
        ("kill-after", true, 'k'),
        ("signal", true, 's'),
        ("verbose", false, 'v'),
        ("foreground", false, 'f'),
        ("preserve-status", false, 'p'),
        ("help", false, 'h'),
        ("version", false, 'V'),
    ],
    permute: false,
};

const TIMED_OUT: i32 = 124;
const OWN_ERROR: i32 = 125;

const HELP: &str = "Usage: timeout [OPTION] DURATION COMMAND [ARG]...
Start COMMAND, and kill it if still running after DURATION.

      --preserve-status  exit with the same status as COMMAND, even when the command times out
      --foreground       do not put COMMAND into a background process group; its children are then not timed out
  -k, --kill-after=DURATION  also send a KILL signal if COMMAND is still running this long after the first signal
  -s, --signal=SIGNAL    the signal to be sent on timeout, by name or number; TERM by default
  -v, --verbose          say on standard error which signal is sent
      --help             display this help and exit
      --version          output version information and exit

DURATION is a number with an optional suffix: 's' for seconds (the default), 'm', 'h' or 'd'. 0 disables the timeout.

Exit status: 124 if COMMAND times out and --preserve-status is not given, 125 if timeout itself fails, 126 if COMMAND
cannot be invoked, 127 if it cannot be found, 137 if COMMAND (or timeout itself) is sent KILL, else COMMAND's own.";

struct Timeout {
    limit: Option<Duration>,
    kill_after: Option<Duration>,
    signal: i32,
    verbose: bool,
    foreground: bool,
    preserve_status: bool,
    program: String,
}

/// `1.5m`; `None` for none or what is beyond every clock.
fn duration(text: &str) -> Result<Option<Duration>, ()> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1.0),
        Some(b'm') => (&text[..text.len() - 1], 60.0),
        Some(b'h') => (&text[..text.len() - 1], 3_600.0),
        Some(b'd') => (&text[..text.len() - 1], 86_400.0),
        _ => (text, 1.0),
    };
    let seconds: f64 = number.trim_start().parse().map_err(|_| ())?;
    if seconds.is_nan() || seconds < 0.0 {
        return Err(());
    }
    let all = Duration::try_from_secs_f64(seconds * unit).ok();
    Ok(all.filter(|d| !d.is_zero()))
}

fn refuse(what: &str) -> i32 {
    eprintln!("timeout: {what}\nTry 'timeout --help' for more information.");
    OWN_ERROR
}

fn read(words: Vec<OsString>) -> Result<(Timeout, Vec<OsString>), i32> {
    let given = getopt::read(&SPEC, words).map_err(|e| refuse(&e))?;
    let mut t = Timeout {
        limit: None,
        kill_after: None,
        signal: libc::SIGTERM,
        verbose: false,
        foreground: false,
        preserve_status: false,
        program: String::new(),
    };
    let time = |text: &str| duration(text).map_err(|()| refuse(&format!("invalid time interval ‘{text}’")));
    for (letter, value) in given.options {
        let value = value.unwrap_or_default().to_string_lossy().into_owned();
        match letter {
            'k' => t.kill_after = time(&value)?,
            's' => t.signal = signals::parse(&value).map_err(|_| refuse(&format!("‘{value}’: invalid signal")))?,
            'v' => t.verbose = true,
            'f' => t.foreground = true,
            'p' => t.preserve_status = true,
            'h' => {
                println!("{HELP}");
                return Err(0);
            }
            _ => {
                println!("timeout (graceshut) {}", env!("CARGO_PKG_VERSION"));
                return Err(0);
            }
        }
    }
    let mut rest = given.rest.into_iter();
    let (Some(limit), argv) = (rest.next(), rest.by_ref().collect::<Vec<_>>()) else { return Err(refuse("missing operand")) };
    if argv.is_empty() {
        return Err(refuse("missing operand"));
    }
    t.limit = time(&limit.to_string_lossy())?;
    t.program = argv[0].to_string_lossy().into_owned();
    Ok((t, argv))
}

struct Course {
    t: Timeout,
    pid: i32,
    /// When the next signal is due.
    due: Option<Instant>,
    next: i32,
    timed_out: bool,
}

impl Course {
    /// To the command and, with it, to the group, which this process is in.
    fn send(&mut self, signo: i32) {
        if let Some(after) = self.t.kill_after.take() {
            self.due = Some(Instant::now() + after);
            self.next = libc::SIGKILL;
        }
        if self.t.verbose && self.timed_out {
            eprintln!("timeout: sending signal {} to command ‘{}’", signals::name(signo), self.t.program);
        }
        let _ = sys::kill(self.pid, signo); // it may be gone: its status is waited for all the same
        if self.t.foreground {
            return;
        }
        // With KILL this is the end of this process as well, as its users know it: status 137.
        let _ = sys::kill(0, signo);
        if !matches!(signo, libc::SIGKILL | libc::SIGCONT) {
            let _ = sys::kill(self.pid, libc::SIGCONT);
            let _ = sys::kill(0, libc::SIGCONT);
        }
    }

    fn keep(&mut self, signals: &Signals) -> Status {
        loop {
            let wait = self.due.map(|at| at.saturating_duration_since(Instant::now()));
            sys::poll(&[signals.fd()], wait);
            if self.due.is_some_and(|at| at <= Instant::now()) {
                self.due = None;
                self.timed_out = true;
                self.send(self.next);
            }
            while let Some(taken) = signals.next() {
                let own = taken.sender.is_some_and(|(pid, _)| pid == sys::own_pid());
                match taken.signo {
                    libc::SIGCHLD => {}
                    // What went to the group came here too.
                    _ if own => {}
                    libc::SIGALRM => {
                        self.timed_out = true;
                        self.send(self.next);
                    }
                    // In a background group these tell of nothing.
                    libc::SIGTTIN | libc::SIGTTOU => {}
                    signo @ (libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT) => self.send(signo),
                    signo => {
                        let _ = sys::kill(self.pid, signo);
                    }
                }
            }
            while let Waited::Ended(pid, status) = wait_ended() {
                if pid == self.pid {
                    return status;
                }
            }
        }
    }
}

fn wait_ended() -> Waited {
    loop {
        match sys::wait_any() {
            Waited::Stopped(..) => {}
            other => return other,
        }
    }
}

pub fn run(words: Vec<OsString>, inherited: Inherited) -> i32 {
    let (t, argv) = match read(words) {
        Ok(read) => read,
        Err(code) => return code,
    };
    let signals = match Signals::open() {
        Ok(signals) => signals,
        Err(e) => return refuse(&format!("signalfd: {e}")),
    };
    if !t.foreground {
        let _ = sys::set_group(0, 0); // a session leader is in a group of its own anyway
    }
    let pid = match plain::start(&argv, Place::Here, None, None, &inherited) {
        Ok(pid) => pid,
        Err(e) => {
            eprintln!("timeout: failed to run command ‘{}’: {}", t.program, plain::words(&e));
            return e.code;
        }
    };
    let due = t.limit.map(|l| Instant::now() + l);
    let mut course = Course { next: t.signal, t, pid, due, timed_out: false };
    let status = course.keep(&signals);
    match status {
        Status::Killed(signo) if !course.timed_out => {
            graceshut::signal::die_by(signo);
        }
        Status::Killed(libc::SIGKILL) => status.code(),
        _ if course.timed_out && !course.t.preserve_status => TIMED_OUT,
        _ => status.code(),
    }
}
