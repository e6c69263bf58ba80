//! The service's own report of its shutdown: where it is left, whether it is one, and how it reads as a table.

use crate::duration;
use serde_json::Value;
use serde_json::value::RawValue;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The variable by which a service is told where to leave its report.
pub const VARIABLE: &str = "GRACESHUT_REPORT";
/// A report beyond this is none of ours.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Where the report will be.
#[derive(Debug)]
pub struct Place {
    /// What the variable says; `None` if the environment has it already.
    pub variable: Option<OsString>,
    /// The file, which may still have `%p` in it; `None` if the report goes where it cannot be read back.
    path: Option<PathBuf>,
    /// Our own folder around it, to be removed.
    folder: Option<PathBuf>,
    /// What lay there before, which is not this shutdown's report.
    before: Option<(u64, SystemTime, u64)>,
}

impl Place {
    /// Chooses: the file asked for, else the one the environment names, else a temporary one.
    pub fn choose(asked: Option<&Path>) -> Result<Place, String> {
        if let Some(path) = asked {
            // The service may have another working directory by then.
            let path = std::path::absolute(path).map_err(|e| format!("--report {}: {e}", path.display()))?;
            let before = fingerprint(&path);
            return Ok(Place { variable: Some(path.clone().into()), path: Some(path), folder: None, before });
        }
        if let Some(value) = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
            let path = path_of(&value);
            let before = path.as_deref().and_then(fingerprint);
            return Ok(Place { variable: None, path, folder: None, before });
        }
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let folder = std::env::temp_dir().join(format!("graceshut-verify-{}-{nanos:x}", std::process::id()));
        // A folder nobody else can write to, which must not exist yet: in /tmp a name alone is not ours.
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|e| format!("cannot make the temporary folder {}: {e}", folder.display()))?;
        let path = folder.join("report.json");
        Ok(Place { variable: Some(path.clone().into()), path: Some(path), folder: Some(folder), before: None })
    }

    /// Reads the report of the process `pid`, exactly as it was written, if it left one.
    pub fn read(&self, pid: i32) -> Option<Box<RawValue>> {
        let path = with_pid(self.path.as_deref()?, pid);
        let meta = fs::metadata(&path).ok().filter(Metadata::is_file)?;
        if self.before.is_some_and(|before| before == identity(&meta)) {
            return None;
        }
        let mut text = String::new();
        File::open(&path).ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
        // One object; or one a line, of which the last is this shutdown's.
        [text.trim(), text.trim().lines().next_back().unwrap_or_default()].into_iter().find_map(as_report)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn fingerprint(path: &Path) -> Option<(u64, SystemTime, u64)> {
    fs::metadata(path).ok().map(|m| identity(&m))
}

fn identity(meta: &Metadata) -> (u64, SystemTime, u64) {
    (meta.ino(), meta.modified().unwrap_or(UNIX_EPOCH), meta.len())
}

/// The file that a value of the variable means, if it means one.
fn path_of(value: &OsString) -> Option<PathBuf> {
    match value.to_str() {
        Some("none" | "stderr") => None,
        Some("termination-log") => Some("/dev/termination-log".into()),
        Some(v) if v.starts_with("stderr:") || v.starts_with("fd:") => None,
        _ => std::path::absolute(value).ok(),
    }
}

fn with_pid(path: &Path, pid: i32) -> PathBuf {
    match path.to_str() {
        Some(text) => text.replace("%p", &pid.to_string()).into(),
        None => path.to_owned(),
    }
}

/// A report is a JSON object with `"graceshut": 1`.
fn as_report(text: &str) -> Option<Box<RawValue>> {
    let value: Value = serde_json::from_str(text).ok()?;
    (value.get("graceshut")? == 1).then(|| RawValue::from_string(text.to_owned()).ok()).flatten()
}

/// The report as lines of text: one of summary, then each phase with its hooks. What is missing is left out.
pub fn table(report: &RawValue) -> Vec<String> {
    let Ok(report) = serde_json::from_str::<Value>(report.get()) else { return Vec::new() };
    let mut rows = vec![["phase".to_owned(), "budget".to_owned(), "used".to_owned(), String::new()]];
    for phase in list(&report, "phases") {
        rows.push([text(phase, "name").unwrap_or("?".into()), time(phase, "budget_us"), time(phase, "used_us"), String::new()]);
        rows.extend(list(phase, "hooks").iter().map(hook_row));
    }
    let mut lines = vec![summary(&report)];
    if rows.len() > 1 {
        let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
        let (name, budget, used) = (width(0), width(1), width(2));
        lines
            .extend(rows.iter().map(|[a, b, c, d]| format!("{a:<name$}  {b:>budget$}  {c:>used$}  {d}").trim_end().to_owned()));
    }
    lines
}

fn hook_row(hook: &Value) -> [String; 4] {
    let mut outcome = text(hook, "outcome").unwrap_or("?".into());
    if hook.get("late") == Some(&Value::Bool(true)) {
        outcome.push_str(", late");
    }
    if let Some(message) = text(hook, "message") {
        outcome.push_str(": ");
        outcome.push_str(&message);
    }
    let name = text(hook, "name").unwrap_or("?".into());
    [format!("  {name}"), time(hook, "budget_us"), time(hook, "used_us"), outcome]
}

fn summary(report: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(language) = report.get("host").and_then(|h| text(h, "language")) {
        parts.push(language);
    }
    if let Some(reason) = report.get("reason") {
        parts.extend(text(reason, "signal").or_else(|| text(reason, "kind")).map(|r| format!("reason {r}")));
    }
    for (key, what) in [("grace_us", "grace"), ("budget_us", "budget")] {
        let time = time(report, key);
        if !time.is_empty() {
            parts.push(format!("{what} {time}"));
        }
    }
    if let Some(flight) = report.get("in_flight") {
        let count = |key| flight.get(key).and_then(Value::as_u64);
        if let (Some(start), Some(end)) = (count("at_drain_start"), count("at_drain_end")) {
            parts.push(format!("in flight {start} -> {end}"));
        }
    }
    parts.extend(text(report, "outcome"));
    parts.extend(report.get("exit_code").and_then(Value::as_i64).map(|code| format!("code {code}")));
    parts.join(", ")
}

/// The grace the service believed in.
pub fn grace(report: &RawValue) -> Option<Duration> {
    let report = serde_json::from_str::<Value>(report.get()).ok()?;
    report.get("grace_us")?.as_u64().map(Duration::from_micros)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn time(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_u64).map(|us| duration::human(Duration::from_micros(us))).unwrap_or_default()
}

/// A string, of a length for one line and without anything a terminal would obey.
fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(|s| super::plain::plain(s, 120))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn table_of(text: &str) -> Vec<String> {
        table(&as_report(text).unwrap())
    }

    #[test]
    fn a_full_report_is_a_table() {
        let lines = table_of(
            r#"{"graceshut":1,"host":{"language":"python"},"grace_us":10000000,"reason":{"kind":"signal","signal":"TERM"},
            "phases":[{"name":"announce","budget_us":2425000,"used_us":12,"hooks":[
                {"name":"x","outcome":"ok","late":true,"budget_us":2425000,"used_us":9,"message":null},
                {"name":"deregister","outcome":"failed","used_us":1500,"message":"no\u001b[31m route"}]}],
            "in_flight":{"at_drain_start":3,"at_drain_end":0},"outcome":"degraded","exit_code":1}"#,
        );
        assert_eq!(
            lines,
            [
                "python, reason TERM, grace 10 s, in flight 3 -> 0, degraded, code 1",
                "phase          budget    used",
                "announce      2.425 s   12 µs",
                "  x           2.425 s    9 µs  ok, late",
                "  deregister           1.5 ms  failed: no\u{fffd}[31m route",
            ]
        );
    }

    #[test]
    fn anything_may_be_missing_or_wrong() {
        assert_eq!(table_of(r#"{"graceshut":1}"#), [""]);
        for odd in [
            r#"{"graceshut":1,"phases":3,"host":[],"reason":"x","in_flight":null,"outcome":7}"#,
            r#"{"graceshut":1,"phases":[1,null,{"hooks":{}},{"hooks":[2,{}]}],"grace_us":-1,"exit_code":"1"}"#,
            r#"{"graceshut":1,"in_flight":{"at_drain_start":1},"budget_us":18446744073709551615}"#,
        ] {
            assert!(!table_of(odd).is_empty());
        }
    }

    #[test]
    fn what_is_no_report() {
        for text in ["", "{}", "[1]", "1", r#"{"graceshut":2}"#, r#"{"graceshut":"1"}"#, r#"{"graceshut":1"#] {
            assert!(as_report(text).is_none(), "{text}");
        }
    }

    #[test]
    fn values_of_the_variable_that_are_no_files() {
        for value in ["none", "stderr", "stderr:json", "fd:3"] {
            assert_eq!(path_of(&value.into()), None, "{value}");
        }
        assert_eq!(path_of(&"/x/y".into()), Some("/x/y".into()));
        assert_eq!(with_pid(Path::new("/x/%p.json"), 42), Path::new("/x/42.json"));
    }
}
