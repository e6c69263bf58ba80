//! What holds in every scenario: phases one after another, contexts that tell what the report tells.

use serde_json::Value;

use super::{Case, hooks_of};
use crate::signals;

/// No hook starts before every hook of an earlier phase has ended or was left.
pub fn phases(case: &Case<'_>, report: &Value, problems: &mut Vec<String>) {
    let names: Vec<&str> = report["phases"].as_array().into_iter().flatten().filter_map(|p| p["name"].as_str()).collect();
    let place = |phase: &str| names.iter().position(|n| *n == phase);
    let hooks: Vec<(usize, &str, bool)> = hooks_of(report)
        .filter_map(|(phase, h)| Some((place(phase)?, h["name"].as_str()?, h["outcome"] == "abandoned")))
        .collect();
    let position = |key: String| case.played.lines.iter().position(|l| l.key == key);
    for &(later, name, _) in &hooks {
        let Some(start) = position(format!("start:{name}")) else { continue };
        for &(_, before, _) in hooks.iter().filter(|(p, _, left)| *p < later && !left) {
            let begun = position(format!("start:{before}")).is_some();
            if begun && position(format!("end:{before}")).is_none_or(|end| end > start) {
                problems.push(format!("phases: {name} started before {before}, of an earlier phase, had ended"));
            }
        }
    }
}

fn signal_of(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.strip_prefix("SIG").unwrap_or(name).to_owned()),
        Value::Number(n) => n.as_i64().and_then(|n| signals::name(n as i32)).map(str::to_owned),
        _ => None,
    }
}

/// What each hook's context said when it began.
pub fn contexts(case: &Case<'_>, report: &Value, problems: &mut Vec<String>) {
    let reason = &report["reason"];
    for hook in case.scenario.all_hooks() {
        let Some(line) = case.played.line(&format!("start:{}", hook.name)) else { continue };
        let said = &line.fields;
        let mut differ = |what: &str, seen: String, wanted: String| {
            if seen != wanted {
                problems.push(format!("context of {}: {what} is {seen}, not {wanted}", hook.name));
            }
        };
        differ("phase", said["phase"].to_string(), Value::from(hook.phase.as_str()).to_string());
        differ("name", said["context_name"].to_string(), Value::from(hook.name.as_str()).to_string());
        differ("reason", said["reason"].to_string(), reason["kind"].to_string());
        differ("signal", format!("{:?}", signal_of(&said["signal"])), format!("{:?}", signal_of(&reason["signal"])));
        differ("message", said["message"].to_string(), reason["message"].to_string());
    }
}
