//! `--rounds N`: two instances behind a real load balancer, restarted in turn under load, as a rollout does it. Not one request
//! may be lost or answered 5xx over all rounds: a client in front of the balancer knows of no signal.

pub mod balancer;

use balancer::Behind;

use super::args::Args;
use super::child::{self, Status};
use super::load::{Course, Load, Plan};
use super::outcome::{self, Facts, micros};
use super::probe::{self, Seen};
use super::target::{Target, Url};
use super::{NoVerdict, junit};
use crate::{duration, signals};
use serde::Serialize;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const INSTANCES: usize = 2;
/// Between two restarts, at least.
const SEEN: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(5);

/// One restart.
#[derive(Debug, Serialize)]
pub struct Round {
    /// Which instance, from 0.
    pub instance: usize,
    /// From the signal to its exit.
    pub exit_us: u64,
    /// Its exit status, if it had one.
    pub code: Option<i32>,
    /// The signal it died by.
    pub signal: Option<String>,
    /// What was wrong with it.
    pub failures: Vec<String>,
}

/// All rounds.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The command, with `{port}` as it was given.
    pub command: Vec<String>,
    /// The load balancer.
    pub behind: &'static str,
    /// Of all rounds together.
    pub requests: outcome::Requests,
    /// Of all answers.
    pub latency_us: outcome::Latency,
    /// Each restart.
    pub rounds: Vec<Round>,
    /// Nothing was lost, and every instance left well.
    pub passed: bool,
    /// Why not.
    pub failures: Vec<String>,
}

/// The folder of the balancer; removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A child that is killed when nobody needs it any more.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // Each has a group of its own, with its workers in it.
        // SAFETY: plain integers; the child is not waited for yet, so the number is still its own.
        unsafe { libc::kill(-(self.0.id() as i32), libc::SIGKILL) };
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Cluster<'a> {
    args: &'a Args,
    rounds: u32,
    behind: Behind,
    program: PathBuf,
    front: Target,
    ready_path: String,
    ports: Vec<u16>,
}

/// Runs all rounds.
pub fn run(args: &Args, rounds: u32) -> Result<Verdict, NoVerdict> {
    let first = args.load.first().ok_or("--rounds needs a --load URL: the load balancer listens on its port".to_owned())?;
    if let Some(url) = args.load.iter().chain(&args.ready).find(|u| u.text.starts_with("https:")) {
        return Err(format!("--rounds speaks plain http to the load balancer; {} is https", url.text).into());
    }
    let front = Target::resolve(first)?;
    if front.is_taken() {
        return Err(
            format!("port {} of {} is taken already; the load balancer is to listen there", first.port, first.text).into()
        );
    }
    let (behind, program) = args.behind.found()?;
    let ready_path = args.ready.as_ref().unwrap_or(first).path.clone();
    child::prepare().map_err(|e| format!("cannot prepare to watch processes: {e}"))?;
    let ports = free_ports().map_err(|e| format!("no free port: {e}"))?;
    Cluster { args, rounds, behind, program, front, ready_path, ports }.run()
}

impl Cluster<'_> {
    fn run(&self) -> Result<Verdict, NoVerdict> {
        let folder = Folder(std::env::temp_dir().join(format!("graceshut-rounds-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0).map_err(|e| format!("cannot make {}: {e}", folder.0.display()))?;
        let mut instances = Vec::new();
        for port in &self.ports {
            instances.push(self.start(*port)?);
        }
        let (path, port) = (&self.ready_path, self.front.url.port);
        let balancer = self.behind.start(&self.program, &folder.0, port, &self.ports, path);
        let mut balancer = Kept(balancer.map_err(|e| format!("cannot start {}: {e}", self.behind.name()))?);
        self.wait_green(&self.front, &mut balancer).map_err(|e| self.explain(&e, &folder))?;
        self.wait_seen(&folder)?;
        let targets: Result<Vec<Target>, String> = self.args.load.iter().map(Target::resolve).collect();
        let (args, course) = (self.args, Arc::new(Course::default()));
        let plan = Plan { targets: targets?, connections: args.connections, post_share: args.post_share, pause: args.pause };
        let load = Load::start(&plan, &course).map_err(|e| format!("cannot start a client: {e}"))?;
        let done = self.restarts(&mut instances, &balancer, &folder);
        let _ = course.exited.set(Instant::now());
        let tally = load.finish()?;
        Ok(self.verdict(done?, tally))
    }

    fn restarts(&self, instances: &mut [Kept], balancer: &Kept, folder: &Folder) -> Result<Vec<Round>, NoVerdict> {
        pause(self.args.after)?;
        let mut done = Vec::new();
        for round in 0..self.rounds as usize {
            let which = round % INSTANCES;
            let tell = |leaving| {
                let told = self.behind.tell(&balancer.0, &folder.0, self.front.url.port, &self.ports, leaving);
                told.map_err(|e| format!("cannot tell {}: {e}", self.behind.name()))
            };
            tell(Some(which))?;
            done.push(self.stop(which, &mut instances[which])?);
            instances[which] = self.start(self.ports[which])?;
            tell(None)?;
            let _ = writeln!(io::stderr(), "graceshut verify: round {} of {}", round + 1, self.rounds);
            self.wait_seen(folder)?;
        }
        Ok(done)
    }

    /// The next one is not stopped before the balancer knows that the last one is back: what a rollout's readiness gate is for.
    fn wait_seen(&self, folder: &Folder) -> Result<(), NoVerdict> {
        let until = Instant::now() + self.args.ready_timeout;
        pause(SEEN)?;
        while !self.behind.sees_all(&folder.0) {
            if Instant::now() >= until {
                return Err(format!(
                    "{} does not take every instance for ready; is {} answered 2xx?",
                    self.behind.name(),
                    self.ready_path
                )
                .into());
            }
            pause(probe::EVERY)?;
        }
        Ok(())
    }

    /// Starts an instance and waits until it is ready.
    fn start(&self, port: u16) -> Result<Kept, NoVerdict> {
        let text = port.to_string();
        let words: Vec<OsString> = self
            .args
            .command
            .iter()
            .map(|w| w.to_str().map_or_else(|| w.clone(), |w| w.replace("{port}", &text).into()))
            .collect();
        let (program, rest) = words.split_first().ok_or("no command given".to_owned())?;
        let (signal, parent) = (self.args.signal, std::process::id() as i32);
        let quiet = io::stderr().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from);
        let mut command = Command::new(program);
        command.args(rest).env("PORT", &text).stdin(Stdio::null()).stdout(quiet);
        // SAFETY: between fork and exec `own_session` makes system calls only; it allocates nothing and takes no lock.
        unsafe { command.pre_exec(move || child::own_session(signal, parent, false)) };
        let mut instance = Kept(command.spawn().map_err(|e| child::cannot_start(program, &e))?);
        let url = Url::parse(&format!("http://127.0.0.1:{port}{}", self.ready_path))?;
        self.wait_green(&Target::resolve(&url)?, &mut instance)?;
        Ok(instance)
    }

    fn wait_green(&self, target: &Target, process: &mut Kept) -> Result<(), NoVerdict> {
        let until = Instant::now() + self.args.ready_timeout;
        let stop = || child::interrupted().is_some() || Instant::now() >= until;
        loop {
            if probe::ask(target, &stop).is_green() {
                return Ok(());
            }
            if let Ok(Some(status)) = process.0.try_wait() {
                return Err(format!("it ended before {} answered ({status})", target.url.text).into());
            }
            if Instant::now() >= until {
                let limit = duration::human(self.args.ready_timeout);
                return Err(format!("{} did not answer 2xx within {limit}", target.url.text).into());
            }
            pause(probe::EVERY)?;
        }
    }

    fn stop(&self, which: usize, instance: &mut Kept) -> Result<Round, NoVerdict> {
        let began = Instant::now();
        // SAFETY: plain integers; the child is not waited for yet, so the number is still its own.
        unsafe { libc::kill(instance.0.id() as i32, self.args.signal) };
        let mut round = Round { instance: which, exit_us: 0, code: None, signal: None, failures: Vec::new() };
        loop {
            if let Some(status) = instance.0.try_wait().map_err(|e| format!("cannot wait for an instance: {e}"))? {
                round.exit_us = micros(began.elapsed());
                let status = Status { code: status.code(), signal: status.signal() };
                round.code = status.code;
                round.signal = status.signal.map(signals::name);
                if !outcome::is_good(status, self.args.signal) {
                    round.failures.push(format!("instance {which} ended with {status}"));
                }
                return Ok(round);
            }
            if began.elapsed() > self.args.grace {
                let signal = signals::name(self.args.signal);
                round.exit_us = micros(began.elapsed());
                round
                    .failures
                    .push(format!("instance {which} was still running {} after {signal}", duration::human(self.args.grace)));
                return Ok(round);
            }
            pause(TICK)?;
        }
    }

    fn explain(&self, e: &NoVerdict, folder: &Folder) -> NoVerdict {
        let NoVerdict::Cannot(message) = e else { return NoVerdict::Interrupted(libc::SIGINT) };
        let log = ["balancer.log", "error.log"]
            .iter()
            .filter_map(|f| std::fs::read_to_string(folder.0.join(f)).ok())
            .collect::<String>();
        format!("{}: {message}\n{}", self.behind.name(), log.trim_end()).into()
    }

    fn verdict(&self, rounds: Vec<Round>, tally: super::tally::Tally) -> Verdict {
        let latency =
            outcome::Latency { p50: tally.latency.percentile(50), p99: tally.latency.percentile(99), max: tally.latency.max() };
        let now = Instant::now();
        let facts = Facts {
            started: now,
            ready: now,
            signalled: None,
            signal: self.args.signal,
            grace: self.args.grace,
            watched_ready: false,
            loaded: true,
            ended: None,
            killed_at_grace: false,
            seen: Seen::default(),
            tally,
            children: Vec::new(),
            ports: Vec::new(),
            undead: false,
        };
        let requests = facts.requests();
        let mut failures: Vec<String> = Vec::new();
        let n = |n: u64| outcome::count(n, "request", "requests");
        if requests.answered == 0 {
            failures.push("not one request was answered: nothing was put to the test".to_owned());
        }
        if requests.lost > 0 {
            failures.push(format!("{} lost of {}", n(requests.lost), requests.sent));
        }
        if requests.errors_5xx_before_signal > 0 {
            failures.push(format!("{} answered 5xx by way of the load balancer", n(requests.errors_5xx_before_signal)));
        }
        failures.extend(
            rounds.iter().enumerate().flat_map(|(i, r)| r.failures.iter().map(move |f| format!("round {}: {f}", i + 1))),
        );
        Verdict {
            command: self.args.command.iter().map(|c| c.to_string_lossy().into_owned()).collect(),
            behind: self.behind.name(),
            requests,
            latency_us: latency,
            rounds,
            passed: failures.is_empty(),
            failures,
        }
    }
}

impl Verdict {
    /// A line on the rounds, one on the requests, the verdict.
    pub fn text(&self) -> String {
        let us = |n: u64| duration::human(Duration::from_micros(n));
        let exits: Vec<u64> = self.rounds.iter().map(|r| r.exit_us).collect();
        let (least, most) = (exits.iter().min().copied().unwrap_or(0), exits.iter().max().copied().unwrap_or(0));
        let r = &self.requests;
        let mut out = format!("graceshut verify  {}\n\n", super::plain(&self.command.join(" "), 200));
        out += &format!("  rounds        {} restarts of {INSTANCES} instances behind {}\n", self.rounds.len(), self.behind);
        out += &format!("  exit          {} to {} after the signal\n", us(least), us(most));
        out += &format!(
            "  requests      {} sent, {} answered 2xx, {} lost, {} answered 5xx\n",
            r.sent, r.answered_2xx, r.lost, r.errors_5xx_before_signal
        );
        for e in r.errors.iter().take(3) {
            out += &format!("                  {} {}\n", e.method, super::plain(&e.what, 100));
        }
        if let (Some(p50), Some(p99), Some(max)) = (self.latency_us.p50, self.latency_us.p99, self.latency_us.max) {
            out += &format!("  latency       p50 {}   p99 {}   max {}\n", us(p50), us(p99), us(max));
        }
        out += &match self.failures.as_slice() {
            [] => format!("\nPASS  nothing lost over {} rounds\n", self.rounds.len()),
            failures => format!("\nFAIL  {}\n", failures.join("; ")),
        };
        out
    }

    /// A case for the requests and one for each round.
    pub fn cases(&self) -> Vec<junit::Case> {
        let of_rounds = |f: &&String| f.starts_with("round ");
        let mut cases = vec![junit::Case {
            name: "no request lost or answered 5xx".to_owned(),
            took: 0,
            failures: self.failures.iter().filter(|f| !of_rounds(f)).cloned().collect(),
        }];
        cases.extend(self.rounds.iter().enumerate().map(|(i, r)| junit::Case {
            name: format!("round {}", i + 1),
            took: r.exit_us,
            failures: r.failures.clone(),
        }));
        cases
    }
}

/// Sleeps, but hears our own signals.
fn pause(time: Duration) -> Result<(), NoVerdict> {
    let until = Instant::now() + time;
    loop {
        if let Some(signal) = child::interrupted() {
            return Err(NoVerdict::Interrupted(signal));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(20)));
    }
}

/// Ports nobody has; all held at once, so that they differ.
fn free_ports() -> io::Result<Vec<u16>> {
    let listeners: io::Result<Vec<TcpListener>> = (0..INSTANCES).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    listeners?.iter().map(|l| l.local_addr().map(|a| a.port())).collect()
}
