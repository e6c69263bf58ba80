//! Entering and leaving one unit of work.

use std::process::Command;
use std::sync::Barrier;
use std::time::Instant;

use graceshut::InFlight;
use serde_json::Value;
use tokio_util::task::TaskTracker;

use crate::Tools;
use crate::stats::{Limit, Row, missing, row};

const UNITS: u32 = 1_000_000;
const ROUNDS: usize = 9;

/// Nanoseconds a unit, all threads together.
fn timed(threads: usize, unit: impl Fn() + Sync) -> f64 {
    let barrier = Barrier::new(threads + 1);
    let mut begin = Instant::now();
    std::thread::scope(|scope| {
        let work = || {
            barrier.wait();
            for _ in 0..UNITS {
                unit();
            }
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        barrier.wait();
        begin = Instant::now();
        drop(handles);
    });
    begin.elapsed().as_nanos() as f64 / f64::from(UNITS) / threads as f64
}

/// Rust on one and two threads, Python and Node by their scripts.
pub fn rows(tools: &Tools) -> Vec<Row> {
    let group = InFlight::default_group();
    let tracker = TaskTracker::new();
    let mut rows = Vec::new();
    for threads in [1, 2] {
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(timed(threads, || drop(std::hint::black_box(group.enter()))));
            peer.push(timed(threads, || drop(std::hint::black_box(tracker.token()))));
        }
        let what = format!("enter + leave, Rust, {threads} thread(s), per unit");
        rows.push(row(&what, "ns", ours, ("tokio-util TaskTracker token", peer), Limit::Ratio(0.5)));
    }
    for (language, what, peer) in
        [("python", "enter + leave, Python", "two empty PyO3 method calls"), ("node", "enter + leave, Node", "two Atomics.add")]
    {
        rows.push(scripted(crate::hosts::script(tools, language, "inflight"), language, what, peer, Limit::Ratio(2.0)));
    }
    rows
}

/// A program that prints `{"ours": [..], "peer": [..]}` in nanoseconds a pair.
pub fn scripted(command: Option<Command>, language: &str, what: &str, peer: &str, limit: Limit) -> Row {
    let Some(mut command) = command else { return missing(what, &format!("no {language} was given")) };
    let output = match command.output() {
        Ok(o) if o.status.success() => o.stdout,
        Ok(o) => return missing(what, &String::from_utf8_lossy(&o.stderr)),
        Err(e) => return missing(what, &e.to_string()),
    };
    let Ok(json) = serde_json::from_slice::<Value>(&output) else { return missing(what, "the script printed no JSON") };
    let list = |key: &str| json[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect::<Vec<_>>();
    row(what, "ns", list("ours"), (peer, list("peer")), limit)
}

/// CPU time of a request: uvicorn with the ASGI middleware beside uvicorn without. The script's ratio is the median of
/// interleaved pairs; its interval stands in the note.
pub fn asgi(tools: &Tools) -> Vec<Row> {
    [("nothing", "an app that does nothing"), ("fastapi", "a FastAPI route")]
        .map(|(app, words)| asgi_row(tools, app, words))
        .into()
}

fn asgi_row(tools: &Tools, app: &str, words: &str) -> Row {
    let what = format!("CPU time a request, uvicorn with the middleware, {words}");
    let Some(bin) = tools.get("python-adapters") else { return missing(&what, "no python with the adapters was given") };
    let output = match Command::new(bin).args(["bench/scripts/asgi.py", app]).output() {
        Ok(o) if o.status.success() => o.stdout,
        Ok(o) => return missing(&what, &String::from_utf8_lossy(&o.stderr)),
        Err(e) => return missing(&what, &e.to_string()),
    };
    let Ok(json) = serde_json::from_slice::<Value>(&output) else { return missing(&what, "the script printed no JSON") };
    let list = |key: &str| json[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect::<Vec<_>>();
    let mut made = row(&what, "us", list("ours"), ("uvicorn without", list("peer")), Limit::Ratio(1.03));
    made.ratio = json["ratio"].as_f64();
    made.reached = made.ratio.map(|r| r <= 1.03);
    let interval = list("interval");
    if let [low, high] = interval.as_slice() {
        made.note = format!("({} pairs, 95 %: {low:.3} to {high:.3})", json["pairs"]);
    }
    made
}
