//! One shutdown in the terminal: a bar for each phase and hook, budget against used.

use super::model::Run;
use super::timeline::{Row, Timeline, Tone, remarks, summary, time, tone, used_of};
use crate::terminal::Style;
use std::fmt::Write;

const NARROWEST: usize = 16;
/// Longer notes (an error's own words) are no reason for shorter bars; they go beyond the edge.
const MOST_NOTE: usize = 16;

/// The SGR code of a tone.
pub fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "32",
        Tone::Uneasy => "33",
        Tone::Bad => "31",
        Tone::Quiet => "2",
    }
}

/// The timeline, with a line of summary above and remarks below.
pub fn page(run: &Run, style: Style, whole: bool) -> String {
    let report = &run.report;
    let timeline = Timeline::of(report, whole);
    let mut out = String::new();
    let outcome = style.paint(colour(tone(&report.outcome)), &report.outcome);
    let _ = writeln!(out, "{}  {outcome}, {}", style.paint("1", &run.label), summary(report));
    let width = |of: &dyn Fn(&Row) -> String| timeline.rows.iter().map(|r| of(r).chars().count()).max().unwrap_or(0);
    let (names, figures, outcomes) = (width(&label).max(8), width(&used_of), width(&|r| r.outcome.clone()));
    let notes = width(&|r| if r.is_hook { r.note.clone() } else { String::new() }).min(MOST_NOTE);
    let columns = style.width.saturating_sub(names + figures + outcomes + notes + 12).max(NARROWEST);
    let scale = axis(&timeline, columns);
    let _ = writeln!(out, "  {:names$}  {scale}", "");
    for row in &timeline.rows {
        let drawn = bar(&timeline, row, columns, style);
        let outcome = style.paint(colour(tone(&row.outcome)), &format!("{:<outcomes$}", row.outcome));
        let note = if row.is_hook { row.note.as_str() } else { "" };
        let line = format!("  {:<names$}  {drawn}  {:>figures$}  {outcome}  {note}", label(row), used_of(row));
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let (used, given) = if style.blocks { ('█', '░') } else { ('#', '.') };
    let cut = if timeline.zoomed { "; > the budget goes on beyond the axis" } else { "" };
    let _ = writeln!(out, "  {:names$}  {used} used, {given} budget left{cut}", "");
    for remark in remarks(report) {
        let _ = writeln!(out, "  note: {remark}");
    }
    out
}

fn label(row: &Row) -> String {
    if row.is_hook { format!("  {}", row.name) } else { row.name.clone() }
}

/// `0      ...      2.4 s`, as wide as the bars.
fn axis(timeline: &Timeline, columns: usize) -> String {
    let end = time(timeline.end);
    let gap = columns.saturating_sub(end.chars().count() + 1);
    format!("|0{}{end}|", " ".repeat(gap))
}

fn bar(timeline: &Timeline, row: &Row, columns: usize, style: Style) -> String {
    let (used, given) = if style.blocks { ('█', '░') } else { ('#', '.') };
    let Some(start) = row.start else { return format!("|{}|", " ".repeat(columns)) };
    let at = |us: u64| ((timeline.share(us) * columns as f64) as usize).min(columns);
    // Whatever ran is seen, however short.
    let first = at(start).min(columns - 1);
    let last = at(start + row.used).max(first + 1);
    let end = row.budget.map_or(last, |b| at(start.saturating_add(b)));
    let beyond = row.budget.is_some_and(|b| start.saturating_add(b) > timeline.end);
    let cell = |i: usize| match i {
        i if i < first => ' ',
        i if i < last => used,
        i if beyond && i + 1 == columns => '>',
        i if i < end => given,
        _ => ' ',
    };
    let text = |range: std::ops::Range<usize>| range.map(cell).collect::<String>();
    let middle = style.paint(colour(tone(&row.outcome)), &text(first..last));
    format!("|{}{middle}{}|", text(0..first), text(last..columns))
}
