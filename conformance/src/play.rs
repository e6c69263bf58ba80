//! Plays one scenario in one language and keeps what was seen.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::act::Form;
use crate::helpers::{Server, Sleeper};
use crate::languages::Language;
use crate::process::{Process, Told};
use crate::scenario::Scenario;
use crate::signals;

/// No run takes longer.
pub const LIMIT: Duration = Duration::from_secs(25);
/// How long the pipes of a process that is gone are waited for: programs that it started may hold them.
const PIPES: Duration = Duration::from_millis(500);

/// A line of the trace, of the driver's or the runner's own.
#[derive(Clone, Debug)]
pub struct Line {
    /// When the runner read it.
    pub at: Instant,
    /// `WHAT:NAME`.
    pub key: String,
    /// All of it.
    pub fields: Value,
}

/// What was seen.
#[derive(Debug)]
pub struct Played {
    /// The trace.
    pub lines: Vec<Line>,
    /// The wait status.
    pub status: Option<ExitStatus>,
    /// The report, and its bytes.
    pub report: Option<Value>,
    /// What is wrong whatever the scenario expects.
    pub broken: Vec<String>,
    /// Standard error.
    pub stderr: String,
    /// The working folder.
    pub folder: PathBuf,
    /// Requests the server got.
    pub requests: Vec<String>,
    /// Whether somebody ended the sleeper.
    pub sleeper_gone: bool,
    /// Threads by name, and files of the working folder, when `ready` came.
    pub at_ready: (Vec<String>, Vec<String>),
    /// The same instant on both clocks.
    pub clocks: (Instant, SystemTime),
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn folder() -> std::io::Result<PathBuf> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let path = std::env::temp_dir().join(format!("gs-conf-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst)));
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

struct Due {
    at: Option<Instant>,
    fired: bool,
}

struct Run<'a> {
    scenario: &'a Scenario,
    process: Process,
    played: Played,
    due: Vec<Due>,
    acts: Vec<Option<Value>>,
}

/// Plays it.
///
/// # Errors
/// When it could not even be started.
pub fn play(root: &Path, language: &Language, scenario: &Scenario, form: Form) -> Result<Played, String> {
    let words = |e: std::io::Error| e.to_string();
    let folder = folder().map_err(words)?;
    let mut sleeper = if scenario.sleeper { Some(Sleeper::start().map_err(words)?) } else { None };
    if let Some(s) = &sleeper {
        std::fs::write(folder.join("sleeper.pid"), format!("{}\n", s.pid())).map_err(words)?;
    }
    let server = Server::start().map_err(words)?;
    let given = scenario.for_driver(&language.name, form, &folder.join("report.json"), &server.address);
    let file = folder.join("scenario.json");
    std::fs::write(&file, given.to_string()).map_err(words)?;
    if let Some(text) = &scenario.config_file {
        std::fs::write(folder.join("graceshut.toml"), text.replace("${HTTP}", &server.address)).map_err(words)?;
    }
    for (name, module) in &scenario.modules {
        std::fs::write(folder.join(name), module.bytes(root).map_err(|e| format!("modules.{name}: {e}"))?).map_err(words)?;
    }
    let mut command = language.command(root);
    let at_home = |(name, value): (&String, &String)| (name.clone(), value.replace("${FOLDER}", &folder.display().to_string()));
    command.current_dir(&folder).envs(scenario.env.iter().map(at_home)).env("CONFORMANCE_SCENARIO", &file);
    let process = Process::start(command).map_err(|e| format!("{}: {e}", language.run.join(" ")))?;
    let acts = scenario.events.iter().map(|e| e.act.clone()).map(|a| {
        a.map(|mut a| {
            a.complete(form);
            json!(a)
        })
    });
    let mut run = Run {
        scenario,
        process,
        due: scenario.events.iter().map(|_| Due { at: None, fired: false }).collect(),
        acts: acts.collect(),
        played: Played {
            lines: Vec::new(),
            status: None,
            report: None,
            broken: Vec::new(),
            stderr: String::new(),
            folder,
            requests: Vec::new(),
            sleeper_gone: false,
            at_ready: (Vec::new(), Vec::new()),
            clocks: (Instant::now(), SystemTime::now()),
        },
    };
    run.watch_to_the_end();
    let mut played = run.played;
    played.read_report(scenario, &server.address);
    played.requests = server.requests();
    played.sleeper_gone = sleeper.as_mut().is_some_and(Sleeper::is_gone);
    Ok(played)
}

impl Run<'_> {
    fn watch_to_the_end(&mut self) {
        let limit = Instant::now() + LIMIT;
        let (mut gone, mut trace_open, mut stderr_open) = (None::<Instant>, true, true);
        while trace_open || stderr_open || gone.is_none() {
            self.fire();
            let end = gone.map_or(limit, |g| g + PIPES);
            let next = self.due.iter().filter(|d| !d.fired).filter_map(|d| d.at).min();
            match self.process.next(next.map_or(end, |n| n.min(end))) {
                Some(Told::Trace(at, text)) => self.line(at, &text),
                Some(Told::TraceEnd) => trace_open = false,
                Some(Told::Stderr(text)) => (self.played.stderr, stderr_open) = (text, false),
                Some(Told::Gone(at)) => {
                    gone = Some(at);
                    self.note(at, "gone", Value::Null);
                    self.played.status = self.process.reap().ok();
                }
                None if Instant::now() < end => {}
                None if gone.is_some() => break,
                None => {
                    self.played.broken.push(format!("it was still there after {LIMIT:?} and was killed"));
                    self.process.signal(libc::SIGKILL);
                    self.played.status = self.process.reap().ok();
                    gone = Some(Instant::now());
                }
            }
        }
        // What a process wrote may be read after it is known to be gone.
        if let Some(i) = self.played.lines.iter().position(|l| l.key == "gone") {
            let line = self.played.lines.remove(i);
            self.played.lines.push(line);
        }
        if let Some((event, _)) = self.scenario.events.iter().zip(&self.due).find(|(_, d)| !d.fired) {
            let what = event.signal.clone().or_else(|| event.act.as_ref().map(crate::act::Act::word)).unwrap_or_default();
            self.played.broken.push(format!("{what} was never sent: {:?} did not come in time", event.after));
        }
    }

    fn note(&mut self, at: Instant, key: &str, fields: Value) {
        self.played.lines.push(Line { at, key: key.to_owned(), fields });
        for (event, due) in self.scenario.events.iter().zip(&mut self.due) {
            if event.after == key && due.at.is_none() {
                due.at = Some(at + Duration::from_millis(event.delay));
            }
        }
    }

    fn line(&mut self, at: Instant, text: &str) {
        let fields: Value = serde_json::from_str(text).unwrap_or_default();
        let Some(what) = fields.get("what").and_then(Value::as_str) else {
            return self.played.broken.push(format!("this is no line of a trace: {text}"));
        };
        let key = match fields.get("name").and_then(Value::as_str) {
            Some(name) => format!("{what}:{name}"),
            None => what.to_owned(),
        };
        if key == "ready" {
            // Nothing was sent yet: what is there came by the program itself.
            self.played.at_ready = (self.process.threads(), names(&self.played.folder));
        }
        self.note(at, &key, fields);
    }

    fn fire(&mut self) {
        let now = Instant::now();
        for i in 0..self.due.len() {
            if self.due[i].fired || self.due[i].at.is_none_or(|at| at > now) {
                continue;
            }
            self.due[i].fired = true;
            let event = &self.scenario.events[i];
            if let Some(name) = &event.signal {
                self.note(Instant::now(), &format!("signal:{name}"), Value::Null);
                self.process.signal(signals::number(name).unwrap_or(0));
            } else if let Some(act) = self.acts[i].clone() {
                let word = act.get("do").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.note(Instant::now(), &format!("act:{word}"), Value::Null);
                self.process.act(&act);
            }
        }
    }
}

impl Played {
    fn read_report(&mut self, scenario: &Scenario, http: &str) {
        let to = scenario.env.get("GRACESHUT_REPORT").map(String::as_str);
        let to = to.or_else(|| scenario.options.get("report").and_then(Value::as_str)).unwrap_or("report.json");
        let text = match to {
            "stderr:json" => self.stderr.lines().rfind(|l| l.starts_with("{\"graceshut\":")).map(str::to_owned),
            "stderr" | "none" => None,
            path => {
                let named = std::fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|e| e.path());
                let fits = |p: &PathBuf| {
                    let name = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let (before, after) = path.split_once("%p").unwrap_or((path, ""));
                    name.starts_with(before) && name.ends_with(after)
                };
                named.into_iter().find(fits).and_then(|p| std::fs::read_to_string(p).ok())
            }
        };
        let Some(text) = text else { return };
        match serde_json::from_str(&text.replace(http, "${HTTP}")) {
            Ok(report) => self.report = Some(report),
            Err(e) => self.broken.push(format!("the report is no JSON: {e}: {text}")),
        }
    }

    /// The first line of that name.
    #[must_use]
    pub fn line(&self, key: &str) -> Option<&Line> {
        self.lines.iter().find(|l| l.key == key)
    }

    /// The report's T0 on the runner's clock.
    #[must_use]
    pub fn trigger(&self) -> Option<Instant> {
        let wall = self.report.as_ref()?.get("triggered_at_us")?.as_u64()?;
        let wall = SystemTime::UNIX_EPOCH + Duration::from_micros(wall);
        let (instant, system) = self.clocks;
        match wall.duration_since(system) {
            Ok(later) => Some(instant + later),
            Err(e) => instant.checked_sub(e.duration()),
        }
    }
}
