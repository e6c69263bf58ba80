//! One self-contained page: no script, nothing from the network (its own policy forbids it), light and dark, readable on a phone.

use super::model::Run;
use super::side;
use super::slack::Slack;
use super::timeline::{Row, Timeline, Tone, remarks, summary, time, tone, used_of};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(runs: &[Run], slacks: &[Slack], whole: bool) -> String {
    let mut out = String::new();
    let title = match runs {
        [run] => format!("Shutdown of {} at {}", run.label, super::timeline::clock(run.report.triggered_at_us)),
        _ => format!("{} shutdowns", runs.len()),
    };
    let title = escape(&title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    legend(&mut out);
    slack_part(slacks, &mut out);
    for run in runs {
        section(run, whole, &mut out);
    }
    if runs.len() > 1 {
        table(runs, &mut out);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn legend(out: &mut String) {
    out.push_str(
        "<p class=\"legend\"><span class=\"key good\"></span> ended well <span class=\"key uneasy\"></span> cancelled, not started \
         <span class=\"key bad\"></span> failed, abandoned, killed <span class=\"key given\"></span> budget left</p>\n",
    );
}

fn section(run: &Run, whole: bool, out: &mut String) {
    let report = &run.report;
    let timeline = Timeline::of(report, whole);
    let _ = write!(
        out,
        "<section>\n<h2>{} <span class=\"badge {}\">{}</span></h2>\n<p class=\"summary\">{}</p>\n\
         <div class=\"axis\"><span>0</span><span>{}{}</span></div>\n<div class=\"rows\">\n",
        escape(&run.label),
        class(tone(&report.outcome)),
        escape(&report.outcome),
        escape(&summary(report)),
        time(timeline.end),
        if timeline.zoomed { " (the budget goes on)" } else { "" }
    );
    for row in &timeline.rows {
        bar(&timeline, row, out);
    }
    out.push_str("</div>\n");
    let notes = remarks(report);
    if !notes.is_empty() {
        out.push_str("<ul class=\"notes\">\n");
        for note in notes {
            let _ = writeln!(out, "<li>{}</li>", escape(&note));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</section>\n");
}

fn bar(timeline: &Timeline, row: &Row, out: &mut String) {
    let kind = if row.is_hook { "hook" } else { "phase" };
    let mut bars = String::new();
    if let Some(start) = row.start {
        let left = timeline.share(start) * 100.0;
        let width = |us: u64| (timeline.share(start.saturating_add(us)) * 100.0 - left).max(0.0);
        if let Some(budget) = row.budget {
            let _ = write!(bars, "<i class=\"given\" style=\"left:{left:.3}%;width:{:.3}%\"></i>", width(budget));
        }
        let tone = class(tone(&row.outcome));
        let _ = write!(bars, "<i class=\"used {tone}\" style=\"left:{left:.3}%;width:{:.3}%\"></i>", width(row.used));
    }
    let note = if row.note.is_empty() { String::new() } else { format!(" <span class=\"note\">{}</span>", note_text(row)) };
    let outcome = if row.is_hook || row.outcome != "ok" {
        format!("<b class=\"{}\">{}</b> ", class(tone(&row.outcome)), escape(&row.outcome.replace('_', " ")))
    } else {
        String::new()
    };
    let _ = writeln!(
        out,
        "<div class=\"row {kind}\"><span class=\"name\">{}</span><span class=\"bar\">{bars}</span>\
         <span class=\"figure\">{outcome}{}{note}</span></div>",
        escape(&row.name),
        together(&escape(&used_of(row)))
    );
}

/// What stands behind a phase is a time; behind a hook it is text, others' too.
fn note_text(row: &Row) -> String {
    if row.is_hook { escape(&row.note) } else { together(&escape(&row.note)) }
}

fn table(runs: &[Run], out: &mut String) {
    out.push_str("<section>\n<h2>Side by side</h2>\n<div class=\"wide\">\n<table>\n");
    for (i, line) in side::table(runs).iter().enumerate() {
        let (cell, scope) = if i == 0 { ("th", "col") } else { ("td", "row") };
        let depth = if line.label.starts_with("  ") { " class=\"hook\"" } else { "" };
        let _ = write!(out, "<tr{depth}><th scope=\"{scope}\">{}</th>", escape(line.label.trim_start()));
        for c in &line.cells {
            let tone = c.tone.map_or(String::new(), |t| format!(" class=\"{}\"", class(t)));
            let _ = write!(out, "<{cell}{tone}>{}</{cell}>", escape(&c.text));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n</div>\n</section>\n");
}

fn slack_part(slacks: &[Slack], out: &mut String) {
    if slacks.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Slack per reserve</h2>\n");
    for warning in slacks.iter().filter_map(|s| s.warning.as_ref()) {
        let _ = writeln!(out, "<p class=\"warning\">{}</p>", escape(warning));
    }
    out.push_str("<div class=\"rows\">\n");
    for s in slacks {
        let share = |us: u64| us as f64 * 100.0 / (s.reserve.max(s.used[2]).max(1)) as f64;
        let tone = if s.warning.is_some() { "uneasy" } else { "good" };
        let _ = writeln!(
            out,
            "<div class=\"row phase\"><span class=\"name\">{} {}</span><span class=\"bar\">\
             <i class=\"given\" style=\"left:0;width:{:.3}%\"></i><i class=\"used {tone}\" style=\"left:0;width:{:.3}%\"></i></span>\
             <span class=\"figure\">most {} of {} <span class=\"note\">{} runs, median {}</span></span></div>",
            escape(&s.language),
            escape(&s.phase),
            share(s.reserve),
            share(s.used[2]),
            time(s.used[2]),
            time(s.reserve),
            s.runs,
            time(s.used[1])
        );
    }
    out.push_str("</div>\n</section>\n");
}

/// A number stays with its unit when the line breaks.
fn together(text: &str) -> String {
    [" µs", " ms", " s", " min"]
        .iter()
        .fold(text.to_owned(), |t, unit| t.replace(unit, &format!("\u{a0}{}", unit.trim_start())))
}

/// The class of a tone, in the page and in the picture.
pub fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Uneasy => "uneasy",
        Tone::Bad => "bad",
        Tone::Quiet => "quiet",
    }
}

/// Text as HTML and XML take it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
