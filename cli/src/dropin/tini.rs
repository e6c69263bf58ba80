//! As tini 0.19.

use std::ffi::OsString;

use super::getopt::{self, Spec};
use super::plain::{self, Dialect};
use crate::run::child::Place;
use crate::run::inherit::Inherited;
use crate::run::sys::{self, Status};
use crate::run::taken::Signals;
use crate::run::tty::Terminal;
use crate::signals;

const SPEC: Spec = Spec { short: "p:hvwgle:s", long: &[], permute: true };

const HELP: &str = "tini (tini version 0.19.0, graceshut)
Usage: tini [OPTIONS] PROGRAM -- [ARGS] | --version

Execute a program under the supervision of a valid init process (tini)

Command line options:

  --version: Show version and exit.
  -h: Show this help message and exit.
  -s: Register as a process subreaper (requires Linux >= 3.4).
  -p SIGNAL: Trigger SIGNAL when parent dies, e.g. \"-p SIGKILL\".
  -v: Generate more verbose output. Repeat up to 3 times.
  -w: Print a warning when processes are getting reaped.
  -g: Send signals to the child's process group.
  -e EXIT_CODE: Remap EXIT_CODE (from 0 to 255) to 0.
  -l: Show license and exit.

Environment variables:

  TINI_SUBREAPER: Register as a process subreaper (requires Linux >= 3.4).
  TINI_VERBOSITY: Set the verbosity level (default: 1).
  TINI_KILL_PROCESS_GROUP: Send signals to the child's process group.
";

struct Tini {
    subreaper: bool,
    group: bool,
    warn_on_reap: bool,
    verbosity: i32,
    parent_death: Option<i32>,
    to_zero: Vec<i32>,
}

impl Tini {
    fn say(&self, level: i32, word: &str, what: &str) {
        let line = format!("[{word:<5} tini ({})] {what}", sys::own_pid());
        match level {
            _ if self.verbosity < level => {}
            0 | 1 => eprintln!("{line}"),
            _ => println!("{line}"),
        }
    }

    fn fatal(&self, what: &str) {
        self.say(0, "FATAL", what);
    }
}

impl Dialect for Tini {
    fn pass_on(&mut self, signo: i32) -> Option<i32> {
        if matches!(signo, libc::SIGTTIN | libc::SIGTTOU) {
            return None;
        }
        self.say(2, "DEBUG", &format!("Passing signal: '{}'", signals::name(signo)));
        Some(signo)
    }

    fn ended(&mut self, pid: i32, status: Status, main: bool) {
        self.say(2, "DEBUG", &format!("Reaped child with pid: '{pid}'"));
        match status {
            Status::Exited(code) if main => {
                self.say(2, "INFO", &format!("Main child exited normally (with status '{code}')"));
            }
            Status::Killed(signo) if main => {
                self.say(2, "INFO", &format!("Main child exited with signal (with signal '{}')", signals::name(signo)));
            }
            _ if self.warn_on_reap => self.say(1, "WARN", &format!("Reaped zombie process with pid={pid}")),
            _ => {}
        }
    }
}

fn read(words: Vec<OsString>) -> Result<(Tini, Vec<OsString>), i32> {
    if words.len() == 1 && words[0] == "--version" {
        println!("tini version 0.19.0 (graceshut {})", env!("CARGO_PKG_VERSION"));
        return Err(0);
    }
    let given = getopt::read(&SPEC, words).map_err(|e| {
        eprintln!("tini: {e}");
        eprint!("{HELP}");
        1
    })?;
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let verbosity = std::env::var("TINI_VERBOSITY").map_or(1, |v| v.trim().parse().unwrap_or(0));
    let mut tini = Tini {
        subreaper: is_set("TINI_SUBREAPER"),
        group: is_set("TINI_KILL_PROCESS_GROUP"),
        warn_on_reap: false,
        verbosity,
        parent_death: None,
        to_zero: Vec::new(),
    };
    for (letter, value) in given.options {
        let value = value.unwrap_or_default().to_string_lossy().into_owned();
        match letter {
            'h' => {
                print!("{HELP}");
                return Err(0);
            }
            'l' => {
                println!("{}", include_str!("../../../LICENSE-MIT"));
                return Err(0);
            }
            's' => tini.subreaper = true,
            'v' => tini.verbosity += 1,
            'w' => tini.warn_on_reap = true,
            'g' => tini.group = true,
            'p' => match value.starts_with("SIG").then(|| signals::parse(&value)) {
                Some(Ok(signo)) => tini.parent_death = Some(signo),
                _ => {
                    tini.fatal(&format!("Not a valid option for -p: {value}"));
                    return Err(1);
                }
            },
            _ => match value.parse::<u8>() {
                Ok(code) => tini.to_zero.push(i32::from(code)),
                Err(_) => {
                    tini.fatal(&format!("Not a valid option for -e: {value}"));
                    return Err(1);
                }
            },
        }
    }
    if given.rest.is_empty() {
        eprint!("{HELP}");
        return Err(1);
    }
    Ok((tini, given.rest))
}

pub fn run(words: Vec<OsString>, inherited: Inherited) -> i32 {
    let (mut tini, argv) = match read(words) {
        Ok(read) => read,
        Err(code) => return code,
    };
    let pid1 = sys::own_pid() == 1;
    if let Some(signo) = tini.parent_death
        && let Err(e) = sys::set_parent_death_signal(signo)
    {
        tini.fatal(&format!("Failed to set up parent death signal: {e}"));
        return 1;
    }
    if tini.subreaper {
        if let Err(e) = sys::become_subreaper() {
            tini.fatal(&format!("Failed to register as child subreaper: {e}"));
            return 1;
        }
        tini.say(3, "TRACE", "Registered as child subreaper");
    } else if !pid1 {
        tini.say(
            1,
            "WARN",
            "Tini is not running as PID 1 and isn't registered as a child subreaper.\n\
             Zombie processes will not be re-parented to Tini, so zombie reaping won't work.\n\
             To fix the problem, use the -s option or set the environment variable TINI_SUBREAPER to register Tini as a child subreaper, or run Tini as PID 1.",
        );
    }
    let signals = match Signals::open() {
        Ok(signals) => signals,
        Err(e) => {
            tini.fatal(&format!("signalfd: {e}"));
            return 1;
        }
    };
    let foreground = Terminal::of_stdin().map(|t| t.fd);
    let pid = match plain::start(&argv, Place::Group, foreground, None, &inherited) {
        Ok(pid) => pid,
        Err(e) => {
            tini.fatal(&format!("exec {} failed: {}", argv[0].to_string_lossy(), plain::words(&e)));
            return e.code;
        }
    };
    tini.say(2, "INFO", &format!("Spawned child process '{}' with pid '{pid}'", argv[0].to_string_lossy()));
    let target = if tini.group { -pid } else { pid };
    let code = plain::keep(&signals, pid, target, &mut tini).code();
    if tini.to_zero.contains(&code) { 0 } else { code }
}
