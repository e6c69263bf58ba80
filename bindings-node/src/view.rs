//! What can be looked at: state, plan, configuration, report. Handed over as JSON, which `lib/graceshut.js` parses.

use graceshut::{ErrorKind, Order, State};
use napi_derive::napi;
use serde_json::{Value, json};

use crate::error::{Result, living};

fn millis(d: std::time::Duration) -> Value {
    json!(d.as_secs_f64() * 1000.0)
}

/// The addon's version, equal to the package's.
#[napi(catch_unwind)]
pub fn version() -> Result<&'static str> {
    Ok(env!("CARGO_PKG_VERSION"))
}

/// Every kind of error and its number: what `error-kinds.json` is generated from.
#[napi(catch_unwind)]
pub fn error_kinds() -> Result<String> {
    let kinds: serde_json::Map<String, Value> =
        ErrorKind::ALL.iter().map(|k| (k.name().to_owned(), Value::from(k.code()))).collect();
    Ok(Value::Object(kinds).to_string())
}

/// `[state, phase]`.
#[napi(catch_unwind)]
pub fn state() -> Result<Vec<String>> {
    let state = graceshut::current().map_or(State::Idle, |r| r.state());
    Ok(match state {
        State::Idle => vec!["idle".to_owned()],
        State::Armed => vec!["armed".to_owned()],
        State::Stopping(phase) => vec!["stopping".to_owned(), phase],
        State::Stopped => vec!["stopped".to_owned()],
    })
}

/// The first trigger, or null.
#[napi(catch_unwind)]
pub fn reason() -> Result<Option<String>> {
    let reason = living()?.reason();
    Ok(reason.map(|r| {
        json!({
            "kind": r.kind.word(),
            "signal": r.signo.and_then(graceshut::signal::name_of),
            "senderPid": r.sender.map(|s| s.0),
            "senderUid": r.sender.map(|s| s.1),
            "message": r.message,
        })
        .to_string()
    }))
}

/// The report, once the shutdown is over.
#[napi(catch_unwind)]
pub fn report() -> Result<Option<String>> {
    Ok(living()?.report().map(|r| r.to_json()))
}

/// The schedule in milliseconds, and as a table for people.
#[napi(catch_unwind)]
pub fn plan() -> Result<String> {
    let preview = living()?.plan();
    let phases: Vec<Value> = preview
        .rows
        .iter()
        .map(|r| {
            json!({
                "phase": r.phase,
                "order": if r.order == Order::Serial { "serial" } else { "concurrent" },
                "hooks": r.hooks,
                "best": millis(r.best),
                "worst": millis(r.worst),
                "overBy": millis(r.over_by),
                "reserve": millis(r.reserve),
            })
        })
        .collect();
    let plan = json!({
        "grace": millis(preview.grace),
        "margin": millis(preview.margin),
        "budget": millis(preview.budget),
        "phases": phases,
        "text": preview.to_string(),
    });
    Ok(plan.to_string())
}

/// The effective configuration: value and origin of each key, and a table for people.
#[napi(catch_unwind)]
pub fn config() -> Result<String> {
    let runtime = living()?;
    let config = runtime.config();
    Ok(json!({"values": config.to_json(), "text": config.to_string()}).to_string())
}

/// True when graceshut never ends the process itself.
#[napi(catch_unwind)]
pub fn is_manual() -> Result<bool> {
    Ok(living()?.config().exit.value == graceshut::Exit::Manual)
}

/// Numbers of the signals whose handler is ours, or should be.
#[napi(catch_unwind)]
pub fn managed_signals() -> Result<Vec<i32>> {
    let runtime = living()?;
    let managed = runtime.config().signals.iter().filter(|s| s.action != graceshut::Action::Default);
    Ok(managed.map(|s| s.signo).collect())
}

/// True when `signo` is mapped to `stop`.
///
/// # Errors
/// `Closed`.
#[napi(catch_unwind)]
pub fn stops(signo: i32) -> Result<bool> {
    let stop = |s: &graceshut::config::SignalSetting| s.signo == signo && s.action == graceshut::Action::Stop;
    Ok(living()?.config().signals.iter().any(stop))
}

/// Adds a sentence to the report's warnings.
///
/// # Errors
/// `Closed`, `BadValue`.
#[napi(catch_unwind)]
pub fn warn(message: String) -> Result<()> {
    living()?.warn(&message).map_err(|e| crate::error::thrown(&e))
}

/// The state in one line, and the handlers as the kernel has them now.
#[napi(catch_unwind)]
pub fn status() -> Result<String> {
    let runtime = living()?;
    Ok(json!({"line": runtime.status(), "handlers": runtime.handlers()}).to_string())
}
