//! Two runs compared: this one, and the `--json` file of an earlier one.

use crate::duration;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// What is compared: label, where it is, whether it is a time.
const FIGURES: &[(&str, &str, bool)] = &[
    ("requests sent", "/requests/sent", false),
    ("lost", "/requests/lost", false),
    ("5xx after the signal", "/requests/errors_5xx_after_signal", false),
    ("answered 503", "/requests/refused_503", false),
    ("refused before send", "/requests/refused_before_send", false),
    ("latency p50", "/latency_us/p50", true),
    ("latency p99", "/latency_us/p99", true),
    ("latency max", "/latency_us/max", true),
    ("ready after", "/timing_us/ready", true),
    ("readiness red", "/timing_us/readiness_red", true),
    ("last answer", "/timing_us/last_answer", true),
    ("exit", "/timing_us/exit", true),
];

/// Reads an earlier verdict.
///
/// # Errors
/// It cannot be read, or is none.
pub fn read(path: &Path) -> Result<Value, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|e| format!("--baseline {shown}: {e}"))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|e| format!("--baseline {shown} is not JSON ({e}); give the --json file of an earlier run"))?;
    if value.pointer("/requests/sent").is_none() || value.get("passed").is_none() {
        return Err(format!("--baseline {shown} is no verdict of `graceshut verify`; give the --json file of an earlier run"));
    }
    Ok(value)
}

/// The two side by side, without what is the same nothing in both.
pub fn text(before: &Value, now: &Value) -> String {
    let passed = |v: &Value| if v["passed"] == true { "passed" } else { "failed" }.to_owned();
    let mut rows = vec![["".to_owned(), "before".to_owned(), "now".to_owned(), String::new()]];
    rows.push(["verdict".to_owned(), passed(before), passed(now), String::new()]);
    for (label, pointer, is_time) in FIGURES {
        let (a, b) = (before.pointer(pointer).and_then(Value::as_u64), now.pointer(pointer).and_then(Value::as_u64));
        if a.unwrap_or(0) == 0 && b.unwrap_or(0) == 0 {
            continue;
        }
        let shown = |n: Option<u64>| {
            n.map_or("-".to_owned(), |n| if *is_time { duration::human(Duration::from_micros(n)) } else { n.to_string() })
        };
        rows.push([(*label).to_owned(), shown(a), shown(b), change(a, b)]);
    }
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let line = |r: &[String; 4]| {
        format!("  {:<a$}  {:>b$}  {:>c$}  {}", r[0], r[1], r[2], r[3], a = widths[0], b = widths[1], c = widths[2])
            .trim_end()
            .to_owned()
            + "\n"
    };
    "\ncompared with the baseline\n".to_owned() + &rows.iter().map(line).collect::<String>()
}

fn change(a: Option<u64>, b: Option<u64>) -> String {
    match (a, b) {
        (Some(a), Some(b)) if a > 0 => format!("{:+.0} %", (b as f64 - a as f64) * 100.0 / a as f64),
        _ => String::new(),
    }
}
