//! `graceshut report`: what a shutdown did with its time, as text, JSON, SVG or a page of HTML; live while it happens.

mod follow;
mod html;
mod model;
mod side;
mod slack;
mod svg;
mod text;
mod timeline;

pub use html::escape;

use crate::terminal::{PLAIN, Style};
use model::Run;
use serde_json::json;
use slack::Slack;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Draw what a shutdown did with its time; several side by side; live while it happens.
#[derive(clap::Args, Clone, Debug)]
#[command(
    long_about = "Draw what a shutdown did with its time; several side by side; live while it happens.\n\n\
        FILE is what a service with graceshut in it left behind (GRACESHUT_REPORT=FILE, or `report` in graceshut.toml), a log with \
        one report a line, the --json file of `graceshut verify`, or the file that `make demo` writes. `-` is standard input.\n\n\
        One report is drawn as a timeline: a bar for each phase and hook, what it used and what it was given. Where little of \
        the budget was used the axis shows only that part; --whole shows the whole budget.\n\n\
        Several reports come as a table, one column each. Then, for each phase that is promised time (a reserve), how much of it \
        was really used over all runs: a phase that took more than 80 % of its reserve, or is on its way there, gets a warning, \
        because the day an earlier phase uses its time up the reserve is all there is.",
    after_long_help = "Exit status:\n  \
          0  drawn\n  \
          1  with --check: a shutdown was not clean, or a phase is about to outgrow its reserve\n  \
          2  a file cannot be read, is no report, or is one of a newer version\n\n\
        Examples:\n  \
          graceshut report report.json\n  \
          graceshut report target/demo/report.json                (every language, side by side)\n  \
          graceshut report --by time --each reports/*.json\n  \
          graceshut report --html reports/*.json > shutdowns.html\n  \
          graceshut report --follow unix:/run/app/admin.sock report.json\n  \
          graceshut report --follow 127.0.0.1:9901"
)]
pub struct Args {
    /// Reports, or files with reports in them
    #[arg(value_name = "FILE", required_unless_present = "follow")]
    pub files: Vec<PathBuf>,

    /// Show the shutdown live: the admin endpoint of a service (host:port, http://host:port or unix:/path), or a report file
    /// that is still to come
    ///
    /// Ends when the process is gone; a FILE named besides is then drawn. Asks ten times a second.
    #[arg(long, value_name = "WHERE")]
    pub follow: Option<String>,

    /// Print one JSON object: the reports, slack, warnings
    #[arg(long, conflicts_with_all = ["svg", "html", "follow"])]
    pub json: bool,

    /// Print an SVG picture
    #[arg(long, conflicts_with_all = ["html", "follow"])]
    pub svg: bool,

    /// Print one self-contained page of HTML
    #[arg(long, conflicts_with = "follow")]
    pub html: bool,

    /// Write to FILE instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Order and label of several reports; by default as they come
    #[arg(long, value_name = "WHAT", value_enum)]
    pub by: Option<By>,

    /// Of several reports, draw each timeline as well
    #[arg(long)]
    pub each: bool,

    /// Keep the whole budget on the axis
    #[arg(long)]
    pub whole: bool,

    /// Exit with 1 when a shutdown was not clean or a phase is about to outgrow its reserve
    #[arg(long)]
    pub check: bool,
}

/// What several reports are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// The language of the service.
    Language,
    /// When it was stopped.
    Time,
}

/// Draws: 0, 1 where --check found something, 2 for what is no report.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.follow {
        Some(target) => follow::run(target, &args.files, |files| show(args, files)),
        None => show(args, &args.files),
    };
    match done {
        Ok(good) if good || !args.check => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(message) => {
            let _ = writeln!(io::stderr(), "graceshut report: {message}");
            ExitCode::from(2)
        }
    }
}

/// Prints or writes what was asked for; true when all is well.
fn show(args: &Args, files: &[PathBuf]) -> Result<bool, String> {
    let mut runs = Vec::new();
    for file in files {
        runs.extend(model::load(file)?);
    }
    if runs.is_empty() {
        return Err("the files hold no report".to_owned());
    }
    arrange(&mut runs, args.by);
    let slacks = slack::over(&runs);
    let style = if args.output.is_some() { PLAIN } else { Style::of_stdout() };
    let text = if args.json {
        as_json(&runs, &slacks)
    } else if args.svg {
        svg::picture(&runs, args.whole)
    } else if args.html {
        html::page(&runs, &slacks, args.whole)
    } else {
        as_text(args, &runs, &slacks, style)
    };
    match &args.output {
        Some(path) => fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?,
        None => {
            let _ = io::stdout().write_all(text.as_bytes());
        }
    }
    Ok(runs.iter().all(|r| r.report.outcome == "clean") && slacks.iter().all(|s| s.warning.is_none()))
}

/// Orders the runs and gives each a label that no other has.
fn arrange(runs: &mut [Run], by: Option<By>) {
    match by {
        Some(By::Language) => runs.sort_by(|a, b| {
            let key = |r: &Run| (r.report.host.language.clone(), r.report.triggered_at_us);
            key(a).cmp(&key(b))
        }),
        Some(By::Time) => runs.sort_by_key(|r| r.report.triggered_at_us),
        None => {}
    }
    for run in runs.iter_mut() {
        match by {
            Some(By::Time) => run.label = timeline::clock(run.report.triggered_at_us),
            _ if run.label.is_empty() => run.label = run.report.host.language.clone(),
            _ => {}
        }
        run.label = crate::verify::plain(&run.label, 40);
    }
    let labels: Vec<String> = runs.iter().map(|r| r.label.clone()).collect();
    for (i, run) in runs.iter_mut().enumerate() {
        let before = labels[..i].iter().filter(|l| **l == run.label).count();
        if labels.iter().filter(|l| **l == run.label).count() > 1 {
            run.label = format!("{} #{}", run.label, before + 1);
        }
    }
}

fn as_text(args: &Args, runs: &[Run], slacks: &[Slack], style: Style) -> String {
    let mut out = String::new();
    if let [run] = runs {
        return text::page(run, style, args.whole);
    }
    if args.each {
        for run in runs {
            out.push_str(&text::page(run, style, args.whole));
            out.push('\n');
        }
    }
    out.push_str(&side::text(runs, style));
    let _ = write!(out, "\n{}", slack::text(slacks));
    out.trim_end().to_owned() + "\n"
}

fn as_json(runs: &[Run], slacks: &[Slack]) -> String {
    let runs: Vec<_> = runs.iter().map(|r| json!({"label": r.label, "file": r.file, "report": r.report})).collect();
    let slack: Vec<_> = slacks
        .iter()
        .map(|s| {
            json!({
                "language": s.language, "phase": s.phase, "runs": s.runs, "reserve_us": s.reserve, "used_least_us": s.used[0],
                "used_median_us": s.used[1], "used_most_us": s.used[2], "slack_least_us": s.least,
                "growth_us_per_run": s.growth, "warning": s.warning,
            })
        })
        .collect();
    format!("{:#}\n", json!({"graceshut_reports": 1, "runs": runs, "slack": slack}))
}
