//! A small test harness and the parent's side of a child: everything bounded, nothing awaited by sleeping.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing in here waits longer.
pub const LIMIT: Duration = Duration::from_secs(60);
/// What a busy two-core machine may add to any time.
pub const SLACK: Duration = Duration::from_millis(4000);

pub const GRACESHUT: &str = env!("CARGO_BIN_EXE_graceshut");

pub struct Suite {
    pub name: &'static str,
    pub tests: &'static [(&'static str, fn())],
}

#[macro_export]
macro_rules! suite {
    ($name:literal: $($test:ident),* $(,)?) => {
        pub const SUITE: $crate::harness::Suite =
            $crate::harness::Suite { name: $name, tests: &[$((stringify!($test), $test as fn())),*] };
    };
}

/// True for root. Without that right a test is left out and says so; in CI, which is root, that is a failure.
pub fn may(what: &str) -> bool {
    let root = unsafe { libc::geteuid() } == 0;
    assert!(root || std::env::var_os("CI").is_none(), "only root may {what}, and in CI nothing is left out");
    if !root {
        eprintln!("left out: only root may {what}");
    }
    root
}

/// The path of a program that is not ours. Where it is missing a test goes without and says so; in CI that is a failure.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|p| p.join(name)).find(|p| p.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "{name} is not installed, and in CI nothing is left out");
    if found.is_none() {
        eprintln!("left out: {name} is not installed");
    }
    found
}

pub fn run(suites: &[Suite]) {
    // Whatever started this may have left INT ignored, which children inherit, and which is what some tests are about.
    for signo in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGPIPE] {
        unsafe { libc::signal(signo, libc::SIG_DFL) };
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let list = args.iter().any(|a| a == "--list");
    let one = args.iter().any(|a| a == "--test-threads=1");
    let filters: Vec<&String> = args.iter().filter(|a| !a.starts_with("--")).collect();
    let tests: Vec<(String, fn())> = suites
        .iter()
        .flat_map(|s| s.tests.iter().map(move |(n, f)| (format!("{}::{n}", s.name), *f)))
        .filter(|(n, _)| filters.is_empty() || filters.iter().any(|f| n.contains(f.as_str())))
        .collect();
    if list {
        tests.iter().for_each(|(n, _)| println!("{n}: test"));
        return;
    }
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some((name, test)) = tests.get(next.fetch_add(1, Ordering::SeqCst)) {
            let start = Instant::now();
            let ok = std::panic::catch_unwind(*test).is_ok();
            println!("test {name} ... {} ({:.2?})", if ok { "ok" } else { "FAILED" }, start.elapsed());
            failed.fetch_add(usize::from(!ok), Ordering::SeqCst);
        }
    };
    let start = Instant::now();
    std::thread::scope(|s| {
        (0..if one { 1 } else { 4 }).for_each(|_| drop(s.spawn(work)));
    });
    let failed = failed.load(Ordering::SeqCst);
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {} passed; {failed} failed; finished in {:.2?}", tests.len() - failed, start.elapsed());
    std::process::exit(i32::from(failed > 0) * 101);
}

/// A folder of its own, removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static N: AtomicUsize = AtomicUsize::new(0);
        let name = format!("gs-run-{}-{}", std::process::id(), N.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// `graceshut` under another name.
    pub fn link(&self, name: &str) -> PathBuf {
        let link = self.path(name);
        let _ = std::os::unix::fs::symlink(GRACESHUT, &link);
        link
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A command about to be started.
pub struct Cmd {
    command: Command,
}

/// This very binary, which is the program under the wrapper where `GS_CHILD` says so.
pub fn own() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

impl Cmd {
    pub fn new(program: impl AsRef<OsStr>) -> Cmd {
        let mut command = Command::new(program);
        for (key, _) in std::env::vars() {
            if ["GRACESHUT_", "KUBERNETES_", "NOTIFY_", "TINI_", "DUMB_INIT_", "CATATONIT_"].iter().any(|p| key.starts_with(p))
            {
                command.env_remove(key);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Cmd { command }
    }

    /// `graceshut run ARGS`, without a report line.
    pub fn run(args: &[&str]) -> Cmd {
        Cmd::new(GRACESHUT).arg("run").arg("--report").arg("none").args(args)
    }

    /// As PID 1 of a pid namespace of its own.
    pub fn pid1(args: &[&str]) -> Cmd {
        Cmd::new("unshare")
            .args(&["--pid", "--fork", "--kill-child", "--mount-proc", GRACESHUT, "run", "--report", "none"])
            .args(args)
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Cmd {
        self.command.arg(arg);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: &[S]) -> Cmd {
        self.command.args(args);
        self
    }

    /// The program is this binary's child function.
    pub fn probe(self, name: &str) -> Cmd {
        self.arg("--").arg(own()).env("GS_CHILD", name)
    }

    /// The program is a shell script.
    pub fn sh(self, script: &str) -> Cmd {
        self.args(&["--", "sh", "-c", script])
    }

    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Cmd {
        self.command.env(key, value);
        self
    }

    pub fn dir(mut self, dir: impl AsRef<Path>) -> Cmd {
        self.command.current_dir(dir);
        self
    }

    pub fn stdin(mut self, stdin: Stdio) -> Cmd {
        self.command.stdin(stdin);
        self
    }

    /// Runs between fork and exec.
    pub fn before(mut self, f: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Cmd {
        unsafe { self.command.pre_exec(f) };
        self
    }

    pub fn start(mut self) -> Running {
        let since = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|e| panic!("{:?}: {e}", self.command));
        let (to, lines) = channel();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let also = to.clone();
        if let Some(out) = out {
            std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).for_each(|l| drop(to.send(l))));
        }
        if let Some(err) = err {
            std::thread::spawn(move || BufReader::new(err).lines().map_while(Result::ok).for_each(|l| drop(also.send(l))));
        }
        Running { child, lines, since, said: Vec::new(), ended: false }
    }

    /// Starts and waits for `ready`.
    pub fn ready(self) -> Running {
        let mut running = self.start();
        running.wait_for("ready");
        running
    }

    pub fn end(self) -> Ended {
        self.start().end()
    }

    /// As [`end`](Cmd::end), without what it says: for many in a row, and for those that leave somebody behind with the pipe.
    pub fn end_of_output(mut self) -> ExitStatus {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = self.start();
        running.end_quick()
    }

    pub fn end_of_output_as_shell(self) -> i32 {
        let status = self.end_of_output();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }
}

pub struct Running {
    child: Child,
    lines: Receiver<String>,
    since: Instant,
    pub said: Vec<String>,
    ended: bool,
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The next line that contains `text`.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("never said {text:?}, only {:#?}", self.said),
            }
        }
    }

    /// Until each of these was said, in whatever order.
    #[track_caller]
    pub fn wait_for_all(&mut self, texts: &[&str]) {
        for text in texts {
            if !self.said.iter().any(|l| l.contains(text)) {
                self.wait_for(text);
            }
        }
    }

    pub fn signal(&mut self, signo: i32) -> &mut Self {
        let pid = self.pid();
        self.signal_at(pid, signo)
    }

    pub fn signal_at(&mut self, pid: i32, signo: i32) -> &mut Self {
        self.since = Instant::now();
        assert_eq!(unsafe { libc::kill(pid, signo) }, 0, "{pid} is not there: {:#?}", self.said);
        self
    }

    pub fn term(&mut self) -> &mut Self {
        self.signal(libc::SIGTERM)
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// As [`end`](Running::end), without what it said.
    pub fn end_quick(&mut self) -> ExitStatus {
        self.ended = true;
        self.child.wait().unwrap()
    }

    #[track_caller]
    pub fn end(&mut self) -> Ended {
        let until = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "did not end; it said {:#?}", self.said);
            std::thread::sleep(Duration::from_millis(1));
        };
        self.ended = true;
        let took = self.since.elapsed();
        // What is left behind may hold the pipes; what the child itself wrote is there by now.
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(300)) {
            self.said.push(line);
        }
        Ended { status, said: std::mem::take(&mut self.said), took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // A failed test leaves nothing behind: TERM lets the wrapper take its tree along.
            unsafe { libc::kill(self.pid(), libc::SIGTERM) };
            std::thread::sleep(Duration::from_millis(200));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What a child came to.
pub struct Ended {
    pub status: ExitStatus,
    /// Lines of stdout and stderr.
    pub said: Vec<String>,
    /// Since the last signal sent, or the start.
    pub took: Duration,
}

impl Ended {
    /// The status as a shell tells it.
    pub fn as_shell(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap())
    }

    #[track_caller]
    pub fn code(self, code: i32) -> Ended {
        assert_eq!(self.status.code(), Some(code), "{:?}; it said {:#?}", self.status, self.said);
        self
    }

    pub fn has(&self, text: &str) -> bool {
        self.said.iter().any(|l| l.contains(text))
    }

    #[track_caller]
    pub fn said(self, text: &str) -> Ended {
        assert!(self.has(text), "nothing like {text:?} in {:#?}", self.said);
        self
    }

    #[track_caller]
    pub fn silent(self, text: &str) -> Ended {
        assert!(!self.has(text), "{text:?} in {:#?}", self.said);
        self
    }

    /// Between `least` (less a clock's width) and `most` plus slack.
    #[track_caller]
    pub fn within(self, least: Duration, most: Duration) -> Ended {
        let fits = self.took + Duration::from_millis(5) >= least && self.took <= most + SLACK;
        assert!(fits, "took {:?}, not {least:?} to {most:?} + {SLACK:?}: {:#?}", self.took, self.said);
        self
    }

    /// Where the lines that contain these words are, in this order.
    #[track_caller]
    pub fn in_order(self, words: &[&str]) -> Ended {
        let mut from = 0;
        for word in words {
            let found = self.said[from..].iter().position(|l| l.contains(word));
            from += 1 + found.unwrap_or_else(|| panic!("{word:?} is not where it belongs in {:#?}", self.said));
        }
        self
    }
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Polls until `f`, bounded.
#[track_caller]
pub fn until(what: &str, mut f: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !f() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(ms(2));
    }
}

/// Pids of living processes (no zombies) whose environment holds `GS_MARK=mark`.
pub fn alive_with_mark(mark: &str) -> Vec<i32> {
    let wanted = format!("GS_MARK={mark}");
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        let env = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        env.split(|b| *b == 0).any(|v| v == wanted.as_bytes())
    };
    pids.filter(has).collect()
}

pub fn status_field(pid: &str, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    text.lines().find_map(|l| l.strip_prefix(field)).unwrap_or("").trim_start_matches(':').trim().to_owned()
}
