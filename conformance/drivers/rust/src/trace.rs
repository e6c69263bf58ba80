//! The trace: one JSON object a line, one write each.

use std::sync::OnceLock;

use graceshut::{Context, Error};
use serde_json::{Map, Value, json};

fn descriptor() -> i32 {
    static FD: OnceLock<i32> = OnceLock::new();
    *FD.get_or_init(|| std::env::var("CONFORMANCE_TRACE_FD").ok().and_then(|n| n.parse().ok()).unwrap_or(-1))
}

/// Writes a line; `fields` is an object or null.
pub fn line(what: &str, name: Option<&str>, fields: Value) {
    let mut object = Map::new();
    object.insert("what".to_owned(), what.into());
    if let Some(name) = name {
        object.insert("name".to_owned(), name.into());
    }
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    let text = format!("{}\n", Value::Object(object));
    // SAFETY: writes that many bytes of a living string.
    unsafe { libc::write(descriptor(), text.as_ptr().cast(), text.len()) };
}

/// A call that was refused.
pub fn error(name: &str, error: &Error) {
    line("error", Some(name), json!({ "kind": error.kind().name() }));
}

/// What a context says when the body begins.
pub fn start(name: &str, ctx: &Context) {
    let reason = ctx.reason();
    let remaining = ctx.remaining().map(|d| d.as_micros() as u64);
    let fields = json!({
        "phase": ctx.phase(), "context_name": ctx.name(), "reason": reason.kind.word(), "signal": reason.signo,
        "message": reason.message, "remaining_us": remaining, "cancelled": ctx.cancelled(), "abandoned": ctx.abandoned(),
    });
    line("start", Some(name), fields);
}

/// How a body ends.
pub fn end(name: &str, how: &str, message: Option<&str>) {
    line("end", Some(name), json!({ "how": how, "message": message }));
}
