//! The effective configuration as people and programs read it: every key, its value, who said so (spec 12.2). One list of
//! rows feeds the table, the JSON object and the comparison of two configurations.

use std::fmt;

use serde_json::{Map, Value, json};

use super::options::{AnnounceDelay, DeclKind, HookDecl, NormalGrace};
use super::origin::Setting;
use super::resolve::{Config, SignalSetting};
use super::signame;
use super::words::{ACTIONS, EXITS, FAILURES, LEAVES, ORDERS, REPEATS, report_text, word};
use crate::plan::format_duration;

struct Row {
    key: String,
    value: Value,
    origin: String,
}

impl Row {
    fn text(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }
}

fn row(key: impl Into<String>, value: impl Into<Value>, origin: impl fmt::Display) -> Row {
    Row { key: key.into(), value: value.into(), origin: origin.to_string() }
}

impl Config {
    /// The effective configuration: for each dotted key `{"value": …, "origin": …}`. Times are written as in a file.
    /// Values that may be secret (headers, bodies, variables and arguments of hooks) are left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        // One by one: collecting would bring a sort with it.
        let mut object = Map::new();
        for r in self.rows() {
            object.insert(r.key, json!({"value": r.value, "origin": r.origin}));
        }
        Value::Object(object)
    }

    /// The first key in which the two differ, with both values; `None` when they agree (spec 2.4). Origins do not count.
    #[must_use]
    pub fn difference(&self, other: &Config) -> Option<String> {
        let (ours, theirs) = (self.rows(), other.rows());
        let text = |rows: &[Row], key: &str| rows.iter().find(|r| r.key == key).map_or("unset".to_owned(), Row::text);
        for Row { key, .. } in ours.iter().chain(&theirs) {
            let (a, b) = (text(&ours, key), text(&theirs, key));
            if a != b {
                return Some(format!("{key}: {a} and {b}"));
            }
        }
        // What the rows leave out.
        if self.admin_token.value != other.admin_token.value {
            return Some("admin_token: the two differ".to_owned());
        }
        let differ = self.hooks.iter().zip(&other.hooks).position(|(a, b)| a != b);
        differ.map(|i| format!("hook[{i}]: both are {}, but differ in their particulars", text(&ours, &format!("hook[{i}]"))))
    }

    fn rows(&self) -> Vec<Row> {
        let d = format_duration;
        let mut rows = vec![
            row("grace", d(self.grace.value), &self.grace.origin),
            row("already_spent", d(self.already_spent.value), &self.already_spent.origin),
            row("margin", d(self.margin), "3 % of grace, within limits"),
            row("budget", d(self.budget), "grace - already_spent - margin"),
            row("grace_normal", normal_text(self.grace_normal.value), &self.grace_normal.origin),
            row("announce_delay", delay_text(self.announce_delay.value), &self.announce_delay.origin),
            plain("serving", &self.serving),
            row("repeat", word(REPEATS, &self.repeat.value), &self.repeat.origin),
            row("exit", word(EXITS, &self.exit.value), &self.exit.origin),
            or_rule("exit_code_clean", &self.exit_code_clean, "0, INT dies by INT"),
            or_rule("exit_code_degraded", &self.exit_code_degraded, 1),
            or_rule("exit_code_forced", &self.exit_code_forced, "128 + signal, else 70"),
            row("exit_cap", self.exit_cap.value.map_or("until the watchdog".to_owned(), d), &self.exit_cap.origin),
            row("leave", word(LEAVES, &self.leave.value), &self.leave.origin),
            plain("watchdog", &self.watchdog),
            plain("max_workers", &self.max_workers),
            row("report", report_text(&self.report.value), &self.report.origin),
            plain("systemd_extend", &self.systemd_extend),
            plain("inflight", &self.inflight),
            plain("hold", &self.hold),
            row("admin", self.admin.value.to_string(), &self.admin.origin),
            row("admin_token", if self.admin_token.value.is_some() { "set" } else { "none" }, &self.admin_token.origin),
            plain("parent_death", &self.parent_death),
            plain("stdin_eof", &self.stdin_eof),
        ];
        self.signals.iter().for_each(|s| signal_rows(s, &mut rows));
        self.phase_rows(&mut rows);
        let hooks = self.hooks.iter().zip(&self.hook_origins).enumerate();
        rows.extend(hooks.map(|(i, (h, origin))| row(format!("hook[{i}]"), hook_text(h), origin)));
        rows
    }

    fn phase_rows(&self, rows: &mut Vec<Row>) {
        rows.push(row("phases", self.plan.names().collect::<Vec<_>>().join(", "), "the order they run in"));
        for (p, o) in self.plan.phases().iter().zip(&self.phase_origins) {
            let key = |k: &str| format!("phases.{}.{k}", p.name);
            rows.push(row(key("cap"), p.cap.to_string(), &o.cap));
            rows.push(row(key("reserve"), p.reserve.to_string(), &o.reserve));
            rows.push(row(key("order"), word(ORDERS, &p.order), &o.order));
            rows.push(row(key("on_failure"), word(FAILURES, &p.on_failure), &o.on_failure));
        }
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let width = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let key = width(&|r| r.key.chars().count());
        let value = width(&|r| r.text().chars().count()).min(48);
        for r in &rows {
            writeln!(f, "{:<key$}  {:<value$}  {}", r.key, r.text(), r.origin)?;
        }
        Ok(())
    }
}

fn plain<T: Clone + Into<Value>>(key: &str, s: &Setting<T>) -> Row {
    row(key, s.value.clone(), &s.origin)
}

fn or_rule(key: &str, s: &Setting<Option<i32>>, rule: impl Into<Value>) -> Row {
    row(key, s.value.map_or_else(|| rule.into(), Value::from), &s.origin)
}

fn normal_text(g: NormalGrace) -> String {
    match g {
        NormalGrace::SameAsGrace => "grace".to_owned(),
        NormalGrace::Limited(d) => format_duration(d),
        NormalGrace::Unlimited => "none".to_owned(),
    }
}

fn delay_text(a: AnnounceDelay) -> String {
    match a {
        AnnounceDelay::Auto => "auto".to_owned(),
        AnnounceDelay::Fixed(d) => format_duration(d),
    }
}

fn signal_rows(s: &SignalSetting, rows: &mut Vec<Row>) {
    let key = format!("signals.{}", signame::name_of(s.signo));
    let action = if s.auto {
        "reload if a reload hook exists, else stop unless the program handles it"
    } else {
        word(ACTIONS, &s.action)
    };
    rows.push(row(key.as_str(), action, &s.origin));
    if let Some(grace) = s.grace {
        rows.push(row(format!("{key}.grace"), format_duration(grace), &s.grace_origin));
    }
}

/// What the hook does, without what may be secret.
fn hook_text(h: &HookDecl) -> String {
    let (kind, what) = match &h.kind {
        DeclKind::Exec(e) => ("exec", e.argv.first().cloned().unwrap_or_default()),
        DeclKind::Http(r) => {
            ("http", format!("{} {}", if r.method.is_empty() { "POST" } else { &r.method }, public_url(&r.url)))
        }
        DeclKind::Delay(d) => ("delay", format_duration(*d)),
        DeclKind::Inflight(group) => ("inflight", group.clone()),
        DeclKind::Signal(s) => {
            let to = s.pidfile.as_ref().map_or_else(|| format!("pid {}", s.pid.unwrap_or(0)), |p| p.display().to_string());
            ("signal", format!("{} to {to}", signame::name_of(s.signo)))
        }
        DeclKind::Wasm(spec) => {
            let path = spec.as_str().or_else(|| spec.get("path")?.as_str());
            ("wasm", path.unwrap_or_default().to_owned())
        }
    };
    let name = h.name_or_kind();
    let timeout = h.timeout.map_or_else(String::new, |t| format!(", timeout {}", format_duration(t)));
    let after = if h.after.is_empty() { String::new() } else { format!(", after {}", h.after.join(" and ")) };
    let optional = if h.optional { ", optional" } else { "" };
    let inherit = if h.inherit { ", inherited" } else { "" };
    format!("{name} in {}: {kind} {what}{timeout}{after}{optional}{inherit}", h.phase)
}

/// The address without user, password and query.
fn public_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (rest, _) = rest.split_once(['?', '#']).unwrap_or((rest, ""));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}
