//! As dumb-init 1.2.5.

use std::ffi::OsString;

use super::getopt::{self, Spec};
use super::plain::{self, Dialect};
use crate::run::child::Place;
use crate::run::forward::Rewrites;
use crate::run::inherit::Inherited;
use crate::run::sys::{self, Status};
use crate::run::taken::Signals;

const SPEC: Spec = Spec {
    short: "hvVcr:",
    long: &[
        ("help", false, 'h'),
        ("verbose", false, 'v'),
        ("version", false, 'V'),
        ("single-child", false, 'c'),
        ("rewrite", true, 'r'),
    ],
    permute: false,
};

const HELP: &str = "dumb-init v1.2.5 (graceshut)
Usage: dumb-init [option] command [[arg] ...]

dumb-init is a simple process supervisor that forwards signals to children.
It is designed to run as PID1 in minimal container environments.

Optional arguments:
   -c, --single-child   Run in single-child mode.
                        In this mode, signals are only proxied to the
                        direct child and not any of its descendants.
   -r, --rewrite s:r    Rewrite received signal s to new signal r before proxying.
                        To ignore (not proxy) a signal, rewrite it to 0.
                        This option can be specified multiple times.
   -v, --verbose        Print debugging information to stderr.
   -h, --help           Print this help message and exit.
   -V, --version        Print the current version and exit.

";

struct DumbInit {
    verbose: bool,
    session: bool,
    rewrites: Rewrites,
    /// Signals of a lost terminal, swallowed once each.
    swallow: Vec<i32>,
    pid: i32,
}

impl DumbInit {
    fn say(&self, what: &str) {
        if self.verbose {
            eprintln!("[dumb-init] {what}");
        }
    }
}

impl Dialect for DumbInit {
    fn pass_on(&mut self, signo: i32) -> Option<i32> {
        self.say(&format!("Received signal {signo}."));
        if let Some(at) = self.swallow.iter().position(|s| *s == signo) {
            self.swallow.swap_remove(at);
            self.say(&format!("Ignoring tty hand-off signal {signo}."));
            return None;
        }
        match self.rewrites.of(signo) {
            0 => {
                self.say(&format!("Not forwarding signal {signo} to children (ignored)."));
                None
            }
            to => Some(to),
        }
    }

    fn passed_on(&mut self, signo: i32, sent: i32) {
        self.say(&format!("Forwarded signal {sent} to children."));
        if matches!(signo, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) {
            self.say("Suspending self due to TTY signal.");
            sys::stop_self();
        }
    }

    fn ended(&mut self, pid: i32, status: Status, main: bool) {
        match status {
            Status::Exited(code) => self.say(&format!("A child with PID {pid} exited with exit status {code}.")),
            Status::Killed(signo) => self.say(&format!("A child with PID {pid} was terminated by signal {signo}.")),
        }
        if main {
            let target = if self.session { -self.pid } else { self.pid };
            let _ = sys::kill(target, libc::SIGTERM); // what is left of the group, if anything
            self.say(&format!("Forwarded signal {} to children.", libc::SIGTERM));
            self.say(&format!("Child exited with status {}. Goodbye.", status.code()));
        }
    }
}

fn read(words: Vec<OsString>) -> Result<(DumbInit, Vec<OsString>), i32> {
    let debug = std::env::var_os("DUMB_INIT_DEBUG").is_some_and(|v| v == "1");
    let no_session = std::env::var_os("DUMB_INIT_SETSID").is_some_and(|v| v == "0");
    let mut init = DumbInit { verbose: debug, session: !no_session, rewrites: Rewrites::none(), swallow: Vec::new(), pid: 0 };
    let given = getopt::read(&SPEC, words).map_err(|e| {
        eprintln!("dumb-init: {e}");
        1
    })?;
    let mut rewrites = Vec::new();
    for (letter, value) in given.options {
        match letter {
            'h' => {
                eprint!("{HELP}");
                return Err(0);
            }
            'V' => {
                eprintln!("dumb-init v1.2.5 (graceshut {})", env!("CARGO_PKG_VERSION"));
                return Err(0);
            }
            'v' => init.verbose = true,
            'c' => init.session = false,
            _ => rewrites.push(rewrite(&value.unwrap_or_default().to_string_lossy()).ok_or_else(|| {
                eprintln!(
                    "Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.\n\
                     This option can be specified multiple times.\n\
                     Use --help for full usage."
                );
                1
            })?),
        }
    }
    if init.session {
        for signo in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            init.rewrites.set(signo, libc::SIGSTOP);
        }
    }
    rewrites.into_iter().for_each(|(from, to)| init.rewrites.set(from, to));
    if given.rest.is_empty() {
        eprintln!("Usage: dumb-init [option] program [args]\nTry dumb-init --help for full usage.");
        return Err(1);
    }
    Ok((init, given.rest))
}

fn rewrite(text: &str) -> Option<(i32, i32)> {
    let (from, to) = text.split_once(':')?;
    let (from, to): (i32, i32) = (from.parse().ok()?, to.parse().ok()?);
    ((1..=31).contains(&from) && (0..=31).contains(&to)).then_some((from, to))
}

/// Gives the terminal up, so that the child's session can have it. True where this process led the session.
fn detach(init: &DumbInit) -> bool {
    // SAFETY: ioctl without an argument.
    if unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCNOTTY) } < 0 {
        let e = std::io::Error::last_os_error();
        let text = e.to_string();
        let words = text.split(" (os error").next().unwrap_or_default();
        let errno = e.raw_os_error().unwrap_or(0);
        init.say(&format!("Unable to detach from controlling tty (errno={errno} {words})."));
        return false;
    }
    // SAFETY: getsid takes an integer.
    let leads = unsafe { libc::getsid(0) } == sys::own_pid();
    init.say(if leads {
        "Detached from controlling tty, ignoring the first SIGHUP and SIGCONT we receive."
    } else {
        "Detached from controlling tty, but was not session leader."
    });
    leads
}

pub fn run(words: Vec<OsString>, inherited: Inherited) -> i32 {
    let (mut init, argv) = match read(words) {
        Ok(read) => read,
        Err(code) => return code,
    };
    let signals = match Signals::open() {
        Ok(signals) => signals,
        Err(e) => {
            eprintln!("[dumb-init] signalfd: {e}");
            return 1;
        }
    };
    if init.session && detach(&init) {
        init.swallow = vec![libc::SIGHUP, libc::SIGCONT];
    }
    let (place, terminal) = if init.session { (Place::Session, Some(libc::STDIN_FILENO)) } else { (Place::Here, None) };
    let pid = match plain::start(&argv, place, None, terminal, &inherited) {
        Ok(pid) => pid,
        Err(e) => {
            eprintln!("[dumb-init] {}: {}", argv[0].to_string_lossy(), plain::words(&e));
            return 2;
        }
    };
    init.pid = pid;
    init.say(&format!("Child spawned with PID {pid}."));
    if init.session {
        init.say("setsid complete.");
    }
    plain::leave_folder();
    let target = if init.session { -pid } else { pid };
    plain::keep(&signals, pid, target, &mut init).code()
}
