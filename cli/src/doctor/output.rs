//! Findings for people, for programs, and for code hosts (SARIF 2.1.0).

use super::finding::{Finding, Level, RULES};
use crate::terminal::Style;
use serde_json::{Value, json};
use std::fmt::Write;

/// A block for each: where, how bad, code, why, fix; then the count.
pub fn human(findings: &[Finding], style: Style) -> String {
    let mut out = String::new();
    for f in findings {
        let level = f.level();
        let colour = match level {
            Level::Error => "31",
            Level::Warning => "33",
            Level::Note => "36",
        };
        let place = if f.file.is_empty() { String::new() } else { format!("{}:{}: ", f.file, f.line) };
        let word = style.paint(colour, level.word());
        let _ = writeln!(out, "{place}{word} [{}] {}", f.code, f.why);
        let _ = writeln!(out, "    fix: {}", f.fix);
    }
    let count = |level: Level| findings.iter().filter(|f| f.level() == level).count();
    let counts: Vec<String> = [(Level::Error, "error"), (Level::Warning, "warning"), (Level::Note, "note")]
        .iter()
        .map(|(l, w)| (count(*l), w))
        .filter(|(n, _)| *n > 0)
        .map(|(n, w)| format!("{n} {w}{}", if n == 1 { "" } else { "s" }))
        .collect();
    let _ = writeln!(out, "{}", if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") });
    out
}

/// One object a finding.
pub fn list(findings: &[Finding]) -> Value {
    let one = |f: &Finding| {
        let file = (!f.file.is_empty()).then_some(&f.file);
        let line = (f.line > 0).then_some(f.line);
        json!({"code": f.code, "level": f.level().word(), "file": file, "line": line, "why": f.why, "fix": f.fix})
    };
    findings.iter().map(one).collect()
}

/// SARIF, as GitHub and others show beside the code.
pub fn sarif(findings: &[Finding]) -> String {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|r| {
            json!({
                "id": r.code, "shortDescription": {"text": r.what}, "defaultConfiguration": {"level": r.level.word()},
                "helpUri": format!("https://github.com/graceshut/graceshut/blob/main/docs/doctor.md#{}", r.code),
            })
        })
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|f| {
            let mut result = json!({
                "ruleId": f.code, "ruleIndex": RULES.iter().position(|r| r.code == f.code), "level": f.level().word(),
                "message": {"text": format!("{}\nfix: {}", f.why, f.fix)},
            });
            if !f.file.is_empty() {
                result["locations"] = json!([{"physicalLocation": {
                    "artifactLocation": {"uri": f.file.trim_start_matches("./")}, "region": {"startLine": f.line.max(1)}
                }}]);
            }
            result
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "graceshut doctor", "version": env!("CARGO_PKG_VERSION"),
            "informationUri": "https://github.com/graceshut/graceshut", "rules": rules}}, "results": results}],
    });
    format!("{log:#}\n")
}
