//! The verdict for people: one aligned block.

use super::outcome::{Requests, Verdict, count};
use super::plain::plain;
use super::report;
use crate::duration::human;
use std::fmt::Write;
use std::time::Duration;

/// The whole block, with a newline at its end.
pub fn block(verdict: &Verdict, colour: bool) -> String {
    let mut page = Page { text: String::new(), colour };
    page.line(&format!("{}  {}", page.paint("1", "graceshut verify"), plain(&verdict.command.join(" "), 200)));
    page.line("");
    page.before_signal(verdict);
    if !verdict.load_urls.is_empty() {
        page.requests(verdict);
    }
    page.timeline(verdict);
    page.left_behind(verdict);
    page.own_report(verdict);
    page.line("");
    page.conclusion(verdict);
    page.text
}

struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// `  label        text`; an empty label goes on with the one before.
    fn row(&mut self, label: &str, text: &str) {
        self.line(&format!("  {label:<12}  {text}"));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn before_signal(&mut self, verdict: &Verdict) {
        let url = verdict.ready_url.as_ref().or(verdict.load_urls.first());
        let how = url.map_or("it printed so".to_owned(), |u| plain(u, 120));
        self.row("ready", &format!("after {}  ({how})", us(verdict.timing_us.ready)));
        let timing = &verdict.timing_us;
        let Some(signalled) = timing.signal_after_start else { return };
        let before = us(signalled.saturating_sub(timing.ready));
        if verdict.load_urls.is_empty() {
            self.row("load", &format!("none; {} sent {before} later", verdict.signal));
        } else {
            let n = count(verdict.connections.into(), "connection", "connections");
            self.row("load", &format!("{n}, {before} before {}", verdict.signal));
        }
    }

    fn requests(&mut self, verdict: &Verdict) {
        let requests = &verdict.requests;
        self.row(
            "requests",
            &format!("{} sent, {} answered  ({})", requests.sent, requests.answered, answers(requests, &verdict.signal)),
        );
        if requests.refused_before_send > 0 {
            self.row("", &format!("{} refused before a byte was sent: safe to retry, not lost", requests.refused_before_send));
        }
        let mut lost = format!("{} lost", requests.lost);
        if requests.cut_off_idle_race > 0 {
            let _ = write!(lost, ", {} of them on an idle connection closed just then", requests.cut_off_idle_race);
        }
        let lost = if requests.lost > 0 { self.paint("31", &lost) } else { lost };
        self.row("", &lost);
        for error in requests.errors.iter().take(3) {
            let at = error.at_us.map_or(String::new(), |at| {
                let time = us(at.unsigned_abs());
                if at < 0 { format!("{time} before: ") } else { format!("+{time}: ") }
            });
            self.row("", &format!("  {at}{} {}  {}", error.method, plain(&error.what, 100), error.request_id));
        }
        let latency = &verdict.latency_us;
        if let (Some(p50), Some(p99), Some(max)) = (latency.p50, latency.p99, latency.max) {
            self.row("latency", &format!("p50 {}   p99 {}   max {}", us(p50), us(p99), us(max)));
        }
    }

    fn timeline(&mut self, verdict: &Verdict) {
        let timing = &verdict.timing_us;
        let exit = &verdict.exit;
        let how = match (exit.code, &exit.signal_name) {
            (Some(code), _) => format!("status {code}"),
            (None, Some(name)) => format!("killed by {name}"),
            (None, None) => "never".to_owned(),
        };
        if timing.signal_after_start.is_none() {
            self.row("exit", &format!("{how}, before {} was sent", verdict.signal));
            return;
        }
        let mut label = format!("since {}", verdict.signal);
        let events = [
            ("readiness red", timing.readiness_red, verdict.ready_url.is_some()),
            ("last accept", timing.last_accept, verdict.ready_url.is_some() || !verdict.load_urls.is_empty()),
            ("last answer", timing.last_answer, !verdict.load_urls.is_empty()),
        ];
        for (what, at, asked) in events {
            if asked {
                let at = at.map_or("none".to_owned(), us);
                self.row(&std::mem::take(&mut label), &format!("{what:<13}  {at:>8}"));
            }
        }
        let at = timing.exit.map_or("never".to_owned(), us);
        let grace = us(verdict.grace_us);
        self.row(&label, &format!("{:<13}  {at:>8}  {how}  (grace {grace})", "exit"));
    }

    fn left_behind(&mut self, verdict: &Verdict) {
        let left = &verdict.left_behind;
        let mut label = "left behind";
        if left.children.is_empty() && left.ports.is_empty() {
            self.row(label, "nothing");
        }
        for child in &left.children {
            self.row(std::mem::take(&mut label), &format!("process {}  {}", child.pid, plain(&child.cmd, 100)));
        }
        for port in &left.ports {
            self.row(std::mem::take(&mut label), &format!("port {port}, taking connections"));
        }
    }

    fn own_report(&mut self, verdict: &Verdict) {
        let Some(report) = &verdict.report else { return };
        self.line("");
        let mut label = "its report";
        for line in report::table(report) {
            self.row(std::mem::take(&mut label), &line);
        }
        if let Some(grace) = report::grace(report).filter(|g| *g > Duration::from_micros(verdict.grace_us)) {
            let ours = us(verdict.grace_us);
            self.row("note", &format!("it counts on a grace of {}; the check gave it {ours}", human(grace)));
        }
    }

    fn conclusion(&mut self, verdict: &Verdict) {
        if verdict.passed {
            let exit = verdict.timing_us.exit.map_or(String::new(), us);
            let lost = if verdict.load_urls.is_empty() { "" } else { "nothing lost, " };
            let pass = self.paint("1;32", "PASS");
            self.line(&format!("{pass}  {lost}gone {exit} after {}, nothing left behind", verdict.signal));
        } else {
            let fail = self.paint("1;31", "FAIL");
            self.line(&format!("{fail}  {}", verdict.failures.join("; ")));
        }
    }
}

fn answers(requests: &Requests, signal: &str) -> String {
    let mut parts = vec![format!("{} 2xx", requests.answered_2xx)];
    if requests.refused_503 > 0 {
        parts.push(format!("{} 503 after {signal}", requests.refused_503));
    }
    if requests.answered_other > 0 {
        parts.push(format!("{} other", requests.answered_other));
    }
    parts.join(", ")
}

fn us(us: u64) -> String {
    human(Duration::from_micros(us))
}
