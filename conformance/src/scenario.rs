//! A scenario file, as written. Unknown keys are errors that name the key (README.md explains each).

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::act::{Act, Form, Hook};
use crate::expect::Expect;
use crate::modules::Module;

/// What a language may lack, and a scenario may need.
pub const NEEDS: &[&str] = &[
    "panic",
    "uncaught",
    "hold",
    "exit_in_hook",
    "parallel",
    "async",
    "host_end",
    "exit_in_async",
    "blocking_wait",
    "workers",
];

/// One file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its file's name; not a key.
    #[serde(skip)]
    pub name: String,
    /// One sentence.
    pub about: String,
    /// Rules of docs/spec.md it proves.
    pub rules: Vec<String>,
    /// Things a language may lack.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Forms it is played in.
    #[serde(default = "sync_only")]
    pub forms: Vec<Form>,
    /// What the main thread does.
    #[serde(default)]
    pub main: Main,
    /// No other run beside it.
    #[serde(default)]
    pub alone: bool,
    /// Options of `install`.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// Environment of the driver.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Text of graceshut.toml in the working folder.
    pub config_file: Option<String>,
    /// Acts before `ready`.
    #[serde(default)]
    pub before: Vec<Act>,
    /// Acts after `wait`.
    #[serde(default)]
    pub after_wait: Vec<Act>,
    /// Events to trace.
    #[serde(default)]
    pub watch_events: Vec<String>,
    /// WebAssembly in the working folder, by the file's name.
    #[serde(default)]
    pub modules: BTreeMap<String, Module>,
    /// The runner starts a process that sleeps.
    #[serde(default)]
    pub sleeper: bool,
    /// Reload hooks.
    #[serde(default, rename = "reload")]
    pub reloads: Vec<Reload>,
    /// Hooks.
    #[serde(default, rename = "hook")]
    pub hooks: Vec<Hook>,
    /// What happens to it.
    #[serde(default, rename = "event")]
    pub events: Vec<Event>,
    /// What must come of it.
    pub expect: Expect,
}

fn sync_only() -> Vec<Form> {
    vec![Form::Sync]
}

/// What the main thread does after `ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Main {
    /// Calls `wait` and leaves with its answer.
    #[default]
    Wait,
    /// Blocks, and does what the control pipe says.
    Idle,
}

/// A reload hook.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(default)]
    pub steps: Vec<Act>,
}

/// Something that happens once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The trace line it waits for.
    #[serde(default = "ready")]
    pub after: String,
    /// Milliseconds after it.
    #[serde(default)]
    pub delay: u64,
    /// A signal to the driver.
    pub signal: Option<String>,
    /// An act for the driver.
    pub act: Option<Act>,
}

fn ready() -> String {
    "ready".to_owned()
}

impl Scenario {
    /// Reads and checks one file.
    ///
    /// # Errors
    /// Words that name the file and the key.
    pub fn read(path: &Path) -> Result<Scenario, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        Scenario::parse(&name, &text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Reads and checks a text.
    ///
    /// # Errors
    /// Words that name the key.
    pub fn parse(name: &str, text: &str) -> Result<Scenario, String> {
        let mut scenario: Scenario = toml::from_str(text).map_err(|e| e.to_string())?;
        name.clone_into(&mut scenario.name);
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        if self.rules.is_empty() {
            return Err("rules: name at least one".to_owned());
        }
        if let Some(n) = self.needs.iter().find(|n| !NEEDS.contains(&n.as_str())) {
            return Err(format!("needs: {n:?} is none of {NEEDS:?}"));
        }
        if self.forms.is_empty() {
            return Err("forms: name at least one".to_owned());
        }
        let hooks = self.all_hooks();
        for (i, hook) in hooks.iter().enumerate() {
            if hook.kinds() + usize::from(hook.steps.is_some()) > 1 {
                return Err(format!("hook {:?}: one hook does one thing", hook.name));
            }
            if hooks[..i].iter().any(|h| h.name == hook.name) {
                return Err(format!("hook {:?}: the name is there twice", hook.name));
            }
        }
        for event in &self.events {
            self.check_event(event)?;
        }
        let declared = self.declared();
        // `drain` has a hook of its own that waits for work in flight.
        let known = |n: &str| n == "inflight" || hooks.iter().any(|h| h.name == n) || declared.iter().any(|d| d == n);
        self.expect.check(&known)
    }

    fn check_event(&self, event: &Event) -> Result<(), String> {
        match (&event.signal, &event.act) {
            (Some(name), None) => crate::signals::number(name).map(drop).ok_or(format!("event: no signal {name:?}")),
            (None, Some(act)) if act.is_mains() && self.main != Main::Idle => {
                Err(format!("event: {:?} needs main = \"idle\"", act.word()))
            }
            (None, Some(_)) => Ok(()),
            _ => Err("event: says either signal or act".to_owned()),
        }
    }

    /// The hooks, also those that are registered by an act, in the order in which that can happen first.
    pub fn all_hooks(&self) -> Vec<&Hook> {
        fn inner<'a>(acts: &'a [Act], out: &mut Vec<&'a Hook>) {
            for act in acts {
                if let Act::Register { hook } = act {
                    out.push(hook);
                    inner(hook.steps.as_deref().unwrap_or_default(), out);
                }
            }
        }
        let mut all: Vec<&Hook> = self.hooks.iter().collect();
        for hook in &self.hooks {
            inner(hook.steps.as_deref().unwrap_or_default(), &mut all);
        }
        inner(&self.before, &mut all);
        inner(&self.after_wait, &mut all);
        for act in self.events.iter().filter_map(|e| e.act.as_ref()) {
            inner(std::slice::from_ref(act), &mut all);
        }
        all
    }

    /// Names of hooks that options or the file declare.
    fn declared(&self) -> Vec<String> {
        let file: Option<toml::Table> = self.config_file.as_deref().and_then(|t| t.parse().ok());
        let names = |hooks: Option<&Value>| -> Vec<String> {
            let list = hooks.and_then(Value::as_array).cloned().unwrap_or_default();
            list.iter().filter_map(|h| h.get("name").and_then(Value::as_str).map(str::to_owned)).collect()
        };
        let in_file = file.and_then(|f| serde_json::to_value(f).ok());
        let mut all = names(self.options.get("hook"));
        all.extend(names(in_file.as_ref().and_then(|f| f.get("hook"))));
        all
    }

    /// What a driver is handed.
    pub fn for_driver(&self, language: &str, form: Form, report: &Path, http: &str) -> Value {
        let mut me = self.clone();
        me.options.entry("report").or_insert_with(|| Value::String(report.display().to_string()));
        me.hooks.iter_mut().for_each(|h| h.complete(form));
        for acts in [&mut me.before, &mut me.after_wait] {
            acts.iter_mut().for_each(|a| a.complete(form));
        }
        let value = serde_json::json!({
            "name": me.name, "language": language, "main": me.main, "options": me.options, "watch_events": me.watch_events,
            "reloads": me.reloads, "hooks": me.hooks, "before": me.before, "after_wait": me.after_wait,
        });
        let text = value.to_string().replace("${HTTP}", http);
        serde_json::from_str(&text).unwrap_or(value)
    }
}
