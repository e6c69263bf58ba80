//! What several programs print, line by line behind their names.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::os::fd::OwnedFd;

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::sys;

static PASSING_ON: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Colours of names, one after another.
const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];
/// A line longer than this is cut in two: no program can have us remember more.
const LONGEST: u64 = 64 * 1024;

/// The ends that a program gets as its output and error.
pub struct Ends {
    pub out: OwnedFd,
    pub err: OwnedFd,
}

/// Pipes for program number `n`, `name`d so, and the threads that pass on what comes. They sleep until something does, and end
/// when the last writer has.
pub fn behind_name(n: usize, name: &str, width: usize) -> std::io::Result<Ends> {
    let (out_read, out) = sys::pipe()?;
    let (err_read, err) = sys::pipe()?;
    pass_on(out_read, label(n, name, width, std::io::stdout().is_terminal()), false)?;
    pass_on(err_read, label(n, name, width, std::io::stderr().is_terminal()), true)?;
    Ok(Ends { out, err })
}

fn label(n: usize, name: &str, width: usize, terminal: bool) -> String {
    if terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) {
        format!("\x1b[{}m{name:<width$}\x1b[0m | ", COLOURS[n % COLOURS.len()])
    } else {
        format!("{name:<width$} | ")
    }
}

fn pass_on(from: OwnedFd, label: String, to_stderr: bool) -> std::io::Result<()> {
    let work = move || {
        let mut from = BufReader::new(std::fs::File::from(from));
        let mut line = label.clone().into_bytes();
        while std::io::Read::take(&mut from, LONGEST).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            // Where nobody reads, the program must not be held up: what it says is lost.
            let _ = if to_stderr { std::io::stderr().write_all(&line) } else { print(&line) };
            line.truncate(label.len());
        }
    };
    let thread = std::thread::Builder::new().name("output".to_owned()).spawn(work)?;
    let mut all = PASSING_ON.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|t| !t.is_finished());
    all.push(thread);
    Ok(())
}

/// Waits until the last words of programs that have ended are passed on, at most `limit` (whoever reads them may not).
pub fn finish(limit: Duration) {
    let until = Instant::now() + limit;
    let open = || PASSING_ON.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|t| !t.is_finished());
    while open() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn print(line: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(line)?;
    out.flush()
}
