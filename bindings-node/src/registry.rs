//! Registering hooks and ending those that run in JavaScript.

use graceshut::config::{NumberUnit, hook_from_json};
use graceshut::{HookError, Removal};
use napi_derive::napi;

use crate::bridge;
use crate::error::{Result, living, thrown};

/// A number for a hook of JavaScript, unlike that of any other thread.
#[napi(catch_unwind)]
pub fn hook_number() -> Result<u32> {
    Ok(bridge::hook_number())
}

/// Registers hook `id` of environment `env`. `spec`: a `[[hook]]` table as JSON, whose kind (`delay`) only fills the place.
///
/// # Errors
/// As every registering call of the core.
#[napi(catch_unwind)]
pub fn hook(env: u32, id: u32, spec: String) -> Result<u32> {
    let runtime = living()?;
    let decl = hook_from_json(&spec, NumberUnit::Millis).map_err(|e| thrown(&e))?;
    let mut builder = runtime.hook(&decl.phase, decl.name_or_kind()).optional(decl.optional).host_lane();
    for name in &decl.after {
        builder = builder.after(name);
    }
    if let Some(limit) = decl.timeout {
        builder = builder.timeout(limit);
    }
    let handle = builder.start(move |context, completion| bridge::hand_over(env, id, &context, completion));
    let number = handle.map(|h| h.id()).map_err(|e| thrown(&e))?;
    bridge::owns(env, number);
    Ok(number)
}

/// Registers a hook that needs no code, and stays when the thread that did it ends.
///
/// # Errors
/// As every registering call of the core.
#[napi(catch_unwind)]
pub fn declare(spec: String) -> Result<u32> {
    let runtime = living()?;
    let decl = hook_from_json(&spec, NumberUnit::Millis).map_err(|e| thrown(&e))?;
    runtime.declare(&decl).map(|h| h.id()).map_err(|e| thrown(&e))
}

/// Takes the core's hook `id` out.
///
/// # Errors
/// `Closed`.
#[napi(catch_unwind)]
pub fn remove(id: u32) -> Result<&'static str> {
    let removal = living()?.remove(id).map_err(|e| thrown(&e))?;
    Ok(match removal {
        Removal::Removed => "removed",
        Removal::Running => "running",
        Removal::Done => "done",
    })
}

/// The loop has hook `id` and would run it now; `false`: its time has passed, and it must not.
#[napi(catch_unwind)]
pub fn begin(id: u32) -> Result<bool> {
    let begun = bridge::context(id).is_some_and(|context| context.begin());
    if !begun {
        // Its outcome is known already; this word comes too late on purpose.
        drop(bridge::completion(id));
    }
    Ok(begun)
}

/// Hook `id` has ended: `how` 0 ok, 1 failed with `text`, 2 cancelled, 3 called exit with `code`.
/// `false` when it had ended before.
#[napi(catch_unwind)]
pub fn finish(id: u32, how: u32, text: String, code: i32) -> Result<bool> {
    let Some(completion) = bridge::completion(id) else { return Ok(false) };
    completion.finish(match how {
        0 => Ok(()),
        2 => Err(HookError::Cancelled),
        3 => Err(HookError::Exit(code)),
        _ => Err(HookError::Failed(text)),
    });
    Ok(true)
}
