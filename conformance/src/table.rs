//! What is printed and written.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::act::Form;
use crate::languages::Language;
use crate::run::{Cell, Verdict};
use crate::scenario::Scenario;

/// A row's name: the scenario, and the form where there are several.
#[must_use]
pub fn row_name(scenario: &Scenario, form: Form) -> String {
    match form {
        Form::Async if scenario.forms.len() > 1 => format!("{}/async", scenario.name),
        _ => scenario.name.clone(),
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "ok",
        Verdict::Failed(_) => "FAILED",
        Verdict::Skipped(_) => "-",
    }
}

/// Scenario by language; `ok`, `FAILED`, or `-` where a language has no such thing.
#[must_use]
pub fn text(cells: &[Cell], scenarios: &[Scenario], languages: &[Language]) -> String {
    let names: Vec<String> = rows(cells, languages.len()).map(|r| row_name(&scenarios[r[0].scenario], r[0].form)).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut out = format!("{:width$}", "");
    languages.iter().for_each(|l| _ = write!(out, "  {:6}", l.name));
    out.push('\n');
    for (name, row) in names.iter().zip(rows(cells, languages.len())) {
        _ = write!(out, "{name:width$}");
        row.iter().for_each(|c| _ = write!(out, "  {:6}", word(&c.verdict)));
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

fn rows(cells: &[Cell], languages: usize) -> impl Iterator<Item = &[Cell]> {
    cells.chunks(languages.max(1))
}

/// What failed on time alone, and was played once more, alone.
#[must_use]
pub fn repeated(cells: &[Cell], scenarios: &[Scenario], languages: &[Language]) -> String {
    let mut out = String::new();
    for cell in cells.iter().filter(|c| !c.first.is_empty()) {
        let name = row_name(&scenarios[cell.scenario], cell.form);
        _ = writeln!(
            out,
            "\nrepeated alone: {name} in {}, which is then {}; at first:",
            languages[cell.language].name,
            word(&cell.verdict)
        );
        cell.first.iter().for_each(|p| _ = writeln!(out, "  {p}"));
    }
    out
}

/// What went wrong, run by run.
#[must_use]
pub fn failures(cells: &[Cell], scenarios: &[Scenario], languages: &[Language]) -> String {
    let mut out = String::new();
    for cell in cells {
        let Verdict::Failed(problems) = &cell.verdict else { continue };
        let name = row_name(&scenarios[cell.scenario], cell.form);
        _ = writeln!(out, "\n{name} in {} ({:.1?}):", languages[cell.language].name, cell.took);
        problems.iter().for_each(|p| _ = writeln!(out, "  {p}"));
    }
    out
}

/// Passed, failed, skipped.
#[must_use]
pub fn counts(cells: &[Cell]) -> (usize, usize, usize) {
    let of = |f: fn(&Verdict) -> bool| cells.iter().filter(|c| f(&c.verdict)).count();
    (of(|v| *v == Verdict::Passed), of(|v| matches!(v, Verdict::Failed(_))), of(|v| matches!(v, Verdict::Skipped(_))))
}

/// `target/conformance.json`.
#[must_use]
pub fn json(cells: &[Cell], scenarios: &[Scenario], languages: &[Language], missing: &[(String, String)]) -> Value {
    let (passed, failed, skipped) = counts(cells);
    let runs: Vec<Value> = cells
        .iter()
        .map(|c| {
            let scenario = &scenarios[c.scenario];
            let (result, words) = match &c.verdict {
                Verdict::Passed => ("passed", Vec::new()),
                Verdict::Failed(problems) => ("failed", problems.clone()),
                Verdict::Skipped(why) => ("skipped", vec![why.clone()]),
            };
            json!({
                "scenario": scenario.name, "form": c.form, "language": languages[c.language].name, "rules": scenario.rules,
                "result": result, "words": words, "took_ms": c.took.as_millis() as u64, "repeated_because": c.first,
            })
        })
        .collect();
    let missing: Vec<Value> = missing.iter().map(|(l, why)| json!({ "language": l, "why": why })).collect();
    json!({
        "conformance": 1, "passed": passed, "failed": failed, "skipped": skipped,
        "scenarios": scenarios.len(), "languages": languages.iter().map(|l| &l.name).collect::<Vec<_>>(),
        "missing": missing, "runs": runs,
    })
}

/// The table of the root README: rules by language, from a run.
#[must_use]
pub fn parity(cells: &[Cell], scenarios: &[Scenario], languages: &[Language]) -> String {
    let mut out = String::from("| scenario | rules |");
    languages.iter().for_each(|l| _ = write!(out, " {} |", l.name));
    out.push_str("\n|---|---|");
    languages.iter().for_each(|_| out.push_str("---|"));
    out.push('\n');
    for row in rows(cells, languages.len()) {
        let scenario = &scenarios[row[0].scenario];
        _ = write!(out, "| {} | {} |", row_name(scenario, row[0].form), scenario.rules.join(", "));
        row.iter().for_each(|c| _ = write!(out, " {} |", word(&c.verdict)));
        out.push('\n');
    }
    out
}
