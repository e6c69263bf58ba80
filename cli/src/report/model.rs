//! Reports as they are found: one in a file, one a line, inside a verdict of `graceshut verify --json`, or one for each service
//! in the file that `make demo` writes. What is none of these is refused with the next step.

use graceshut::Report;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The version of the report that is read here.
pub const VERSION: u64 = 1;
/// Beyond this a file is none of ours.
const LIMIT: u64 = 64 * 1024 * 1024;

/// One shutdown, and where it was found.
#[derive(Clone, Debug)]
pub struct Run {
    /// What tells it from the others.
    pub label: String,
    /// The file.
    pub file: String,
    /// The shutdown.
    pub report: Report,
    /// What `graceshut verify` found out, where the report came from there.
    pub verdict: Option<Value>,
}

/// Every report in the file; `-` is standard input.
///
/// # Errors
/// The file cannot be read, or what is in it is no report of this version.
pub fn load(path: &Path) -> Result<Vec<Run>, String> {
    let shown = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let text = read(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            format!("{shown}: there is no such file; a service writes its report where GRACESHUT_REPORT (or `report` in graceshut.toml) says, and only when it ends")
        }
        io::ErrorKind::PermissionDenied => format!("{shown}: no permission to read it; run as its owner, or copy it"),
        io::ErrorKind::InvalidData => format!("{shown} is not text; a report is a JSON object"),
        _ => format!("{shown}: {e}"),
    })?;
    parse(&shown, &text)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().lock().take(LIMIT).read_to_string(&mut text)?;
    } else {
        File::open(path)?.take(LIMIT).read_to_string(&mut text)?;
    }
    Ok(text)
}

/// The same for text that came from anywhere.
pub fn parse(shown: &str, text: &str) -> Result<Vec<Run>, String> {
    if text.trim().is_empty() {
        return Err(format!("{shown} is empty; a report is written when the shutdown is over, so wait for the process to end"));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => from_value(shown, &value),
        Err(whole) => by_line(shown, text).unwrap_or_else(|| Err(not_json(shown, text, &whole))),
    }
}

/// One report a line, as `stderr:json` and a log of several shutdowns have them; lines that are no object are a program's own.
fn by_line(shown: &str, text: &str) -> Option<Result<Vec<Run>, String>> {
    let objects: Vec<Value> = text
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l.trim()).ok())
        .filter(|v| v.get("graceshut").is_some())
        .collect();
    if objects.is_empty() {
        return None;
    }
    Some(objects.iter().try_fold(Vec::new(), |mut runs, value| {
        runs.extend(from_value(shown, value)?);
        Ok(runs)
    }))
}

fn not_json(shown: &str, text: &str, e: &serde_json::Error) -> String {
    let begins = text.trim_start().starts_with(['{', '[']);
    if begins && e.is_eof() {
        return format!(
            "{shown} is truncated: it ends in the middle, at line {}, column {}; a report to a file appears whole, so this is a cut copy \
             or a log that was rotated: get the file again",
            e.line(),
            e.column()
        );
    }
    if begins {
        return format!(
            "{shown} is not valid JSON (line {}, column {}: {e}); a report is one JSON object",
            e.line(),
            e.column()
        );
    }
    format!(
        "{shown} holds no report; a report is a JSON object that begins with {{\"graceshut\":1, as GRACESHUT_REPORT=FILE writes it"
    )
}

fn from_value(shown: &str, value: &Value) -> Result<Vec<Run>, String> {
    if let Some(services) = value.get("services").and_then(Value::as_object) {
        return services.iter().try_fold(Vec::new(), |mut runs, (name, verdict)| {
            runs.push(Run { label: name.clone(), ..from_verdict(&format!("{shown}, service {name}"), verdict)? });
            Ok(runs)
        });
    }
    if let Some(list) = value.as_array() {
        return list.iter().try_fold(Vec::new(), |mut runs, one| {
            runs.extend(from_value(shown, one)?);
            Ok(runs)
        });
    }
    if let Some(list) = value.get("runs").and_then(Value::as_array) {
        return list.iter().try_fold(Vec::new(), |mut runs, one| {
            let label = one.get("label").and_then(Value::as_str).unwrap_or_default().to_owned();
            runs.extend(
                from_value(shown, one.get("report").unwrap_or(one))?.into_iter().map(|r| Run { label: label.clone(), ..r }),
            );
            Ok(runs)
        });
    }
    if value.get("graceshut").is_none() && value.get("passed").is_some() {
        return Ok(vec![from_verdict(shown, value)?]);
    }
    Ok(vec![one(shown, value)?])
}

fn from_verdict(shown: &str, verdict: &Value) -> Result<Run, String> {
    match verdict.get("report") {
        Some(report) if !report.is_null() => Ok(Run { verdict: Some(verdict.clone()), ..one(shown, report)? }),
        _ => Err(format!(
            "{shown} is a verdict of `graceshut verify` without a report inside: the service has no graceshut in it, or left no report"
        )),
    }
}

fn one(shown: &str, value: &Value) -> Result<Run, String> {
    match value.get("graceshut").map(Value::as_u64) {
        Some(Some(VERSION)) => {}
        Some(Some(n)) if n > VERSION => {
            return Err(format!(
                "{shown} was written by a newer graceshut: it is a report of version {n}, and this command reads version {VERSION}; \
                 use the graceshut command that came with the service's library, or a newer one"
            ));
        }
        _ => {
            return Err(format!(
                "{shown} is JSON, but no report: a report has \"graceshut\": {VERSION}; is this the file that GRACESHUT_REPORT names?"
            ));
        }
    }
    let report: Report = serde_json::from_value(value.clone()).map_err(|e| {
        format!("{shown} is a report with something wrong in it ({e}); docs/report.schema.json says what belongs there")
    })?;
    Ok(Run { label: report.host.language.clone(), file: shown.to_owned(), report, verdict: None })
}
