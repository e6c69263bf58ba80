//! Hooks as a scenario has them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use graceshut::config::{NumberUnit, hook_from_json};
use graceshut::{Context, Error, HookBuilder, HookHandle, HookResult};
use serde_json::{Map, Value};

use crate::acts::{Place, play};
use crate::{Driver, list, text, trace};

const KINDS: &[&str] = &["exec", "http", "delay", "inflight", "signal"];

/// Handles by name.
#[derive(Default)]
pub struct Handles(Mutex<HashMap<String, HookHandle>>);

impl Handles {
    /// The handle of that hook.
    pub fn get(&self, name: &str) -> HookHandle {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[name].clone()
    }
}

/// Registers it; false (and a line of the trace) when that is refused.
pub fn add(driver: &Arc<Driver>, spec: &Value) -> bool {
    let name = text(spec, "name");
    let added = match KINDS.iter().find(|k| spec.get(**k).is_some()) {
        Some(kind) => declared(driver, spec, kind),
        None if spec.get("wasm").is_some() => {
            graceshut_wasm::Wasm::from_json(&spec["wasm"]).and_then(|module| module.register(builder(driver, spec)))
        }
        None => function(driver, spec),
    };
    match added {
        Ok(handle) => {
            driver.hooks.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), handle);
            true
        }
        Err(e) => {
            trace::error(name, &e);
            false
        }
    }
}

fn declared(driver: &Driver, spec: &Value, kind: &str) -> Result<HookHandle, Error> {
    let mut table = Map::new();
    for key in ["phase", "name", "after", "optional", kind] {
        table.insert(key.to_owned(), spec[key].clone());
    }
    if let Some(ms) = spec["timeout_ms"].as_u64() {
        table.insert("timeout".to_owned(), format!("{ms}ms").into());
    }
    let hook = hook_from_json(&Value::Object(table).to_string(), NumberUnit::Refused)?;
    driver.gs().declare(&hook)
}

fn builder(driver: &Driver, spec: &Value) -> HookBuilder {
    let mut builder = driver.gs().hook(text(spec, "phase"), text(spec, "name"));
    if let Some(ms) = spec["timeout_ms"].as_u64() {
        builder = builder.timeout(Duration::from_millis(ms));
    }
    for name in list(spec, "after") {
        builder = builder.after(name.as_str().unwrap_or_default());
    }
    builder.optional(spec["optional"].as_bool().unwrap_or(false))
}

fn function(driver: &Arc<Driver>, spec: &Value) -> Result<HookHandle, Error> {
    let (d, own) = (Arc::clone(driver), spec.clone());
    let builder = builder(driver, spec);
    if text(spec, "form") == "sync" {
        return builder.run(move |ctx| body(&d, &own, ctx.clone()));
    }
    // A future on an executor of its own: one thread that polls it to its end.
    builder.future(|future| drop(std::thread::spawn(move || finish(future))), move |ctx| async move { body(&d, &own, ctx) })
}

/// The future is ready when it was polled once: its steps block their own thread.
fn finish(mut future: graceshut::BoxFuture) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while future.as_mut().poll(&mut context).is_pending() {
        std::thread::yield_now();
    }
}

fn body(driver: &Arc<Driver>, spec: &Value, ctx: Context) -> HookResult {
    let name = text(spec, "name").to_owned();
    trace::start(&name, &ctx);
    let told = Arc::new(Mutex::new(false));
    let (flag, hook) = (Arc::clone(&told), name.clone());
    ctx.on_cancel(move || tell_cancel(&flag, &hook));
    let result = play(driver, list(spec, "steps"), &Place { hook: Some((name.clone(), ctx, told)) });
    match &result {
        Ok(()) => trace::end(&name, "ok", None),
        Err(graceshut::HookError::Cancelled) => trace::end(&name, "cancelled", None),
        Err(e) => trace::end(&name, "failed", Some(&e.to_string())),
    }
    result
}

/// Writes it once.
pub fn tell_cancel(told: &Mutex<bool>, name: &str) {
    // Written when either caller returns: the end that follows must not overtake it.
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    if !std::mem::replace(&mut *told, true) {
        trace::line("cancel", Some(name), Value::Null);
    }
}
