//! CPU time a request costs with the adapter for Node's servers, beside the bare server.

use std::process::Command;

use serde_json::Value;

use crate::Tools;
use crate::stats::{Limit, Row, missing, row};

/// Over 3 % more than the bare server is a miss.
const MOST: f64 = 1.03;

/// `http.mjs` does the pairs and the interval.
pub fn rows(tools: &Tools) -> Vec<Row> {
    let what = "CPU time a request, gs.http(), Node";
    let Some(bin) = tools.get("node") else { return vec![missing(what, "no node was given")] };
    let folder = tools.get("node-folder").unwrap_or("bench/scripts");
    let output = match Command::new(bin).arg(format!("{folder}/http.mjs")).output() {
        Ok(o) if o.status.success() => o.stdout,
        Ok(o) => return vec![missing(what, &String::from_utf8_lossy(&o.stderr))],
        Err(e) => return vec![missing(what, &e.to_string())],
    };
    let Ok(json) = serde_json::from_slice::<Value>(&output) else { return vec![missing(what, "the script printed no JSON")] };
    let list = |key: &str| json[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect::<Vec<_>>();
    let number = |key: &str| json[key].as_f64().unwrap_or(f64::NAN);
    let mut row = row(what, "us", list("ours"), ("bare node:http", list("peer")), Limit::Ratio(MOST));
    // Judged by the pairs, which are interleaved, and not by the two medians, which are not.
    row.ratio = Some(number("ratio"));
    row.reached = Some(number("ratio") <= MOST);
    row.note = format!(
        "ratio of pairs {:.3}, 95 % interval {:.3} to {:.3}, {} pairs",
        number("ratio"),
        number("low"),
        number("high"),
        json["pairs"]
    );
    vec![row]
}
