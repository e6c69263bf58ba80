//! Go: work in flight, signals while its one P is busy, and the way out. Its programs are in `bench/scripts/bench.go`.

use std::process::Command;

use serde_json::Value;

use crate::Tools;
use crate::stats::{Limit, Row, missing, row};
use crate::{exits, hosts};

/// Enter and leave with this many goroutines, beside two additions that nobody contends and beside a `sync.WaitGroup`.
fn inflight(tools: &Tools, goroutines: u32) -> Vec<Row> {
    let what = format!("enter + leave, Go, {goroutines} goroutine(s), per unit");
    let Some(bin) = tools.get("go") else { return vec![missing(&what, "no go was given")] };
    let output = match Command::new(bin).args(["inflight", &goroutines.to_string()]).output() {
        Ok(o) if o.status.success() => o.stdout,
        Ok(o) => return vec![missing(&what, &String::from_utf8_lossy(&o.stderr))],
        Err(e) => return vec![missing(&what, &e.to_string())],
    };
    let Ok(json) = serde_json::from_slice::<Value>(&output) else { return vec![missing(&what, "it printed no JSON")] };
    let list = |key: &str| json[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect::<Vec<_>>();
    vec![
        row(&what, "ns", list("ours"), ("two uncontended atomic.AddUint32", list("peer")), Limit::Ratio(1.5)),
        row(&what, "ns", list("ours"), ("sync.WaitGroup Add + Done", list("wait_group")), Limit::None),
    ]
}

/// All of them.
pub fn rows(tools: &Tools) -> Vec<Row> {
    let mut rows = inflight(tools, 1);
    rows.extend(inflight(tools, 2));
    rows.extend(hosts::rows_of(tools, "go", "one P, busy 2 s"));
    rows.push(exits::leaving_row(tools, "go", 3.0));
    rows
}
