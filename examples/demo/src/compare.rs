//! What differs between the languages and must not. (Their timelines are drawn by `graceshut report`.)

use serde_json::Value;

use crate::run::LanguageResult;

fn phases(r: &LanguageResult) -> Vec<Value> {
    r.verdict["report"]["phases"].as_array().cloned().unwrap_or_default()
}

fn hooks(phase: &Value) -> Vec<Value> {
    phase["hooks"].as_array().cloned().unwrap_or_default()
}

fn name(v: &Value) -> String {
    v["name"].as_str().unwrap_or("?").to_owned()
}

fn exit(r: &LanguageResult) -> String {
    let exit = &r.verdict["exit"];
    exit["signal_name"].as_str().map_or_else(|| exit["code"].to_string(), |s| format!("by {s}"))
}

/// What must be identical: phase order, hooks, outcomes, exit status.
fn shape(r: &LanguageResult) -> Vec<String> {
    let mut shape = Vec::new();
    for phase in phases(r) {
        shape.push(format!("phase {} {}", name(&phase), phase["state"]));
        let mut list: Vec<String> = hooks(&phase).iter().map(|h| format!("hook {} {}", name(h), h["outcome"])).collect();
        list.sort();
        shape.append(&mut list);
    }
    shape.push(format!("outcome {}", r.verdict["report"]["outcome"]));
    shape.push(format!("exit {}", exit(r)));
    shape
}

/// Says how each language differs from the first one.
pub fn differences(results: &[LanguageResult]) -> Vec<String> {
    let Some(first) = results.first() else { return vec!["no service was run".to_owned()] };
    let expected = shape(first);
    let mut found = Vec::new();
    for r in results {
        if phases(r).is_empty() {
            found.push(format!("{}: the service wrote no report", r.language));
        }
        for (a, b) in expected.iter().zip(shape(r)).filter(|(a, b)| *a != b) {
            found.push(format!("{} says {b}, {} says {a}", r.language, first.language));
        }
        if expected.len() != shape(r).len() {
            found.push(format!("{} and {} do not have the same phases and hooks", r.language, first.language));
        }
    }
    found
}
