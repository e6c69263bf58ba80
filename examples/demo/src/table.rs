//! The timelines side by side, and what differs between them.

use std::fmt::Write;

use serde_json::Value;

use crate::run::LanguageResult;

/// How a cell is read.
type Fact = fn(&LanguageResult) -> String;

/// One line of the table: what it is about, and a cell for each language.
struct Row {
    label: String,
    cells: Vec<String>,
}

fn ms(us: &Value) -> String {
    us.as_f64().map_or_else(|| "-".to_owned(), |us| format!("{:.1}ms", us / 1000.0))
}

fn phases(r: &LanguageResult) -> Vec<Value> {
    r.verdict["report"]["phases"].as_array().cloned().unwrap_or_default()
}

fn hooks(phase: &Value) -> Vec<Value> {
    phase["hooks"].as_array().cloned().unwrap_or_default()
}

fn name(v: &Value) -> String {
    v["name"].as_str().unwrap_or("?").to_owned()
}

fn exit(r: &LanguageResult) -> String {
    let exit = &r.verdict["exit"];
    exit["signal_name"].as_str().map_or_else(|| exit["code"].to_string(), |s| format!("by {s}"))
}

/// Phases and hooks as rows, languages as columns.
pub fn side_by_side(results: &[LanguageResult]) -> String {
    let Some(first) = results.first() else { return String::new() };
    let mut rows = vec![Row { label: "phase / hook".to_owned(), cells: results.iter().map(|r| r.language.clone()).collect() }];
    for phase in phases(first) {
        let same = |r: &LanguageResult| phases(r).into_iter().find(|p| name(p) == name(&phase)).unwrap_or_default();
        let cells = results.iter().map(|r| format!("{} of {}", ms(&same(r)["used_us"]), ms(&same(r)["budget_us"]))).collect();
        rows.push(Row { label: name(&phase), cells });
        for hook in hooks(&phase) {
            let cell = |r: &LanguageResult| {
                let found = hooks(&same(r)).into_iter().find(|h| name(h) == name(&hook));
                found.map_or_else(
                    || "missing".to_owned(),
                    |h| format!("{} {}", h["outcome"].as_str().unwrap_or("?"), ms(&h["used_us"])),
                )
            };
            rows.push(Row { label: format!("  {}", name(&hook)), cells: results.iter().map(cell).collect() });
        }
    }
    let facts: [(&str, Fact); 6] = [
        ("outcome", |r| r.verdict["report"]["outcome"].as_str().unwrap_or("?").to_owned()),
        ("exit status", exit),
        ("requests answered", |r| r.verdict["requests"]["answered"].to_string()),
        ("answered 503", |r| r.verdict["requests"]["refused_503"].to_string()),
        ("requests lost", |r| r.verdict["requests"]["lost"].to_string()),
        ("signal to exit", |r| ms(&r.verdict["timing_us"]["exit"])),
    ];
    for (label, fact) in facts {
        rows.push(Row { label: label.to_owned(), cells: results.iter().map(fact).collect() });
    }
    layout(&rows)
}

fn layout(rows: &[Row]) -> String {
    let columns = rows.first().map_or(0, |r| r.cells.len());
    let label_width = rows.iter().map(|r| r.label.len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(|c| rows.iter().map(|r| r.cells[c].len()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let _ = write!(out, "{:<label_width$}", row.label);
        for (cell, width) in row.cells.iter().zip(&widths) {
            let _ = write!(out, "  {cell:>width$}");
        }
        out.push('\n');
    }
    out
}

/// What must be identical: phase order, hooks, outcomes, exit status.
fn shape(r: &LanguageResult) -> Vec<String> {
    let mut shape = Vec::new();
    for phase in phases(r) {
        shape.push(format!("phase {} {}", name(&phase), phase["state"]));
        let mut list: Vec<String> = hooks(&phase).iter().map(|h| format!("hook {} {}", name(h), h["outcome"])).collect();
        list.sort();
        shape.append(&mut list);
    }
    shape.push(format!("outcome {}", r.verdict["report"]["outcome"]));
    shape.push(format!("exit {}", exit(r)));
    shape
}

/// Says how each language differs from the first one.
pub fn differences(results: &[LanguageResult]) -> Vec<String> {
    let Some(first) = results.first() else { return vec!["no service was run".to_owned()] };
    let expected = shape(first);
    let mut found = Vec::new();
    for r in results {
        if phases(r).is_empty() {
            found.push(format!("{}: the service wrote no report", r.language));
        }
        for (a, b) in expected.iter().zip(shape(r)).filter(|(a, b)| *a != b) {
            found.push(format!("{} says {b}, {} says {a}", r.language, first.language));
        }
        if expected.len() != shape(r).len() {
            found.push(format!("{} and {} do not have the same phases and hooks", r.language, first.language));
        }
    }
    found
}
