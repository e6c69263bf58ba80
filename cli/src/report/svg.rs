//! The timelines as one picture, one panel below the other on one axis; light or dark as the viewer prefers.

use super::html::{class, escape};
use super::model::Run;
use super::timeline::{Row, Timeline, summary, time, tone, used_of};
use std::fmt::Write;

const WIDTH: usize = 960;
const LEFT: usize = 170;
const RIGHT: usize = 270;
const ROW: usize = 20;
const HEAD: usize = 56;

const STYLE: &str = "
    .back { fill: #ffffff } text { fill: #1b1f24; font: 13px system-ui, sans-serif } .soft { fill: #5b6570 } .title { font-weight: 600 }
    .good { fill: #1a7f4b } .uneasy { fill: #9a6700 } .bad { fill: #c4252d } .quiet { fill: #6e7781 } .given { fill: #dfe4ea }
    @media (prefers-color-scheme: dark) {
      .back { fill: #12161c } text { fill: #e4e8ee } .soft { fill: #9aa5b1 }
      .good { fill: #3fb977 } .uneasy { fill: #d9a13a } .bad { fill: #ff7b72 } .quiet { fill: #8b949e } .given { fill: #323b46 }
    }
";

/// The picture.
pub fn picture(runs: &[Run], whole: bool) -> String {
    let mut timelines: Vec<Timeline> = runs.iter().map(|r| Timeline::of(&r.report, whole)).collect();
    let end = timelines.iter().map(|t| t.end).max().unwrap_or(1);
    timelines.iter_mut().for_each(|t| t.end = end);
    let height: usize = timelines.iter().map(|t| HEAD + t.rows.len() * ROW).sum::<usize>() + 16;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"timeline of a shutdown\">\n<style>{STYLE}</style>\n<rect class=\"back\" width=\"100%\" height=\"100%\"/>\n"
    );
    let mut y = 0;
    for (run, timeline) in runs.iter().zip(&timelines) {
        panel(run, timeline, y, &mut out);
        y += HEAD + timeline.rows.len() * ROW;
    }
    out.push_str("</svg>\n");
    out
}

fn panel(run: &Run, timeline: &Timeline, y: usize, out: &mut String) {
    let outcome = &run.report.outcome;
    let _ = write!(
        out,
        "<text class=\"title\" x=\"12\" y=\"{}\">{} <tspan class=\"{}\">{}</tspan></text>\n\
         <text class=\"soft\" x=\"12\" y=\"{}\">{}</text>\n<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
        y + 22,
        escape(&run.label),
        class(tone(outcome)),
        escape(outcome),
        y + 40,
        escape(&summary(&run.report)),
        WIDTH - RIGHT,
        y + 22,
        time(timeline.end)
    );
    for (i, row) in timeline.rows.iter().enumerate() {
        bar(timeline, row, y + HEAD + i * ROW, out);
    }
}

fn bar(timeline: &Timeline, row: &Row, y: usize, out: &mut String) {
    let (title, inset) = if row.is_hook { ("", 28) } else { (" class=\"title\"", 12) };
    let _ = writeln!(out, "<text{title} x=\"{inset}\" y=\"{}\">{}</text>", y + 10, escape(&row.name));
    let x = |us: u64| LEFT as f64 + timeline.share(us) * (WIDTH - LEFT - RIGHT) as f64;
    if let Some(start) = row.start {
        let left = x(start);
        if let Some(budget) = row.budget {
            let width = x(start.saturating_add(budget)) - left;
            let _ =
                writeln!(out, "<rect class=\"given\" x=\"{left:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"13\" rx=\"2\"/>");
        }
        let width = (x(start + row.used) - left).max(2.0);
        let tone = class(tone(&row.outcome));
        let _ = writeln!(
            out,
            "<rect class=\"{tone}\" x=\"{left:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"9\" rx=\"2\"/>",
            y + 2
        );
    }
    let outcome = if row.is_hook { format!("{} ", row.outcome.replace('_', " ")) } else { String::new() };
    let _ = writeln!(
        out,
        "<text class=\"soft\" x=\"{}\" y=\"{}\">{}</text>",
        WIDTH - RIGHT + 10,
        y + 10,
        escape(&format!("{outcome}{}", used_of(row)))
    );
}
