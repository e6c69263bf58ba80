//! `graceshut verify`: start a service, load it, stop it, tell what was lost.

mod args;
mod baseline;
mod child;
mod exchange;
mod http;
mod junit;
mod load;
mod outcome;
mod plain;
mod probe;
mod proc;
mod render;
mod report;
mod rounds;
mod scarce;
mod tally;
mod target;
mod wire;

pub use args::Args;
pub use plain::plain;

use crate::{duration, signals, terminal};
use child::{Service, Waited};
use load::{Course, Load};
use outcome::{Facts, Latency, LeftBehind, LeftChild, Verdict, micros};
use probe::Seen;
use report::Place;
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use target::Target;

/// Processes and listeners about to go by themselves are given this long after the exit of the main process.
const SETTLE: Duration = Duration::from_millis(200);

/// `--requests` is not waited for any longer than this.
const MOST_LOAD: Duration = Duration::from_secs(600);

/// Why there is no verdict.
#[derive(Debug)]
enum NoVerdict {
    /// The check could not be made: exit status 2.
    Cannot(String),
    /// We were told to stop, by this signal.
    Interrupted(i32),
}

impl From<String> for NoVerdict {
    fn from(message: String) -> NoVerdict {
        NoVerdict::Cannot(message)
    }
}

/// Runs the check and gives the exit status: 0 passed, 1 failed, 2 no verdict, 128+n interrupted.
pub fn run(args: Args) -> ExitCode {
    let done = match args.rounds {
        Some(rounds) => in_rounds(&args, rounds),
        None => Check::prepare(args).and_then(Check::run),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(NoVerdict::Cannot(message)) => {
            let _ = writeln!(io::stderr(), "graceshut verify: {message}");
            ExitCode::from(2)
        }
        Err(NoVerdict::Interrupted(signal)) => {
            let name = signals::name(signal);
            let _ = writeln!(io::stderr(), "graceshut verify: stopped by {name}; the service was killed, there is no verdict");
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(2))
        }
    }
}

/// The check of many restarts.
fn in_rounds(args: &Args, rounds: u32) -> Result<bool, NoVerdict> {
    let before = args.baseline.as_deref().map(baseline::read).transpose()?;
    let verdict = rounds::run(args, rounds)?;
    let _ = io::stdout().write_all(verdict.text().as_bytes());
    let properties = [("command", verdict.command.join(" ")), ("behind", verdict.behind.to_owned())];
    let value = serde_json::to_value(&verdict).map_err(|e| e.to_string())?;
    write_junit(args, &properties, &verdict.cases())?;
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{value:#}\n")).map_err(|e| format!("cannot write the --json file: {e}"))?;
    }
    if let Some(before) = before {
        let _ = io::stdout().write_all(baseline::text(&before, &value).as_bytes());
    }
    Ok(verdict.passed)
}

fn write_junit(args: &Args, properties: &[(&str, String)], cases: &[junit::Case]) -> Result<(), String> {
    let Some(path) = &args.junit else { return Ok(()) };
    let program = args.command.first().map_or(String::new(), |c| c.to_string_lossy().into_owned());
    let text = junit::document(&format!("graceshut verify {program}"), properties, cases);
    std::fs::write(path, text).map_err(|e| format!("cannot write the --junit file {}: {e}", path.display()))
}

struct Check {
    args: Args,
    before: Option<serde_json::Value>,
    ready: Option<Target>,
    load: Vec<Target>,
    place: Place,
    json: Option<File>,
}

impl Check {
    /// Everything that can go wrong before the service is started goes wrong here.
    fn prepare(args: Args) -> Result<Check, NoVerdict> {
        let ready = args.ready.as_ref().map(Target::resolve).transpose()?;
        let load = args.load.iter().map(Target::resolve).collect::<Result<Vec<_>, _>>()?;
        if let Some(taken) = ready.iter().chain(&load).find(|t| t.is_taken()) {
            return Err(port_taken(taken).into());
        }
        let json = match &args.json {
            Some(path) => Some(File::create(path).map_err(|e| format!("cannot write {}: {e}", path.display()))?),
            None => None,
        };
        let before = args.baseline.as_deref().map(baseline::read).transpose()?;
        let place = Place::choose(args.report.as_deref())?;
        child::prepare().map_err(|e| format!("cannot prepare to watch processes: {e}"))?;
        Ok(Check { args, before, ready, load, place, json })
    }

    /// Runs the check, prints and writes the verdict; true if the service passed.
    fn run(mut self) -> Result<bool, NoVerdict> {
        let env: Vec<_> = self.place.variable.iter().map(|v| (report::VARIABLE.to_owned(), v.clone())).collect();
        let started = Instant::now();
        let mut service =
            Service::start(&self.args.command, &env, self.args.signal, self.args.scarce == Some(scarce::Scarce::Disk))?;
        let ready = self.wait_ready(&mut service, started)?;
        let facts = self.put_to_the_test(&mut service, started, ready)?;
        let verdict = self.verdict(&facts, service.pid());
        // The last of its output comes before the verdict, and what it left behind is gone by then: `put_to_the_test`
        // has ended it.
        drop(service);
        let _ = io::stdout().write_all(render::block(&verdict, terminal::wants_colour()).as_bytes());
        let properties = [("command", verdict.command.join(" ")), ("signal", verdict.signal.clone())];
        write_junit(&self.args, &properties, &verdict.cases())?;
        if let Some(before) = &self.before {
            let now = serde_json::to_value(&verdict).map_err(|e| e.to_string())?;
            let _ = io::stdout().write_all(baseline::text(before, &now).as_bytes());
        }
        if let Some(file) = &mut self.json {
            write_json(file, &verdict).map_err(|e| format!("cannot write the --json file: {e}"))?;
        }
        Ok(verdict.passed)
    }

    fn wait_ready(&self, service: &mut Service, started: Instant) -> Result<Instant, NoVerdict> {
        let until = started + self.args.ready_timeout;
        loop {
            let stop = || child::interrupted().is_some() || Instant::now() >= until;
            let is_ready = match (&self.ready, self.load.as_slice()) {
                (Some(url), _) => probe::ask(url, &stop).is_green(),
                (None, []) => service.says_ready(),
                (None, urls) => urls.iter().all(|u| probe::ask(u, &stop).status.is_some_and(|s| s < 500)),
            };
            let now = Instant::now();
            match service.wait_until((now + probe::EVERY).min(until)) {
                Waited::Exited => return Err(self.ended_too_early(service).into()),
                Waited::Interrupted(signal) => return Err(self.interrupted(service, signal)),
                Waited::TimeOver if is_ready => return Ok(now),
                Waited::TimeOver if Instant::now() >= until => return Err(self.never_ready(service).into()),
                Waited::TimeOver => {}
            }
        }
    }

    fn ended_too_early(&self, service: &mut Service) -> String {
        let how = service.ended().map_or("status unknown".into(), |e| e.status.to_string());
        let mut message = format!("{} ended before it was ready ({how})", self.name());
        if service.ended().is_some_and(|e| e.status.code == Some(0)) {
            message.push_str("; a service that goes into the background must be told to stay in the foreground");
        }
        let words = service.last_words();
        if !words.is_empty() {
            message.push_str("; its last lines:");
            for line in words {
                message.push_str(&format!("\n    {}", plain(&line, 500)));
            }
        }
        service.end();
        message
    }

    fn never_ready(&self, service: &mut Service) -> String {
        let limit = duration::human(self.args.ready_timeout);
        let missing = match (&self.ready, self.load.first()) {
            (Some(url), _) => format!("{} never answered 2xx", url.url.text),
            (None, Some(_)) => "not every load URL gave an answer".to_owned(),
            (None, None) => "it printed no line with the word `ready`".to_owned(),
        };
        service.end();
        format!("{} was not ready within {limit}: {missing}; it was killed", self.name())
    }

    fn interrupted(&self, service: &mut Service, signal: i32) -> NoVerdict {
        service.end();
        NoVerdict::Interrupted(signal)
    }

    fn name(&self) -> String {
        plain(&self.args.command.first().map_or(String::new(), |c| c.to_string_lossy().into_owned()), 200)
    }

    /// Load, signal, exit, and what is left then.
    fn put_to_the_test(&self, service: &mut Service, started: Instant, ready: Instant) -> Result<Facts, NoVerdict> {
        let course = Arc::new(Course::default());
        let plan = load::Plan {
            targets: self.load.clone(),
            connections: self.args.connections,
            post_share: self.args.post_share,
            pause: self.args.pause,
        };
        let load = Load::start(&plan, &course).map_err(|e| format!("cannot start a client: {e}"))?;
        let watched = self.watch_it_stop(service, &course);
        course.aborted.store(watched.is_err(), Ordering::Relaxed);
        if watched.is_err() {
            // Ended first: clients with a request under way get its answer or its end at once.
            service.end();
        }
        let tally = load.finish()?;
        let (seen, killed_at_grace) = watched?;
        let children = service.left_behind(SETTLE);
        let ports = self.ports_left();
        let undead = !service.end() && service.ended().is_some();
        Ok(Facts {
            started,
            ready,
            signalled: course.signalled.get().copied(),
            signal: self.args.signal,
            grace: self.args.grace,
            watched_ready: self.ready.is_some(),
            loaded: !self.load.is_empty(),
            ended: service.ended(),
            killed_at_grace,
            seen,
            tally,
            children,
            ports,
            undead,
        })
    }

    /// From now to the end of the main process: what the probe saw, and whether it had to be killed.
    fn watch_it_stop(&self, service: &mut Service, course: &Arc<Course>) -> Result<(Seen, bool), NoVerdict> {
        let mut seen = Seen::default();
        let mut killed = false;
        match self.wait_loaded(service, course) {
            Waited::Interrupted(signal) => return Err(NoVerdict::Interrupted(signal)),
            Waited::Exited => {}
            Waited::TimeOver => {
                let shortage = self.args.scarce.map(|s| s.begin(service.pid())).transpose()?;
                let now = Instant::now();
                let signalled = *course.signalled.get_or_init(|| now);
                let sent = service.signal(self.args.signal);
                let probe = probe::watch(self.ready.clone(), self.load.clone(), Arc::clone(course))
                    .map_err(|e| format!("cannot start the probe: {e}"))?;
                let mut waited = Waited::TimeOver;
                if let Some(second) = self.args.second_signal.filter(|t| *t < self.args.grace) {
                    waited = service.wait_until(signalled + second);
                    if waited == Waited::TimeOver {
                        service.signal(self.args.signal);
                    }
                }
                if waited == Waited::TimeOver {
                    waited = service.wait_until(signalled + self.args.grace);
                }
                drop(shortage);
                if waited == Waited::TimeOver {
                    killed = true;
                    service.kill_group();
                }
                end_course(service, course);
                course.aborted.fetch_or(matches!(waited, Waited::Interrupted(_)), Ordering::Relaxed);
                seen = join(probe)?;
                if let Waited::Interrupted(signal) = waited {
                    return Err(NoVerdict::Interrupted(signal));
                }
                if !sent {
                    return Err(format!("cannot send {} to process {}", signals::name(self.args.signal), service.pid()).into());
                }
            }
        }
        end_course(service, course);
        Ok((seen, killed))
    }

    /// Until the load has lasted `--after` and come to `--requests`.
    fn wait_loaded(&self, service: &mut Service, course: &Course) -> Waited {
        let least = Instant::now() + self.args.after;
        let most = Instant::now() + self.args.after.max(MOST_LOAD);
        let mut until = least;
        loop {
            let waited = service.wait_until(until);
            let enough = self.load.is_empty() || course.sent.load(Ordering::Relaxed) >= self.args.requests;
            if waited != Waited::TimeOver || enough || Instant::now() >= most {
                return waited;
            }
            until = Instant::now() + probe::EVERY;
        }
    }

    /// Ports that still take connections although the service is gone.
    fn ports_left(&self) -> Vec<u16> {
        let mut ports: Vec<u16> =
            self.ready.iter().chain(&self.load).filter(|t| t.connect().is_ok()).map(|t| t.url.port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    fn verdict(&self, facts: &Facts, pid: i32) -> Verdict {
        let judged = facts.judged();
        let failures = judged.concat();
        let args = &self.args;
        let latency = &facts.tally.latency;
        Verdict {
            command: args.command.iter().map(|c| c.to_string_lossy().into_owned()).collect(),
            ready_url: args.ready.as_ref().map(|u| u.text.clone()),
            load_urls: args.load.iter().map(|u| u.text.clone()).collect(),
            connections: if args.load.is_empty() { 0 } else { args.connections },
            signal: signals::name(args.signal),
            grace_us: micros(args.grace),
            requests: facts.requests(),
            latency_us: Latency { p50: latency.percentile(50), p99: latency.percentile(99), max: latency.max() },
            timing_us: facts.timing(),
            exit: facts.exit(),
            left_behind: LeftBehind {
                children: facts.children.iter().map(|(pid, cmd)| LeftChild { pid: *pid, cmd: cmd.clone() }).collect(),
                ports: facts.ports.clone(),
            },
            report: self.place.read(pid),
            passed: failures.is_empty(),
            failures,
            judged,
        }
    }
}

/// Tells clients and probe that the service is gone. One that even SIGKILL could not end counts as gone now.
fn end_course(service: &Service, course: &Course) {
    let _ = course.exited.set(service.ended().map_or_else(Instant::now, |e| e.at));
}

fn join(probe: thread::JoinHandle<Seen>) -> Result<Seen, String> {
    probe.join().map_err(|_| "the readiness probe panicked".to_owned())
}

fn port_taken(target: &Target) -> String {
    let port = target.url.port;
    let holder = match proc::listener_on(port) {
        Some((pid, command)) => format!("by process {pid} ({})", plain(&command, 120)),
        None => "by a process that cannot be seen from here".to_owned(),
    };
    format!("port {port} of {} is taken already, {holder}: stop it, or use another port", target.url.text)
}

fn write_json(file: &mut File, verdict: &Verdict) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(verdict)?;
    text.push('\n');
    file.write_all(text.as_bytes())
}
