//! One program, its signals passed on, every child waited for.

use std::ffi::OsString;
use std::os::fd::AsRawFd;

use crate::run::child::{self, How, Place, Program, StartError};
use crate::run::inherit::Inherited;
use crate::run::sys::{self, Status, Waited};
use crate::run::taken::Signals;

/// Where one of the programs is its own.
pub trait Dialect {
    /// What becomes of a signal: which one is passed on, if any.
    fn pass_on(&mut self, signo: i32) -> Option<i32>;

    /// After a signal was passed on.
    fn passed_on(&mut self, signo: i32, sent: i32) {
        let _ = (signo, sent);
    }

    fn ended(&mut self, pid: i32, status: Status, main: bool) {
        let _ = (pid, status, main);
    }
}

/// Passes signals on to `target` (a pid or `-group`) and waits until the program `pid` has ended.
pub fn keep(signals: &Signals, pid: i32, target: i32, dialect: &mut dyn Dialect) -> Status {
    loop {
        sys::poll(&[signals.fd()], None);
        while let Some(taken) = signals.next() {
            if taken.signo == libc::SIGCHLD {
                continue; // the reaping that follows asks in any case
            }
            if let Some(signo) = dialect.pass_on(taken.signo) {
                // The group is there since before the first signal was read; a program that is gone needs none.
                let _ = sys::kill(target, signo);
                dialect.passed_on(taken.signo, signo);
            }
        }
        if let Some(status) = reap(pid, dialect) {
            return status;
        }
    }
}

/// Waits for whatever has ended; answers how the program did, if it was among them.
fn reap(main: i32, dialect: &mut dyn Dialect) -> Option<Status> {
    let mut of_main = None;
    loop {
        match sys::wait_any() {
            Waited::Ended(pid, status) => {
                dialect.ended(pid, status, pid == main);
                if pid == main {
                    of_main = Some(status);
                }
            }
            Waited::Stopped(..) => {}
            Waited::Nothing | Waited::NoChildren => return of_main,
        }
    }
}

/// Starts `argv` with the environment as it is.
pub fn start(
    argv: &[OsString],
    place: Place,
    foreground: Option<i32>,
    take_terminal: Option<i32>,
    inherited: &Inherited,
) -> Result<i32, StartError> {
    let how = How { place, foreground, take_terminal, output: None, bound: false, inherited };
    Program::new(argv, &child::environment())?.start(&how)
}

/// Leaves the working folder, so that its mount is not held.
pub fn leave_folder() {
    let _ = std::env::set_current_dir("/"); // there is always one
}

/// Closes what was inherited besides the standard streams.
pub fn close_others(signals: &Signals) {
    let own = signals.fd().as_raw_fd().cast_unsigned();
    for (first, last) in [(3, own.saturating_sub(1)), (own + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: nothing in this program uses a descriptor above 2 but `signals`, whose number lies between the two ranges.
            unsafe { libc::close_range(first, last, 0) };
        }
    }
}

/// The system's own words behind an error of [`start`].
pub fn words(e: &StartError) -> &str {
    e.message.split(": ").nth(1).and_then(|w| w.split(';').next()).unwrap_or(&e.message)
}
