//! What must come of a scenario.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::signals;

/// The rules that make languages differ: nothing else does.
const RULES_OF_LANGUAGES: &[&str] = &["2.6", "6.1", "8.6"];

/// `[expect]`: what holds for all languages, and what differs for some.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Expect {
    all: Map<String, Value>,
    wheres: Vec<Where>,
}

/// `[[expect.where]]`.
#[derive(Clone, Debug)]
struct Where {
    languages: Vec<String>,
    checks: Map<String, Value>,
}

/// What one run is checked against.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the table in README.md is their documentation")]
pub struct Checks {
    pub exit: ExitStatus,
    #[serde(default = "clean")]
    pub outcome: String,
    pub report_exit_code: Option<i32>,
    pub reason: Option<String>,
    pub signal: Option<String>,
    pub message: Option<String>,
    #[serde(default)]
    pub order: Vec<String>,
    #[serde(default)]
    pub absent: Vec<String>,
    #[serde(default)]
    pub said: Vec<Map<String, Value>>,
    #[serde(default)]
    pub same: Vec<[String; 2]>,
    #[serde(default)]
    pub times: BTreeMap<String, usize>,
    pub triggers: Option<Vec<String>>,
    #[serde(default)]
    pub skipped: Vec<String>,
    pub in_flight: Option<Vec<u64>>,
    #[serde(default)]
    pub report: BTreeMap<String, Value>,
    #[serde(default)]
    pub files: Vec<String>,
    #[serde(default)]
    pub no_files: Vec<String>,
    #[serde(default)]
    pub not_at_ready: Vec<String>,
    pub requests: Option<Vec<String>>,
    #[serde(default)]
    pub stderr: Vec<String>,
    #[serde(default)]
    pub quiet: bool,
    pub sleeper: Option<Sleeper>,
    #[serde(default)]
    pub host_error: bool,
    #[serde(default)]
    pub lingers: bool,
    #[serde(default)]
    pub unreported: bool,
    #[serde(default)]
    pub time: Vec<Time>,
    #[serde(default)]
    pub hook: BTreeMap<String, HookExpect>,
}

fn clean() -> String {
    "clean".to_owned()
}

/// The wait status.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ExitStatus {
    /// A number.
    Code(i32),
    /// Death by this signal.
    Signal(String),
}

/// What became of the process that sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sleeper {
    /// It is gone.
    Gone,
    /// It is there.
    There,
}

/// `[expect.hook.NAME]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the table in README.md is their documentation")]
pub struct HookExpect {
    #[serde(default = "ok")]
    pub outcome: String,
    pub why: Option<String>,
    #[serde(default)]
    pub late: bool,
    #[serde(default)]
    pub panic: bool,
    pub message: Option<String>,
    pub cancel: Option<Cancel>,
}

/// Whether a hook's code saw a cancellation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Cancel {
    /// It did, or did not.
    Seen(bool),
    /// `"any"`: it may have.
    Open(Any),
}

/// The word `any`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Any {
    /// It.
    Any,
}

fn ok() -> String {
    "ok".to_owned()
}

impl Default for HookExpect {
    fn default() -> HookExpect {
        HookExpect { outcome: ok(), why: None, late: false, panic: false, message: None, cancel: None }
    }
}

/// `[[expect.time]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// The first trace line.
    pub from: String,
    /// The second one.
    pub to: String,
    /// Low and high.
    pub percent: [f64; 2],
    /// Of what.
    #[serde(default = "budget")]
    pub of: String,
}

fn budget() -> String {
    "budget".to_owned()
}

const OUTCOMES: &[&str] = &["clean", "degraded", "forced", "none"];
const HOOK_OUTCOMES: &[&str] = &["ok", "failed", "cancelled", "abandoned", "killed", "skipped", "not_started"];

impl TryFrom<Map<String, Value>> for Expect {
    type Error = String;

    fn try_from(mut all: Map<String, Value>) -> Result<Expect, String> {
        let list = all.remove("where").map_or(Ok(Vec::new()), |w| match w {
            Value::Array(list) => Ok(list),
            _ => Err("where is a list of tables, [[expect.where]]".to_owned()),
        })?;
        let wheres = list.into_iter().map(where_of).collect::<Result<Vec<_>, _>>()?;
        let expect = Expect { all, wheres };
        expect.read(&expect.all)?;
        for w in &expect.wheres {
            expect.read(&expect.merged(w))?;
        }
        Ok(expect)
    }
}

fn where_of(value: Value) -> Result<Where, String> {
    let Value::Object(mut checks) = value else { return Err("where is a list of tables, [[expect.where]]".to_owned()) };
    let languages: Vec<String> = checks
        .remove("languages")
        .and_then(|l| serde_json::from_value(l).ok())
        .ok_or("where: say which languages, as a list of names")?;
    let rule = checks.remove("rule").and_then(|r| r.as_str().map(str::to_owned)).unwrap_or_default();
    if !RULES_OF_LANGUAGES.contains(&rule.as_str()) {
        return Err(format!("where: rule {rule:?} does not make languages differ; only {RULES_OF_LANGUAGES:?} do"));
    }
    if checks.remove("why").and_then(|w| w.as_str().map(str::is_empty)).unwrap_or(true) {
        return Err("where: say why".to_owned());
    }
    Ok(Where { languages, checks })
}

impl Expect {
    /// What holds for `language`, and the number of its group: reports are compared within one group.
    ///
    /// # Errors
    /// Words that name the key.
    pub fn of(&self, language: &str) -> Result<(Checks, usize), String> {
        match self.wheres.iter().position(|w| w.languages.iter().any(|l| l == language)) {
            Some(i) => Ok((self.read(&self.merged(&self.wheres[i]))?, i + 1)),
            None => Ok((self.read(&self.all)?, 0)),
        }
    }

    fn merged(&self, w: &Where) -> Map<String, Value> {
        let mut all = self.all.clone();
        for (key, value) in &w.checks {
            match (all.get_mut(key), value) {
                (Some(Value::Object(old)), Value::Object(new)) if key == "hook" => old.extend(new.clone()),
                _ => _ = all.insert(key.clone(), value.clone()),
            }
        }
        all
    }

    fn read(&self, table: &Map<String, Value>) -> Result<Checks, String> {
        let checks: Checks = serde_json::from_value(Value::Object(table.clone())).map_err(|e| e.to_string())?;
        if let ExitStatus::Signal(name) = &checks.exit
            && signals::number(name).is_none()
        {
            return Err(format!("exit: no signal {name:?}"));
        }
        if !OUTCOMES.contains(&checks.outcome.as_str()) {
            return Err(format!("outcome: {:?} is none of {OUTCOMES:?}", checks.outcome));
        }
        let bad = checks.hook.values().find(|h| !HOOK_OUTCOMES.contains(&h.outcome.as_str()));
        bad.map_or(Ok(checks.clone()), |h| Err(format!("outcome: {:?} is none of {HOOK_OUTCOMES:?}", h.outcome)))
    }

    /// Every hook that is spoken of has to be there.
    ///
    /// # Errors
    /// Words that name the hook.
    pub fn check(&self, known: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let tables = std::iter::once(&self.all).chain(self.wheres.iter().map(|w| &w.checks));
        for hooks in tables.filter_map(|t| t.get("hook")).filter_map(Value::as_object) {
            if let Some(name) = hooks.keys().find(|k| !known(k)) {
                return Err(format!("expect.hook.{name}: there is no such hook"));
            }
        }
        Ok(())
    }
}
