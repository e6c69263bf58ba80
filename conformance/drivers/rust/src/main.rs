//! Plays conformance scenarios through graceshut's Rust API. See ../../../README.md.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a driver that cannot go on dies: the runner sees it")]

mod acts;
mod hooks;
mod trace;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::FromRawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use graceshut::config::{NumberUnit, options_from_json};
use graceshut::{Error, EventView, Runtime, install};
use serde_json::Value;

use crate::acts::{Place, play, play_one};
use crate::trace::{error, line};

/// What every part of the driver knows.
pub struct Driver {
    gs: Mutex<Runtime>,
    /// Options of the scenario.
    options: Value,
    hooks: hooks::Handles,
    units: acts::Units,
}

impl Driver {
    /// The latest install.
    pub fn gs(&self) -> Runtime {
        self.gs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, gs: Runtime) {
        *self.gs.lock().unwrap_or_else(PoisonError::into_inner) = gs;
    }
}

/// A text of an object.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A list of an object.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn installed(options: &Value) -> Result<Runtime, Error> {
    graceshut_wasm::enable();
    options_from_json(&options.to_string(), NumberUnit::Refused).and_then(install)
}

fn on_event(watched: &[Value], event: &EventView) {
    if watched.iter().any(|w| w == event.event) {
        let fields = serde_json::json!({
            "hook": event.hook, "message": event.message, "done": event.value, "total": event.total,
        });
        line("event", Some(event.event), fields);
    }
}

fn register(driver: &Arc<Driver>, scenario: &Value) {
    let watched = list(scenario, "watch_events").to_vec();
    if !watched.is_empty() {
        driver.gs().on_event(move |e| on_event(&watched, e)).unwrap();
    }
    for spec in list(scenario, "reloads") {
        let (d, spec) = (Arc::clone(driver), spec.clone());
        let name = text(&spec, "name").to_owned();
        let reload = move || {
            line("reload", Some(text(&spec, "name")), Value::Null);
            play(&d, list(&spec, "steps"), &Place::default())
        };
        driver.gs().on_reload(&name, reload).unwrap();
    }
    for spec in list(scenario, "hooks") {
        hooks::add(driver, spec);
    }
}

/// What main is to play.
static TO_MAIN: OnceLock<Sender<Value>> = OnceLock::new();

fn to_main(act: Value) {
    let _ = TO_MAIN.get().map(|main| main.send(act)); // a main that is gone plays nothing
}

/// Only main can do these.
fn is_mains(act: &Value) -> bool {
    matches!(text(act, "do"), "return" | "exit" | "raise" | "hold")
}

fn read_control(driver: Arc<Driver>, control: File) {
    for line in BufReader::new(control).lines().map_while(Result::ok) {
        let act: Value = serde_json::from_str(&line).unwrap();
        if is_mains(&act) {
            to_main(act);
        } else {
            let _ = play_one(&driver, &act, &Place::default());
        }
    }
    // Nobody ends this program but a scenario.
    loop {
        std::thread::park();
    }
}

/// Never calls wait: blocks, and returns when it is told to.
fn idle(driver: &Arc<Driver>, acts: &Receiver<Value>) {
    while let Ok(act) = acts.recv() {
        match text(&act, "do") {
            "return" => return line("return", None, Value::Null),
            "raise" => {
                line("raise", None, Value::Null);
                panic!("{}", text(&act, "message"));
            }
            _ => drop(play_one(driver, &act, &Place::default())),
        }
    }
}

fn main() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let scenario: Value = serde_json::from_str(&std::fs::read_to_string(variable("CONFORMANCE_SCENARIO")).unwrap()).unwrap();
    let gs = match installed(&scenario["options"]) {
        Ok(gs) => gs,
        Err(e) => {
            error("install", &e);
            std::process::exit(3);
        }
    };
    let driver = Arc::new(Driver {
        gs: Mutex::new(gs),
        options: scenario["options"].clone(),
        hooks: hooks::Handles::default(),
        units: acts::Units::default(),
    });
    register(&driver, &scenario);
    let (main, for_main) = channel();
    let _ = TO_MAIN.set(main); // the only time
    // SAFETY: the runner opened this descriptor for us alone.
    let control = unsafe { File::from_raw_fd(variable("CONFORMANCE_CONTROL_FD").parse().unwrap()) };
    let reader = Arc::clone(&driver);
    std::thread::spawn(move || read_control(reader, control));
    let _ = play(&driver, list(&scenario, "before"), &Place::default());
    line("ready", None, Value::Null);
    if text(&scenario, "main") == "idle" {
        return idle(&driver, &for_main);
    }
    let code = match driver.gs().wait(None) {
        Ok(finished) => finished.exit.code,
        Err(e) => {
            error("wait", &e);
            1
        }
    };
    line("waited", None, serde_json::json!({ "code": code }));
    let _ = play(&driver, list(&scenario, "after_wait"), &Place::default());
    std::process::exit(code);
}
