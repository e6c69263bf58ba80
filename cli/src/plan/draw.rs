//! The plan as a page of text.

use super::Planned;
use crate::terminal::Style;
use graceshut::{Order, PreviewRow, format_duration};
use std::fmt::Write;
use std::time::Duration;

/// The drawing is never narrower.
const NARROWEST: usize = 20;

/// Schedule, drawing, and where each value came from.
pub fn page(planned: &Planned, style: Style) -> String {
    let (plan, config) = (&planned.schedule, &planned.config);
    let d = format_duration;
    let mut out = String::new();
    let title = style.paint("1", "graceshut plan");
    let _ = writeln!(out, "{title}  grace {} ({})", d(plan.grace), config.grace.origin);
    let spent = config.already_spent.value;
    if !spent.is_zero() {
        let _ = writeln!(out, "  already spent when the signal comes: {} ({})", d(spent), config.already_spent.origin);
    }
    let _ = writeln!(
        out,
        "  budget {}: all phases are over by then; margin {}: kept for the report\n",
        d(plan.budget),
        d(plan.margin)
    );
    schedule(planned, style, &mut out);
    let _ = writeln!(out, "\n{}", style.paint("1", "effective configuration"));
    for line in config.to_string().lines() {
        let _ = writeln!(out, "  {line}");
    }
    out
}

fn schedule(planned: &Planned, style: Style, out: &mut String) {
    let plan = &planned.schedule;
    let mut rows = vec![["phase", "order", "hooks", "reserve", "alone", "worst", "over by"].map(str::to_owned)];
    for (r, declared) in plan.rows.iter().zip(&planned.declared) {
        rows.push(cells(r, *declared));
    }
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let text = |r: &[String; 7]| {
        let mut line = format!("  {:<a$}  {:<b$}", r[0], r[1], a = widths[0], b = widths[1]);
        for (cell, w) in r.iter().zip(&widths).skip(2) {
            let _ = write!(line, "  {cell:>w$}");
        }
        line
    };
    let whole = plan.budget + plan.margin;
    let columns = style.width.saturating_sub(text(&rows[0]).chars().count() + 4).max(NARROWEST);
    let scale = Scale { whole, columns };
    let _ = writeln!(out, "{}", text(&rows[0]));
    for (row, r) in rows[1..].iter().zip(&plan.rows) {
        let _ = writeln!(out, "{}  |{}|", text(row), bar(&scale, r, style));
    }
    let end = format!("  {:<w$}", "report, exit", w = text(&rows[0]).chars().count() - 2);
    let margin = " ".repeat(scale.at(plan.budget)) + &"m".repeat(columns - scale.at(plan.budget));
    let _ = writeln!(out, "{end}  |{margin}| KILL at {}", format_duration(whole));
}

fn cells(r: &PreviewRow, declared: usize) -> [String; 7] {
    let d = format_duration;
    let order = if r.order == Order::Serial { "serial" } else { "concurrent" };
    let hooks = if r.hooks > declared { "assumed".to_owned() } else { declared.to_string() };
    let reserve = if r.reserve.is_zero() { "-".to_owned() } else { d(r.reserve) };
    [r.phase.clone(), order.to_owned(), hooks, reserve, d(r.best), d(r.worst), d(r.over_by)]
}

/// Time to columns.
struct Scale {
    whole: Duration,
    columns: usize,
}

impl Scale {
    fn at(&self, t: Duration) -> usize {
        let share = t.as_secs_f64() / self.whole.as_secs_f64().max(1e-9);
        ((share * self.columns as f64).round() as usize).min(self.columns)
    }
}

fn bar(scale: &Scale, r: &PreviewRow, style: Style) -> String {
    let (early, open, reserved) = if style.blocks { ('·', '▒', '█') } else { ('.', '=', '#') };
    let start = scale.at(r.over_by - r.worst);
    let end = scale.at(r.over_by).max(start + usize::from(!r.worst.is_zero())).min(scale.columns);
    let promised = scale.at(r.over_by.saturating_sub(r.reserve)).clamp(start, end);
    let cell = |i: usize| match i {
        i if i < start => early,
        i if i < promised => open,
        i if i < end => reserved,
        _ => ' ',
    };
    (0..scale.columns).map(cell).collect()
}
