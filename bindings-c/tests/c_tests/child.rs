//! A child process: what it says, what it is told, how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child as Process, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kit::{How, Kit};

/// The longest a child may take for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Code(i32),
    Signal(i32),
}

/// A running child.
pub struct Child {
    process: Process,
    lines: Receiver<String>,
    said: Vec<String>,
    stderr: Option<JoinHandle<String>>,
    report: PathBuf,
    log: PathBuf,
    how: How,
    name: String,
    signalled: Option<Instant>,
}

/// A child that has ended.
pub struct Ended {
    pub end: End,
    pub lines: Vec<String>,
    pub stderr: String,
    pub report: Value,
    /// From the last signal to the end.
    pub took: Duration,
    pub how: How,
}

/// Starts `program scenario`.
pub fn start(kit: &Kit, program: &str, scenario: &str) -> Child {
    start_with(kit, program, &[scenario], &[])
}

/// Starts a program with these arguments and variables.
pub fn start_with(kit: &Kit, program: &str, args: &[&str], env: &[(&str, &str)]) -> Child {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, SeqCst);
    let report = kit.folder.join(format!("report-{number}.json"));
    let log = kit.log(number);
    let _ = fs::remove_file(&report);
    let _ = fs::remove_file(&log);
    let mut command = kit.command(&kit.program(program), &log);
    command.args(args).env("GRACESHUT_REPORT", &report).current_dir(&kit.folder);
    for (name, value) in env {
        command.env(name, value);
    }
    spawn(command, kit.how, &format!("{program} {}", args.join(" ")), report, log)
}

/// Starts any command.
pub fn spawn(mut command: Command, how: How, name: &str, report: PathBuf, log: PathBuf) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (to, lines) = channel();
    let stdout = BufReader::new(process.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                break;
            }
        }
    });
    let mut pipe = process.stderr.take().unwrap();
    let stderr = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    Child { process, lines, said: Vec::new(), stderr: Some(stderr), report, log, how, name: name.to_owned(), signalled: None }
}

impl Child {
    /// Waits until the child says `line`.
    pub fn line(&mut self, line: &str) -> &mut Child {
        let until = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(said) => {
                    let found = said == line;
                    self.said.push(said);
                    if found {
                        return self;
                    }
                }
                Err(e) => {
                    let _ = self.process.kill();
                    let status = self.process.wait();
                    let stderr = self.stderr.take().map(|t| t.join().unwrap_or_default());
                    panic!(
                        "{}: waiting for {line:?}: {e}; it said {:?}; {status:?}; {stderr:?}{}",
                        self.name,
                        self.said,
                        self.watch()
                    );
                }
            }
        }
    }

    /// Waits for the handshake.
    pub fn ready(&mut self) -> &mut Child {
        self.line("ready")
    }

    /// Sends a signal.
    pub fn kill(&mut self, signo: i32) -> &mut Child {
        self.signalled = Some(Instant::now());
        // SAFETY: kill takes two integers; the child is not reaped yet.
        let sent = unsafe { libc::kill(self.process.id() as i32, signo) };
        assert_eq!(sent, 0, "{}: cannot send signal {signo}", self.name);
        self
    }

    /// Lets time pass where the behaviour is about time (a repeated signal counts after 500 ms).
    pub fn pause(&mut self, ms: u64) -> &mut Child {
        std::thread::sleep(Duration::from_millis(ms));
        self
    }

    /// True while it has not ended.
    pub fn lives(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    fn watch(&self) -> String {
        let folder = self.log.parent().unwrap();
        let stem = self.log.file_name().unwrap().to_string_lossy().into_owned();
        let mut text = String::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == stem || name.starts_with(&format!("{stem}.")) {
                text += &fs::read_to_string(entry.path()).unwrap_or_default();
            }
        }
        text
    }

    /// Waits for the end, and for what valgrind or the sanitizer had to say: nothing.
    pub fn end(&mut self) -> Ended {
        let until = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                let _ = self.process.kill();
                let _ = self.process.wait();
                let lines: Vec<String> = self.lines.try_iter().collect();
                panic!("{}: does not end; it said {:?} {lines:?}", self.name, self.said);
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = self.signalled.map_or(Duration::ZERO, |t| t.elapsed());
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(2)) {
            self.said.push(line);
        }
        let stderr = self.stderr.take().map(|t| t.join().unwrap()).unwrap_or_default();
        let end = status.code().map_or_else(|| End::Signal(status.signal().unwrap_or(0)), End::Code);
        let lines = std::mem::take(&mut self.said);
        assert!(!lines.iter().any(|l| l.starts_with("FAIL")), "{}: {lines:?}", self.name);
        let watched = self.watch();
        assert!(watched.is_empty(), "{}: {}:\n{watched}", self.name, self.how.word());
        let report = fs::read_to_string(&self.report).ok().and_then(|t| serde_json::from_str(&t).ok()).unwrap_or(Value::Null);
        Ended { end, lines, stderr, report, took, how: self.how }
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?} after {:?}; said {:?}; stderr {:?}", self.end, self.took, self.lines, self.stderr)?;
        write!(f, "report {}", self.report)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Ended {
    /// It left this way.
    pub fn left(&self, end: End) -> &Ended {
        assert_eq!(self.end, end, "{self:#?}");
        self
    }

    /// It left with this status.
    pub fn code(&self, code: i32) -> &Ended {
        self.left(End::Code(code))
    }

    /// It said these lines, in this order, maybe others between.
    pub fn said(&self, wanted: &[&str]) -> &Ended {
        let mut left = self.lines.iter();
        for want in wanted {
            assert!(left.any(|l| l == want), "{want:?} was not said (there): {self:#?}");
        }
        self
    }

    /// It did not say this.
    pub fn silent(&self, line: &str) -> &Ended {
        assert!(!self.lines.iter().any(|l| l == line), "{line:?} was said: {self:#?}");
        self
    }

    /// True when there is a report to look at. Under valgrind its first writing may take longer than the 250 ms it may hold
    /// the leaving up; then there is none, by the rules, and this says so.
    pub fn reported(&self) -> bool {
        if self.how == How::Valgrind && self.report.is_null() {
            println!("note    no report in time under valgrind; its contents are checked in the other ways");
            return false;
        }
        true
    }

    /// The outcome of the whole shutdown.
    pub fn outcome(&self, word: &str) -> &Ended {
        assert!(!self.reported() || self.report["outcome"] == word, "outcome is not {word}: {self:#?}");
        self
    }

    /// The hook's entry in the report.
    pub fn hook(&self, name: &str) -> &Value {
        let phases = self.report["phases"].as_array().unwrap_or_else(|| panic!("no report: {self:#?}"));
        let mut hooks = phases.iter().filter_map(|p| p["hooks"].as_array()).flatten();
        hooks.find(|h| h["name"] == name).unwrap_or_else(|| panic!("no hook {name:?} in the report: {self:#?}"))
    }

    /// The hook's outcome.
    pub fn hook_was(&self, name: &str, outcome: &str) -> &Ended {
        assert!(!self.reported() || self.hook(name)["outcome"] == outcome, "{name} was not {outcome}: {self:#?}");
        self
    }

    /// From the last signal to the end at most this long, where nothing slows it down.
    pub fn within(&self, ms: u64) -> &Ended {
        let limit = Duration::from_millis(if self.how == How::Valgrind { ms + 5000 } else { ms + 1000 });
        assert!(self.took <= limit, "took {:?}: {self:#?}", self.took);
        self
    }
}
