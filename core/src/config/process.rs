//! `[[process]]`: a program that `graceshut run` starts, watches and stops (docs/run.md). Read here, so that the one file has one
//! reader; only `graceshut run` acts on it, and nobody else even reads it: a program that links the library does not carry that.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::sources::Sources;
use super::time::NumberUnit;
use super::walk::{Item, Source};
use super::{env, file};
use crate::error::{Error, ErrorKind};
use crate::plan::{DRAIN, Plan};

const KEYS: &[&str] = &[
    "name",
    "command",
    "phase",
    "after",
    "stop_signal",
    "stop_timeout",
    "required",
    "restart",
    "restart_delay",
    "restart_cap",
    "restart_limit",
    "ready",
    "ready_timeout",
    "env",
    "user",
    "dir",
];

const RESTARTS: &[(&str, Restart)] = &[("never", Restart::Never), ("on_failure", Restart::OnFailure)];

/// Whether a program that ended by itself is started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Restart {
    /// It is not; a required one brings the rest down.
    #[default]
    Never,
    /// After a status other than 0 or death by a signal.
    OnFailure,
}

/// When a program counts as started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ReadyWhen {
    /// At once.
    #[default]
    Started,
    /// When this URL answers 2xx.
    Http(String),
    /// When something listens there.
    Tcp(SocketAddr),
    /// When this file is there.
    File(PathBuf),
    /// After this long.
    Delay(Duration),
}

/// One program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessDecl {
    /// Its name in output and reports.
    pub name: String,
    /// Program and arguments; the program is looked up in PATH.
    pub command: Vec<String>,
    /// The phase in which it is stopped.
    pub phase: String,
    /// Programs that have to be ready before it is started; it is stopped before they are, within a phase.
    pub after: Vec<String>,
    /// The signal that asks it to stop.
    pub stop_signal: i32,
    /// Its own limit, then KILL; its phase's otherwise.
    pub stop_timeout: Option<Duration>,
    /// Its end ends the rest.
    pub required: bool,
    /// Whether it is started again.
    pub restart: Restart,
    /// The first pause before that; each next one is twice as long.
    pub restart_delay: Duration,
    /// The longest pause.
    pub restart_cap: Duration,
    /// How often in a row; a program that ran for a minute begins anew.
    pub restart_limit: u32,
    /// When it counts as started.
    pub ready: ReadyWhen,
    /// How long that may take; then the start has failed.
    pub ready_timeout: Duration,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
    /// The user it runs as, by name or `uid` or `uid:gid`.
    pub user: Option<String>,
    /// Its working folder.
    pub dir: Option<PathBuf>,
}

/// The programs of the file that [`super::resolve()`] reads for the same `sources`, in order; `plan` has their phases.
///
/// # Errors
/// As [`super::resolve()`] for the file; `BadConfig` and `UnknownPhase` name the program.
pub fn processes(sources: &Sources, plan: &Plan) -> Result<Vec<ProcessDecl>, Error> {
    let named = env::from_vars(&sources.vars)?.config;
    match file::load(named.as_deref(), sources.dir.as_deref())? {
        Some((path, value)) => read(&value, &Source::File(path), plan),
        None => Ok(Vec::new()),
    }
}

fn read(file: &Value, source: &Source, plan: &Plan) -> Result<Vec<ProcessDecl>, Error> {
    let Some(declared) = file.get("process") else { return Ok(Vec::new()) };
    let table = json!({ "process": declared });
    let root = Item::root(&table, NumberUnit::Refused, source);
    let all = root.table(&["process"])?.need("process", Item::processes)?;
    check(&all, plan)?;
    Ok(all)
}

impl Item<'_> {
    /// Every `[[process]]`, in order.
    fn processes(&self) -> Result<Vec<ProcessDecl>, Error> {
        self.list("a list of tables, each written as [[process]],")?.iter().map(Item::process).collect()
    }

    fn process(&self) -> Result<ProcessDecl, Error> {
        let t = self.table(KEYS)?;
        let env = t.opt("env", Item::pairs)?.unwrap_or_default();
        if let Some((name, _)) = env.iter().find(|(name, _)| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(
                t.bad(format_args!("env: {name:?} is no name of a variable; use one that is not empty and holds no '='"))
            );
        }
        Ok(ProcessDecl {
            name: t.need("name", Item::string)?,
            command: t.need("command", Item::argv)?,
            phase: t.opt("phase", Item::string)?.unwrap_or_else(|| DRAIN.to_owned()),
            after: t.opt("after", Item::names)?.unwrap_or_default(),
            stop_signal: t.opt("stop_signal", Item::signo)?.unwrap_or(libc::SIGTERM),
            stop_timeout: t.opt("stop_timeout", Item::positive_time)?,
            required: t.opt("required", Item::boolean)?.unwrap_or(true),
            restart: t.opt("restart", |i| i.word(RESTARTS))?.unwrap_or_default(),
            restart_delay: t.opt("restart_delay", Item::positive_time)?.unwrap_or(Duration::from_millis(100)),
            restart_cap: t.opt("restart_cap", Item::positive_time)?.unwrap_or(Duration::from_secs(30)),
            // The range makes the cast exact.
            restart_limit: t.opt("restart_limit", |i| Ok(i.integer(1..=1_000_000)? as u32))?.unwrap_or(10),
            ready: t.opt("ready", Item::ready_when)?.unwrap_or_default(),
            ready_timeout: t.opt("ready_timeout", Item::positive_time)?.unwrap_or(Duration::from_secs(60)),
            env,
            user: t.opt("user", Item::string)?,
            dir: t.opt("dir", Item::path)?,
        })
    }

    fn ready_when(&self) -> Result<ReadyWhen, Error> {
        let t = self.table(&["http", "tcp", "file", "delay"])?;
        let http = t.opt("http", Item::plain_url)?.map(ReadyWhen::Http);
        let tcp = t.opt("tcp", Item::address)?.map(ReadyWhen::Tcp);
        let file = t.opt("file", Item::path)?.map(ReadyWhen::File);
        let delay = t.opt("delay", Item::time)?.map(ReadyWhen::Delay);
        let mut said = [http, tcp, file, delay].into_iter().flatten();
        match (said.next(), said.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(t.bad("say when it is ready: http, tcp, file or delay")),
            _ => Err(t.bad("one of http, tcp, file and delay says when it is ready; keep one")),
        }
    }

    fn plain_url(&self) -> Result<String, Error> {
        let url = self.url()?;
        if url.starts_with("http://") { Ok(url) } else { Err(self.bad("readiness is asked for by http:// alone")) }
    }

    fn address(&self) -> Result<SocketAddr, Error> {
        self.text()?.parse().map_err(|_| self.bad("write an IP address and a port, as in \"127.0.0.1:8080\""))
    }
}

/// Names, phases and the order of the programs.
fn check(processes: &[ProcessDecl], plan: &Plan) -> Result<(), Error> {
    let bad = |p: &ProcessDecl, why: String| Err(Error::new(ErrorKind::BadConfig, format!("process \"{}\": {why}", p.name)));
    for (i, p) in processes.iter().enumerate() {
        plan.find(&p.phase).map_err(|e| Error::new(e.kind(), format!("process \"{}\": {e}", p.name)))?;
        if processes[..i].iter().any(|q| q.name == p.name) {
            return bad(p, "there are two of this name; give each its own".to_owned());
        }
        for name in &p.after {
            match processes.iter().position(|q| q.name == *name) {
                None => return bad(p, format!("after = \"{name}\": there is no such process")),
                // In the order of the file, so that there can be no circle.
                Some(at) if at >= i => {
                    return bad(p, format!("after = \"{name}\": a process comes after earlier ones of the file; move it down"));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn processes(value: serde_json::Value) -> Result<Vec<ProcessDecl>, Error> {
        read(&json!({ "process": value }), &Source::Code, &Plan::build(&[])?)
    }

    #[test]
    fn a_process_says_what_it_wants_and_the_rest_has_defaults() {
        let all = processes(json!([
            {"name": "db", "command": ["db", ""], "ready": {"tcp": "127.0.0.1:5432"}, "phase": "close", "required": false},
            {"name": "app", "command": ["app"], "after": "db", "stop_signal": "QUIT", "restart": "on_failure", "user": "nobody"},
        ]))
        .unwrap();
        assert_eq!(all[0].ready, ReadyWhen::Tcp("127.0.0.1:5432".parse().unwrap()));
        assert_eq!((all[0].phase.as_str(), all[0].required, all[0].stop_signal), ("close", false, libc::SIGTERM));
        assert_eq!((all[1].phase.as_str(), all[1].restart, all[1].stop_signal), ("drain", Restart::OnFailure, libc::SIGQUIT));
        assert_eq!(all[1].after, ["db"]);
    }

    #[test]
    fn bad_ones_are_refused_by_name() {
        let cases = [
            (json!([{"name": "a"}]), "command"),
            (json!([{"name": "a", "command": []}]), "empty"),
            (json!([{"name": "a", "command": ["x"], "phase": "flsh"}]), "flush"),
            (json!([{"name": "a", "command": ["x"], "after": "b"}]), "no such process"),
            (json!([{"name": "a", "command": ["x"], "after": "a"}]), "move it down"),
            (json!([{"name": "a", "command": ["x"]}, {"name": "a", "command": ["x"]}]), "two of this name"),
            (json!([{"name": "a", "command": ["x"], "restart": "always"}]), "on_failure"),
            (json!([{"name": "a", "command": ["x"], "ready": {}}]), "say when"),
            (json!([{"name": "a", "command": ["x"], "ready": {"delay": "1s", "file": "/x"}}]), "keep one"),
            (json!([{"name": "a", "command": ["x"], "stop_signal": "TREM"}]), "TREM"),
        ];
        for (value, word) in cases {
            let e = processes(value.clone()).unwrap_err();
            assert!(e.message().contains(word), "{value}: {e}");
        }
    }
}
