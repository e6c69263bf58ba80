//! A driver for the runner's own tests: knows no graceshut, plays two hooks by itself, and deviates where `FAKE` says.
#![allow(clippy::unwrap_used, reason = "a driver that cannot go on dies: the runner sees it")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn line(value: &Value) {
    let text = format!("{value}\n");
    // SAFETY: writes that many bytes of a living string to the descriptor the runner opened.
    unsafe { libc::write(variable("CONFORMANCE_TRACE_FD").parse().unwrap(), text.as_ptr().cast(), text.len()) };
}

/// Blocks until TERM, which was blocked before `ready`.
fn wait_for_term() {
    // SAFETY: all zeroes is a valid set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    let mut signo = 0;
    // SAFETY: a local set.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: likewise.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGTERM) };
    // SAFETY: likewise; this program has one thread.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    line(&json!({ "what": "ready" }));
    // SAFETY: waits for a blocked signal and writes to a local.
    unsafe { libc::sigwait(&raw const set, &raw mut signo) };
}

struct Fake {
    mode: String,
    t0: Instant,
}

impl Fake {
    fn is(&self, mode: &str) -> bool {
        self.mode == mode
    }

    fn us(&self) -> u64 {
        self.t0.elapsed().as_micros() as u64
    }

    /// Plays a hook, and answers its row of the report.
    fn hook(&self, phase: &str, name: &str, ms: u64) -> Value {
        let start = self.us();
        let told = !(self.is("lost") && name == "b");
        let reason = if self.is("context") { "stop" } else { "signal" };
        if told {
            line(&json!({
                "what": "start", "name": name, "phase": phase, "context_name": name, "reason": reason, "signal": "TERM",
                "message": null, "remaining_us": 3_800_000 - start, "cancelled": false, "abandoned": [],
            }));
        }
        std::thread::sleep(Duration::from_millis(ms));
        let failed = self.is("lies") && name == "b";
        if told {
            let how = if failed { "failed" } else { "ok" };
            line(&json!({ "what": "end", "name": name, "how": how, "message": null }));
        }
        let shift = if self.is("shifted") { 1_000_000 } else { 0 };
        json!({
            "name": name, "kind": "function", "outcome": "ok", "why": null, "late": false, "panic": false, "optional": false,
            "message": null, "start_us": start + shift, "budget_us": 3_800_000 - start, "used_us": self.us() - start,
        })
    }

    fn report(&self, wall: Duration, a: &Value, b: &Value) -> Value {
        let phase = |name: &str, hook: &Value| json!({ "name": name, "state": "ran", "start_us": 0, "budget_us": 1, "used_us": 1, "slack_us": 0, "hooks": [hook] });
        let uid = if self.is("field") { 7 } else { 0 };
        json!({
            "graceshut": 1, "run_id": variable("CONFORMANCE_SCENARIO"), "pid": std::process::id(),
            "triggered_at_us": wall.as_micros() as u64, "grace_us": 4_000_000, "already_spent_us": 0, "margin_us": 120_000,
            "budget_us": 3_880_000,
            "reason": { "kind": "signal", "signal": "TERM", "sender_pid": 1, "sender_uid": uid, "message": null },
            "triggers": [{ "kind": "signal", "signal": "TERM", "at_us": 0, "action": "started" }],
            "phases": [phase("drain", a), phase("flush", b)],
            "in_flight": { "at_drain_start": 0, "at_drain_end": 0 }, "outcome": "clean", "exit_code": 0, "exit_signal": null,
            "used_us": self.us(),
        })
    }
}

fn main() {
    let text = std::fs::read_to_string(variable("CONFORMANCE_SCENARIO")).unwrap();
    let scenario: Value = serde_json::from_str(&text).unwrap();
    wait_for_term();
    let fake = Fake { mode: variable("FAKE"), t0: Instant::now() };
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = if fake.is("late") { 2600 } else { 2000 };
    let (a, b) = if fake.is("order") {
        let b = fake.hook("flush", "b", 0);
        (fake.hook("drain", "a", time), b)
    } else {
        let a = fake.hook("drain", "a", time);
        (a, fake.hook("flush", "b", 0))
    };
    if fake.is("stderr") {
        eprintln!("Traceback (most recent call last)");
    }
    if !fake.is("mute") {
        let path = scenario["options"]["report"].as_str().unwrap();
        std::fs::write(path, fake.report(wall, &a, &b).to_string()).unwrap();
    }
    if fake.is("hangs") {
        std::thread::sleep(Duration::from_millis(3500));
    }
    std::process::exit(if fake.is("status") { 3 } else { 0 });
}
