//! As catatonit 0.1.7. Written from its documented behaviour and from what its program does; nothing is taken from its source.

use std::ffi::OsString;

use super::getopt::{self, Spec};
use super::plain::{self, Dialect};
use crate::run::child::Place;
use crate::run::inherit::Inherited;
use crate::run::sys::{self, Status, Waited};
use crate::run::taken::Signals;
use crate::run::tty::Terminal;

const SPEC: Spec = Spec { short: "ghLPV", long: &[("version", false, 'V')], permute: true };

const USAGE: &str = "usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]";

struct Catatonit {
    debug: bool,
}

impl Catatonit {
    fn say(&self, what: &str) {
        if self.debug {
            eprintln!("DEBUG (catatonit:{}): {what}", sys::own_pid());
        }
    }

    fn error(what: &str) {
        eprintln!("ERROR (catatonit:{}): {what}", sys::own_pid());
    }
}

impl Dialect for Catatonit {
    fn pass_on(&mut self, signo: i32) -> Option<i32> {
        (!matches!(signo, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)).then_some(signo)
    }

    fn passed_on(&mut self, signo: i32, _: i32) {
        self.say(&format!("signal {signo} forwarded"));
    }

    fn ended(&mut self, pid: i32, status: Status, main: bool) {
        let who = if main { "pid1" } else { "child" };
        self.say(&format!("{who} ({pid}) ended with status {}", status.code()));
    }
}

pub fn run(words: Vec<OsString>, inherited: Inherited) -> i32 {
    let given = match getopt::read(&SPEC, words) {
        Ok(given) => given,
        Err(e) => {
            eprintln!("catatonit: {e}\n{USAGE}");
            return 1;
        }
    };
    let has = |letter: char| given.options.iter().any(|(l, _)| *l == letter);
    if std::env::var_os("CATATONIT_LOG").is_some() {
        Catatonit::error("CATATONIT_LOG is reserved for future use");
        return 1;
    }
    if has('h') {
        println!(
            "{USAGE}\n\noptions:\n  -g              Forward signals to pid1's process group.\n  -h              Print this help page.\n  -L              Print license information.\n  -P              Run in pause mode (no program is run and quit on SIGINT).\n  -V, --version   Print version information."
        );
        return 0;
    }
    if has('V') {
        // Docker looks for "tini version".
        println!("tini version 0.1.7_catatonit (graceshut {})", env!("CARGO_PKG_VERSION"));
        return 0;
    }
    if has('L') {
        println!("{}", include_str!("../../../LICENSE-MIT"));
        return 0;
    }
    let mut init = Catatonit { debug: std::env::var_os("CATATONIT_DEBUG").is_some() };
    let signals = match Signals::open() {
        Ok(signals) => signals,
        Err(e) => {
            Catatonit::error(&format!("signalfd: {e}"));
            return 1;
        }
    };
    if sys::own_pid() != 1
        && let Err(e) = sys::become_subreaper()
    {
        Catatonit::error(&format!("cannot become a subreaper: {e}"));
        return 1;
    }
    if has('P') {
        return pause(&signals);
    }
    let Some(program) = given.rest.first() else {
        Catatonit::error("missing program name");
        eprintln!("{USAGE}");
        return 1;
    };
    let foreground = Terminal::of_stdin().map(|t| t.fd);
    let pid = match plain::start(&given.rest, Place::Group, foreground, None, &inherited) {
        Ok(pid) => pid,
        Err(e) => {
            Catatonit::error(&format!("failed to exec pid1: {}", plain::words(&e)));
            return 1;
        }
    };
    init.say(&format!("pid1 ({pid}) spawned: {}", program.to_string_lossy()));
    plain::close_others(&signals);
    plain::leave_folder();
    let target = if has('g') { -pid } else { pid };
    plain::keep(&signals, pid, target, &mut init).code()
}

/// No program: orphans are waited for until INT or TERM.
fn pause(signals: &Signals) -> i32 {
    plain::close_others(signals);
    plain::leave_folder();
    loop {
        sys::poll(&[signals.fd()], None);
        while let Some(taken) = signals.next() {
            if matches!(taken.signo, libc::SIGINT | libc::SIGTERM) {
                return 0;
            }
        }
        while !matches!(sys::wait_any(), Waited::Nothing | Waited::NoChildren) {}
    }
}
