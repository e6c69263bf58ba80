//! What a running hook asks.

use std::time::Duration;

use graceshut::ErrorKind;
use napi_derive::napi;

use crate::bridge;
use crate::error::{Result, refuse};

/// The longest extension; more is a mistake in the unit.
const LONGEST_MS: f64 = 366.0 * 86_400_000.0;

fn of(id: u32) -> Result<graceshut::Context> {
    match bridge::context(id) {
        Some(context) => Ok(context),
        None => refuse(ErrorKind::Closed, "this hook belongs to an install that has ended"),
    }
}

/// Milliseconds until the hard deadline; null: there is none.
#[napi(catch_unwind)]
pub fn hook_remaining(id: u32) -> Result<Option<f64>> {
    Ok(of(id)?.remaining().map(|d| d.as_secs_f64() * 1000.0))
}

/// True from the soft deadline on.
#[napi(catch_unwind)]
pub fn hook_cancelled(id: u32) -> Result<bool> {
    Ok(of(id)?.cancelled())
}

/// Asks for more time; the milliseconds granted.
///
/// # Errors
/// `BadTime` for what is no time.
#[napi(catch_unwind)]
pub fn hook_extend(id: u32, ms: f64) -> Result<f64> {
    if !(0.0..=LONGEST_MS).contains(&ms) {
        return refuse(ErrorKind::BadTime, format!("extend({ms}): a time lies between 0 and 366 days, in milliseconds"));
    }
    let granted = of(id)?.extend(Duration::from_secs_f64(ms / 1000.0));
    Ok(granted.as_secs_f64() * 1000.0)
}

/// Names of the hooks abandoned earlier that still run.
#[napi(catch_unwind)]
pub fn hook_abandoned(id: u32) -> Result<Vec<String>> {
    Ok(of(id)?.abandoned())
}

/// Says a line as an event.
#[napi(catch_unwind)]
pub fn hook_log(id: u32, message: String) -> Result<()> {
    of(id)?.log(&message);
    Ok(())
}

/// Says how far it is.
///
/// # Errors
/// `BadValue` for what is no count.
#[napi(catch_unwind)]
pub fn hook_progress(id: u32, done: f64, total: f64) -> Result<()> {
    let whole = |n: f64| (0.0..=9e15).contains(&n);
    if !whole(done) || !whole(total) {
        return refuse(ErrorKind::BadValue, format!("progress({done}, {total}): counts are zero or more"));
    }
    of(id)?.progress(done as u64, total as u64);
    Ok(())
}
