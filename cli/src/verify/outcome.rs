//! The verdict: what the `--json` file holds, and what makes a check fail.

use super::child::{Ended, Status};
use super::probe::Seen;
use super::tally::{Loss, Tally};
use crate::{duration, signals};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::{Duration, Instant};

/// Everything a check found out, in the order of the `--json` file. All times are whole microseconds.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// The readiness URL, null if none was given.
    pub ready_url: Option<String>,
    /// The URLs that were loaded.
    pub load_urls: Vec<String>,
    /// How many connections carried the load; 0 without a load URL.
    pub connections: u16,
    /// Name of the signal that was (to be) sent, without SIG.
    pub signal: String,
    /// How long the service was given from the signal to its exit.
    pub grace_us: u64,
    /// What became of the requests.
    pub requests: Requests,
    /// How long complete answers took, before and after the signal; nulls if there were none.
    pub latency_us: Latency,
    /// When things happened.
    pub timing_us: Timing,
    /// How the main process ended.
    pub exit: Exit,
    /// What was still there 200 ms after that.
    pub left_behind: LeftBehind,
    /// The service's own report, verbatim, null if it left none.
    pub report: Option<Box<RawValue>>,
    /// Did the service pass?
    pub passed: bool,
    /// Why not: one sentence each.
    pub failures: Vec<String>,
    /// The same, by what is judged: requests, the way out, what is left.
    #[serde(skip)]
    pub judged: [Vec<String>; 3],
}

impl Verdict {
    /// The verdict as test cases: requests, the way out, what is left.
    pub fn cases(&self) -> Vec<super::junit::Case> {
        let exit = self.timing_us.exit.unwrap_or(self.grace_us);
        let names = ["no request lost, none answered 5xx", "leaves in time, with a good status", "nothing left behind"];
        names
            .iter()
            .enumerate()
            .map(|(i, name)| super::junit::Case {
                name: (*name).to_owned(),
                took: if i == 1 { exit } else { 0 },
                failures: self.judged[i].clone(),
            })
            .collect()
    }
}

/// Counters of requests: `sent = answered + lost` and `answered = answered_2xx + refused_503 + answered_other`.
#[derive(Debug, Serialize)]
pub struct Requests {
    /// Requests of which at least one byte was handed to the kernel.
    pub sent: u64,
    /// Requests completely answered, with whatever status.
    pub answered: u64,
    /// Answered 2xx.
    pub answered_2xx: u64,
    /// Answered 503 after the signal: refused in words, not lost.
    pub refused_503: u64,
    /// Answered anything else.
    pub answered_other: u64,
    /// Of those, 5xx before the signal: the service was not healthy.
    pub errors_5xx_before_signal: u64,
    /// Of those, 5xx after the signal: served, but by a service that had already taken itself apart.
    pub errors_5xx_after_signal: u64,
    /// Requests of which no byte was sent, because the connection was refused, or the server had closed the idle
    /// connection already. Safe to send again, not lost.
    pub refused_before_send: u64,
    /// Requests sent and never completely answered.
    pub lost: u64,
    /// Of those, before the signal.
    pub lost_before_signal: u64,
    /// Of those lost, the ones sent on a reused connection that the server closed without reading them: it closed an
    /// idle connection just when a request came. It could have said `Connection: close` with the answer before.
    pub cut_off_idle_race: u64,
    /// The first lost requests, at most ten.
    pub errors: Vec<Lost>,
}

/// A lost request.
#[derive(Debug, Serialize)]
pub struct Lost {
    /// The `X-Request-Id` it carried.
    pub request_id: String,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Where it went.
    pub url: String,
    /// When it turned out to be lost, from the signal on; negative before. Null if no signal was sent.
    pub at_us: Option<i64>,
    /// It was not the first request on its connection.
    pub reused_connection: bool,
    /// What happened.
    pub what: String,
}

/// Percentiles, each at most 1/64 too high; the maximum is exact.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Half of the answers took no longer.
    pub p50: Option<u64>,
    /// 99 of 100 answers took no longer.
    pub p99: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
}

/// When things happened. `ready` and `signal_after_start` count from the start of the command, the others from the
/// signal.
#[derive(Debug, Serialize)]
pub struct Timing {
    /// Ready.
    pub ready: u64,
    /// The signal was sent; null if the service had ended before.
    pub signal_after_start: Option<u64>,
    /// The ready URL stopped answering 2xx; null without a ready URL.
    pub readiness_red: Option<u64>,
    /// The last time a new connection was made; null if none was after the signal.
    pub last_accept: Option<u64>,
    /// The last complete answer; null if none came after the signal.
    pub last_answer: Option<u64>,
    /// The main process ended; null if it never did, or before the signal.
    pub exit: Option<u64>,
}

/// How the main process ended.
#[derive(Debug, Serialize)]
pub struct Exit {
    /// Its exit code, null if a signal killed it.
    pub code: Option<i32>,
    /// The number of the signal that killed it.
    pub signal: Option<i32>,
    /// Its name, without SIG.
    pub signal_name: Option<String>,
    /// It ended by itself within the grace period.
    pub within_grace: bool,
    /// It had to be killed when the grace period was over.
    pub killed_at_grace: bool,
}

/// What was still there after the exit. Children found are killed after the check.
#[derive(Debug, Serialize)]
pub struct LeftBehind {
    /// Processes of its session, its group or its descent.
    pub children: Vec<LeftChild>,
    /// Ports of the load and ready URLs that still took connections.
    pub ports: Vec<u16>,
}

/// A process that was left behind.
#[derive(Debug, Serialize)]
pub struct LeftChild {
    /// Its pid.
    pub pid: i32,
    /// Its command line.
    pub cmd: String,
}

/// The moments of a check, and what was found at each.
#[derive(Debug)]
pub struct Facts {
    /// The command was started.
    pub started: Instant,
    /// It was ready.
    pub ready: Instant,
    /// The signal was sent.
    pub signalled: Option<Instant>,
    /// The signal.
    pub signal: i32,
    /// The grace.
    pub grace: Duration,
    /// There was a readiness URL to watch.
    pub watched_ready: bool,
    /// There was a load.
    pub loaded: bool,
    /// The end of the main process; `None` if even SIGKILL did not end it.
    pub ended: Option<Ended>,
    /// SIGKILL had to be sent.
    pub killed_at_grace: bool,
    /// What the probe saw.
    pub seen: Seen,
    /// What the clients saw.
    pub tally: Tally,
    /// Processes left.
    pub children: Vec<(i32, String)>,
    /// Ports left.
    pub ports: Vec<u16>,
    /// What was left could not be ended.
    pub undead: bool,
}

impl Facts {
    fn since_signal(&self, at: Option<Instant>) -> Option<u64> {
        Some(micros(at?.checked_duration_since(self.signalled?)?))
    }

    /// When things happened, as numbers.
    pub fn timing(&self) -> Timing {
        let exit = self.ended.map(|e| e.at);
        let red = if self.watched_ready { self.seen.red.or(exit) } else { None };
        Timing {
            ready: micros(self.ready - self.started),
            signal_after_start: self.signalled.map(|s| micros(s - self.started)),
            // A service that never said so was red at its exit at the latest.
            readiness_red: self.since_signal(red.min(exit.or(red))),
            last_accept: self.since_signal(self.seen.last_accept.max(self.tally.last_connect)),
            last_answer: self.since_signal(self.tally.last_answer),
            exit: self.since_signal(exit),
        }
    }

    /// How the main process ended.
    pub fn exit(&self) -> Exit {
        let status = self.ended.map(|e| e.status);
        let in_time = self.since_signal(self.ended.map(|e| e.at)).is_some_and(|us| us <= micros(self.grace));
        Exit {
            code: status.and_then(|s| s.code),
            signal: status.and_then(|s| s.signal),
            signal_name: status.and_then(|s| s.signal).map(signals::name),
            within_grace: in_time && !self.killed_at_grace,
            killed_at_grace: self.killed_at_grace,
        }
    }

    /// The counters, ready to be written.
    pub fn requests(&self) -> Requests {
        let tally = &self.tally;
        Requests {
            sent: tally.sent,
            answered: tally.answered(),
            answered_2xx: tally.answered_2xx,
            refused_503: tally.refused_503,
            answered_other: tally.answered_other,
            errors_5xx_before_signal: tally.errors_before,
            errors_5xx_after_signal: tally.errors_after,
            refused_before_send: tally.refused_before_send,
            lost: tally.lost,
            lost_before_signal: tally.lost_before,
            cut_off_idle_race: tally.idle_race,
            errors: tally.losses.iter().map(|l| self.lost(l)).collect(),
        }
    }

    fn lost(&self, loss: &Loss) -> Lost {
        let at_us = self.signalled.map(|signal| match loss.at.checked_duration_since(signal) {
            Some(after) => micros(after) as i64,
            None => -(micros(signal - loss.at) as i64),
        });
        Lost {
            request_id: loss.request_id.clone(),
            method: loss.method,
            url: loss.url.clone(),
            at_us,
            reused_connection: loss.reused,
            what: loss.what.clone(),
        }
    }

    /// Why the service failed, one sentence each; none if it passed: by requests, way out, and what is left.
    pub fn judged(&self) -> [Vec<String>; 3] {
        [self.failures_of_load(), self.failure_of_exit().into_iter().collect(), self.failures_of_rest()]
    }

    fn failures_of_rest(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if !self.children.is_empty() {
            let who: Vec<String> =
                self.children.iter().take(3).map(|(pid, cmd)| format!("{pid} {}", super::plain::plain(cmd, 60))).collect();
            let more = if self.children.len() > 3 { ", …" } else { "" };
            failures.push(format!(
                "{} left behind ({}{more})",
                count(self.children.len() as u64, "process", "processes"),
                who.join(", ")
            ));
        }
        if self.undead {
            failures.push("what it left behind could not be ended".into());
        }
        for port in &self.ports {
            failures.push(format!("port {port} still takes connections"));
        }
        failures
    }

    fn failures_of_load(&self) -> Vec<String> {
        let tally = &self.tally;
        let signal = signals::name(self.signal);
        let status = tally.error_status.unwrap_or(500);
        let mut failures = Vec::new();
        let requests = |n| count(n, "request", "requests");
        if self.loaded && tally.answered_before == 0 {
            failures.push(format!("not one request was answered before {signal}: nothing was put to the test"));
        }
        if tally.errors_before > 0 {
            let hint = if matches!(status, 501) { "; if POST is not meant to work, use --post-share 0%" } else { "" };
            failures.push(format!(
                "{} answered 5xx (like {status}) before {signal}: the service was not healthy{hint}",
                requests(tally.errors_before)
            ));
        }
        let lost_after = tally.lost - tally.lost_before;
        if tally.lost_before > 0 {
            failures.push(format!("{} lost before {signal} was even sent", requests(tally.lost_before)));
        }
        if lost_after > 0 {
            failures.push(format!("{} lost", requests(lost_after)));
        }
        if tally.errors_after > 0 {
            let n = requests(tally.errors_after);
            failures.push(format!("{n} answered 5xx (like {status}) after {signal}: only 503 tells a client to go elsewhere"));
        }
        failures
    }

    fn failure_of_exit(&self) -> Option<String> {
        let signal = signals::name(self.signal);
        let Some(ended) = self.ended else {
            return Some("the process did not end even after SIGKILL".into());
        };
        if self.signalled.is_none() {
            return Some(format!("it ended by itself ({}) before {signal} was sent", ended.status));
        }
        if self.killed_at_grace {
            return Some(format!("killed at grace: still running {} after {signal}", duration::human(self.grace)));
        }
        (!is_good(ended.status, self.signal)).then(|| match ended.status.code {
            Some(code) => format!("exit status {code}"),
            None => ended.status.to_string(),
        })
    }
}

/// Status 0, death by the signal that was sent, or the shell's way of saying that.
pub fn is_good(status: Status, sent: i32) -> bool {
    match (status.code, status.signal) {
        (Some(code), _) => code == 0 || code == 128 + sent,
        (None, signal) => signal == Some(sent),
    }
}

/// `1 request`, `3 requests`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Whole microseconds.
pub fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_endings() {
        let code = |c| Status { code: Some(c), signal: None };
        let signal = |s| Status { code: None, signal: Some(s) };
        for good in [code(0), code(143), signal(15)] {
            assert!(is_good(good, 15), "{good:?}");
        }
        for bad in [code(1), code(130), code(137), signal(9), signal(2), Status { code: None, signal: None }] {
            assert!(!is_good(bad, 15), "{bad:?}");
        }
    }
}
