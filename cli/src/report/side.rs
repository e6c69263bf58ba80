//! Several shutdowns side by side: phases and hooks as rows, reports as columns.

use super::model::Run;
use super::text::colour;
use super::timeline::{Tone, time, tone};
use crate::terminal::Style;
use graceshut::report::PhaseInfo;
use serde_json::Value;
use std::fmt::Write;

/// What stands in one field.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// How it is painted.
    pub tone: Option<Tone>,
}

/// One line: what it is about, and a cell for each report.
#[derive(Clone, Debug)]
pub struct Line {
    /// A phase, a hook (indented) or a fact.
    pub label: String,
    /// One for each report.
    pub cells: Vec<Cell>,
}

fn plain(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), tone: None }
}

fn toned(text: impl Into<String>, outcome: &str) -> Cell {
    Cell { text: text.into(), tone: Some(tone(outcome)) }
}

/// All lines, the one with the labels first.
pub fn table(runs: &[Run]) -> Vec<Line> {
    let line =
        |label: &str, cell: &dyn Fn(&Run) -> Cell| Line { label: label.to_owned(), cells: runs.iter().map(cell).collect() };
    let mut lines = vec![line("phase / hook", &|r| plain(&r.label))];
    for name in names(runs.iter().map(|r| r.report.phases.iter().map(|p| p.name.clone()).collect())) {
        lines.push(line(&name, &|r| phase(r, &name).map_or(plain("-"), phase_cell)));
        let hooks = |r: &Run| phase(r, &name).map_or(Vec::new(), numbered);
        for hook in names(runs.iter().map(|r| hooks(r).into_iter().map(|(n, _)| n).collect())) {
            let found = |r: &Run| hooks(r).into_iter().find(|(n, _)| *n == hook).map_or(plain("-"), |(_, cell)| cell);
            lines.push(line(&format!("  {hook}"), &found));
        }
    }
    lines.push(line("outcome", &|r| toned(&r.report.outcome, &r.report.outcome)));
    lines.push(line("exit", &|r| plain(super::timeline::exit(&r.report))));
    lines.push(line("trigger to last phase's end", &|r| plain(time(r.report.used_us))));
    let facts = [
        ("requests answered", "/requests/answered"),
        ("answered 503", "/requests/refused_503"),
        ("requests lost", "/requests/lost"),
        ("signal to exit", "/timing_us/exit"),
    ];
    for (label, pointer) in facts {
        let fact = |r: &Run| r.verdict.as_ref().and_then(|v| v.pointer(pointer)).and_then(Value::as_u64);
        if runs.iter().any(|r| fact(r).is_some()) {
            let shown = |n: u64| if pointer.starts_with("/timing") { time(n) } else { n.to_string() };
            lines.push(line(label, &|r| plain(fact(r).map_or("-".to_owned(), shown))));
        }
    }
    lines
}

/// Every name once, in the order of the first report that has it.
fn names(lists: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for list in lists {
        let mut place = 0;
        for name in list {
            match all.iter().position(|n| *n == name) {
                Some(i) => place = i + 1,
                None => {
                    all.insert(place, name);
                    place += 1;
                }
            }
        }
    }
    all
}

fn phase<'a>(run: &'a Run, name: &str) -> Option<&'a PhaseInfo> {
    run.report.phases.iter().find(|p| p.name == name)
}

fn phase_cell(phase: &PhaseInfo) -> Cell {
    if phase.state != "ran" {
        return toned(&phase.state, "skipped");
    }
    plain(phase.budget_us.map_or_else(|| time(phase.used_us), |b| format!("{} of {}", time(phase.used_us), time(b))))
}

/// The hooks of a phase; names need not be unique, so the second one of a name is `name #2`.
fn numbered(phase: &PhaseInfo) -> Vec<(String, Cell)> {
    let name = |i: usize| {
        let own = &phase.hooks[i].name;
        let before = phase.hooks[..i].iter().filter(|h| h.name == *own).count();
        if before == 0 { own.clone() } else { format!("{own} #{}", before + 1) }
    };
    let cell = |h: &graceshut::report::HookInfo| toned(format!("{} {}", h.outcome, time(h.used_us)), &h.outcome);
    phase.hooks.iter().enumerate().map(|(i, h)| (crate::verify::plain(&name(i), 60), cell(h))).collect()
}

/// The table as text; columns that do not fit into the width go into a table below.
pub fn text(runs: &[Run], style: Style) -> String {
    let lines = table(runs);
    let label = lines.iter().map(|l| l.label.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..runs.len()).map(|c| lines.iter().map(|l| l.cells[c].text.chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    let mut from = 0;
    while from < widths.len() {
        let mut room = style.width.saturating_sub(label);
        let mut to = from;
        while to < widths.len() && (to == from || room >= widths[to] + 2) {
            room = room.saturating_sub(widths[to] + 2);
            to += 1;
        }
        if from > 0 {
            out.push('\n');
        }
        for line in &lines {
            let mut row = format!("{:<label$}", line.label);
            for (cell, width) in line.cells[from..to].iter().zip(&widths[from..to]) {
                let padded = format!("{:>width$}", cell.text);
                let _ = write!(row, "  {}", cell.tone.map_or(padded.clone(), |t| style.paint(colour(t), &padded)));
            }
            out.push_str(row.trim_end());
            out.push('\n');
        }
        from = to;
    }
    out
}
