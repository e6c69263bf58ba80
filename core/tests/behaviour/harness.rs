//! A small test harness and the parent's side of a child: everything bounded, nothing awaited by sleeping.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing in here waits longer.
pub const LIMIT: Duration = Duration::from_secs(30);
/// What a busy two-core machine may add to any time.
pub const SLACK: Duration = Duration::from_millis(600);

pub struct Suite {
    pub name: &'static str,
    pub tests: &'static [(&'static str, fn())],
    pub children: &'static [(&'static str, fn())],
}

#[macro_export]
macro_rules! suite {
    ($name:literal, tests: [$($test:ident),* $(,)?], children: [$($child:ident),* $(,)?]) => {
        pub const SUITE: $crate::harness::Suite = $crate::harness::Suite {
            name: $name,
            tests: &[$((stringify!($test), $test as fn())),*],
            children: &[$((stringify!($child), $child as fn())),*],
        };
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

pub fn be_child(suites: &[Suite], name: &str) {
    // SAFETY: alarm takes an integer. Its default disposition ends a child that hangs.
    unsafe { libc::alarm(LIMIT.as_secs() as u32) };
    let child = suites.iter().flat_map(|s| s.children).find(|(n, _)| *n == name);
    child.unwrap_or_else(|| panic!("no child {name}")).1();
}

pub fn run(suites: &[Suite]) {
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
        (0..if one { 1 } else { 6 }).for_each(|_| drop(s.spawn(work)));
    });
    let failed = failed.load(Ordering::SeqCst);
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {} passed; {failed} failed; finished in {:.2?}", tests.len() - failed, start.elapsed());
    std::process::exit(i32::from(failed > 0) * 101);
}

/// A fresh folder for one child.
pub fn folder() -> PathBuf {
    static N: AtomicUsize = AtomicUsize::new(0);
    let name = format!("gs-beh-{}-{}", std::process::id(), N.fetch_add(1, Ordering::SeqCst));
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

pub struct Kid {
    command: Command,
    folder: PathBuf,
}

pub struct Running {
    child: Child,
    lines: Receiver<String>,
    folder: PathBuf,
    since: Instant,
    pub said: Vec<String>,
}

/// What a child came to.
pub struct Ended {
    pub status: ExitStatus,
    /// Lines of stdout and stderr.
    pub said: Vec<String>,
    /// Since the last signal sent, or the start.
    pub took: Duration,
    pub folder: PathBuf,
}

impl Kid {
    pub fn new(name: &str) -> Kid {
        Kid::under(&[], name)
    }

    /// Started by another program, `unshare` for instance.
    pub fn under(prefix: &[&str], name: &str) -> Kid {
        let own = std::env::current_exe().unwrap();
        let mut command = match prefix {
            [] => Command::new(&own),
            [program, rest @ ..] => {
                let mut c = Command::new(program);
                c.args(rest).arg(&own);
                c
            }
        };
        for (key, _) in std::env::vars() {
            if ["GRACESHUT_", "KUBERNETES_", "NOTIFY_", "INVOCATION_", "NOMAD_", "RUST_BACKTRACE"]
                .iter()
                .any(|p| key.starts_with(p))
            {
                command.env_remove(key);
            }
        }
        let folder = folder();
        command.env("GS_CHILD", name).env("GRACESHUT_REPORT", folder.join("report.json")).env("GS_FOLDER", &folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Kid { command, folder }
    }

    pub fn env(mut self, key: &str, value: &str) -> Kid {
        self.command.env(key, value);
        self
    }

    /// Runs between fork and exec.
    pub fn before(mut self, f: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Kid {
        unsafe { self.command.pre_exec(f) };
        self
    }

    pub fn start(mut self) -> Running {
        // A test that fails leaves nothing behind: its child goes with its thread.
        let goes_along = || match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        };
        unsafe { self.command.pre_exec(goes_along) };
        let mut child = self.command.spawn().unwrap();
        let (to, lines) = channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let also = to.clone();
        std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).for_each(|l| drop(to.send(l))));
        std::thread::spawn(move || BufReader::new(err).lines().map_while(Result::ok).for_each(|l| drop(also.send(l))));
        Running { child, lines, folder: self.folder, since: Instant::now(), said: Vec::new() }
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
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The next line that contains `text`.
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
                Err(_) => {
                    let _ = self.child.kill();
                    panic!("child never said {text:?}, only {:#?}, {:?}", self.said, self.child.wait());
                }
            }
        }
    }

    pub fn signal(&mut self, signo: i32) -> &mut Self {
        self.since = Instant::now();
        assert_eq!(unsafe { libc::kill(self.pid(), signo) }, 0);
        self
    }

    pub fn term(&mut self) -> &mut Self {
        self.signal(libc::SIGTERM)
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn end(mut self) -> Ended {
        let until = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                let _ = self.child.kill();
                panic!("child did not end; it said {:#?}", self.said);
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let took = self.since.elapsed();
        // A grandchild may hold the pipes; what the child itself wrote is there by now.
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(200)) {
            self.said.push(line);
        }
        Ended { status, said: std::mem::take(&mut self.said), took, folder: self.folder.clone() }
    }
}

impl Ended {
    #[track_caller]
    pub fn code(self, code: i32) -> Ended {
        assert_eq!(self.status.code(), Some(code), "{:?}; it said {:#?}", self.status, self.said);
        self
    }

    #[track_caller]
    pub fn died_by(self, signo: i32) -> Ended {
        assert_eq!(self.status.signal(), Some(signo), "{:?}; it said {:#?}", self.status, self.said);
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

    #[track_caller]
    pub fn report(&self) -> Value {
        let path = self.folder.join("report.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("no report: {e}; it said {:#?}", self.said));
        serde_json::from_str(&text).unwrap()
    }
}

/// The row of a hook in a report.
#[track_caller]
pub fn hook<'a>(report: &'a Value, name: &str) -> &'a Value {
    let hooks = report["phases"].as_array().unwrap().iter().flat_map(|p| p["hooks"].as_array().unwrap());
    hooks.into_iter().find(|h| h["name"] == name).unwrap_or_else(|| panic!("no hook {name} in {report:#}"))
}

#[track_caller]
pub fn outcome<'a>(report: &'a Value, name: &str) -> &'a str {
    hook(report, name)["outcome"].as_str().unwrap()
}

// --- the child's side -------------------------------------------------------

pub use graceshut::{Exit, Options, Repeat, Runtime, install};

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Says a line with one write, whatever thread and lock there are.
pub fn say(line: &str) {
    let line = format!("{line}\n");
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

pub fn ready() {
    say("ready");
}

/// Grace in milliseconds; `drain` does not wait for work in flight nobody counts.
pub fn grace(n: u64) -> Options {
    Options { grace: Some(ms(n)), ..Options::default() }
}

/// A hook that says its name.
pub fn saying(gs: &Runtime, phase: &str, name: &'static str) {
    let f = move |_: &graceshut::Context| {
        say(name);
        Ok(())
    };
    gs.hook(phase, name).run(f).unwrap();
}

/// A hook that blocks its thread for good.
pub fn hanging(gs: &Runtime, phase: &str, name: &'static str) {
    let f = move |_: &graceshut::Context| {
        say(&format!("{name} hangs"));
        loop {
            std::thread::park();
        }
    };
    gs.hook(phase, name).run(f).unwrap();
}

/// As main would end: wait, return the status.
pub fn serve(gs: &Runtime) -> ! {
    ready();
    let finished = gs.wait(None).unwrap();
    let _ = std::io::stdout().flush();
    std::process::exit(finished.exit.code)
}

pub fn park() -> ! {
    loop {
        std::thread::park();
    }
}

pub fn arg(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Polls until `f`, bounded.
#[track_caller]
pub fn until(what: &str, mut f: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(15);
    while !f() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(ms(1));
    }
}

pub fn status_field(pid: i32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    text.lines().find_map(|l| l.strip_prefix(field)).unwrap_or("").trim_start_matches(':').trim().to_owned()
}

/// False for a thread that is gone, whose mask reads as nothing.
pub fn has_bit(mask: &str, signo: i32) -> bool {
    u64::from_str_radix(mask, 16).unwrap_or(0) & 1 << (signo - 1) != 0
}
