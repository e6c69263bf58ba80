//! What a program can be told to do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use graceshut::{Context, Guard, HookError, HookResult, InFlight, Removal, State};
use serde_json::{Value, json};

use crate::trace::{end, error, line};
use crate::{Driver, hooks, installed, list, text};

/// Where acts run: in a hook (its name, its context, whether it told of a cancellation), or anywhere else.
#[derive(Default)]
pub struct Place {
    /// The hook.
    pub hook: Option<(String, Context, Arc<Mutex<bool>>)>,
}

impl Place {
    fn name(&self) -> &str {
        self.hook.as_ref().map_or("", |h| &h.0)
    }

    fn ctx(&self) -> &Context {
        &self.hook.as_ref().unwrap().1
    }

    fn tell_cancel(&self) {
        let (name, _, told) = self.hook.as_ref().unwrap();
        hooks::tell_cancel(told, name);
    }
}

/// Units of work in flight, by name.
#[derive(Default)]
pub struct Units(Mutex<HashMap<String, Guard>>);

impl Units {
    fn keep(&self, name: &str, guard: Guard) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), guard);
        line("entered", Some(name), Value::Null);
    }
}

/// Plays them one after another, until one of them is the end.
pub fn play(driver: &Arc<Driver>, acts: &[Value], place: &Place) -> HookResult {
    acts.iter().try_for_each(|act| play_one(driver, act, place))
}

/// Plays one.
pub fn play_one(driver: &Arc<Driver>, act: &Value, place: &Place) -> HookResult {
    match text(act, "do") {
        "mark" => line("mark", Some(text(act, "name")), Value::Null),
        word @ ("sleep" | "sleep_through" | "until_cancelled" | "spin" | "block") => return pause(word, act, place),
        "never" => loop {
            std::thread::park();
        },
        "fail" => return Err(HookError::failed(text(act, "message"))),
        "cancelled" => return Err(HookError::Cancelled),
        "panic" => {
            end(place.name(), "panic", Some(text(act, "message")));
            panic!("{}", text(act, "message"));
        }
        "exit" => {
            line("exit", None, Value::Null);
            if place.hook.is_some() {
                end(place.name(), "exit", None);
            }
            std::process::exit(act["code"].as_i64().unwrap_or(0) as i32);
        }
        "fatal" => fatal(text(act, "how")),
        "enter" | "part" | "leave" | "count" | "word" => work(driver, act),
        "caught" => line("caught", Some(text(act, "name")), json!({ "value": caught() })),
        "extend" | "progress" | "log" | "abandoned" | "remaining" => context(act, place),
        _ => runtime(driver, act),
    }
    Ok(())
}

fn pause(word: &str, act: &Value, place: &Place) -> HookResult {
    let time = Duration::from_millis(act["ms"].as_u64().unwrap_or(0));
    match word {
        "sleep" if place.hook.is_some() => {
            if place.ctx().wait_cancelled(time) {
                place.tell_cancel();
                return Err(HookError::Cancelled);
            }
        }
        "until_cancelled" => {
            if place.ctx().wait_cancelled(time) {
                place.tell_cancel();
            }
        }
        "spin" => {
            let until = Instant::now() + time;
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
        _ => std::thread::sleep(time),
    }
    Ok(())
}

fn fatal(how: &str) -> ! {
    line("fatal", None, Value::Null);
    if how == "abort" {
        std::process::abort();
    }
    // SAFETY: takes an integer.
    unsafe { libc::_exit(4) }
}

fn group(act: &Value) -> InFlight {
    InFlight::group(text(act, "group")).unwrap()
}

fn work(driver: &Driver, act: &Value) {
    let (new, of) = (text(act, "as"), text(act, "of"));
    match text(act, "do") {
        "enter" => match group(act).enter() {
            Some(guard) => driver.units.keep(new, guard),
            None => line("refused", Some(new), Value::Null),
        },
        "part" => {
            let part = driver.units.0.lock().unwrap_or_else(PoisonError::into_inner)[of].enter();
            driver.units.keep(new, part);
        }
        "leave" => {
            line("left", Some(of), Value::Null);
            drop(driver.units.0.lock().unwrap_or_else(PoisonError::into_inner).remove(of));
        }
        "count" => line("count", None, json!({ "value": group(act).count() })),
        _ => line("word", None, json!({ "value": driver.gs().inflight().page().word() })),
    }
}

fn context(act: &Value, place: &Place) {
    let (name, ctx) = (Some(place.name()), place.ctx());
    match text(act, "do") {
        "extend" => {
            let granted = ctx.extend(Duration::from_millis(act["ms"].as_u64().unwrap_or(0)));
            line("extended", name, json!({ "granted_us": granted.as_micros() as u64 }));
        }
        "progress" => ctx.progress(act["done"].as_u64().unwrap_or(0), act["total"].as_u64().unwrap_or(0)),
        "log" => ctx.log(text(act, "message")),
        "abandoned" => line("abandoned", name, json!({ "names": ctx.abandoned() })),
        _ => line("remaining", name, json!({ "us": ctx.remaining().map(|d| d.as_micros() as u64) })),
    }
}

/// Which signals this process catches, by the kernel's word.
fn caught() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|l| l.strip_prefix("SigCgt:")).map(|v| v.trim().to_owned())
}

/// The write end of a pipe: the handler's only business.
static HEARD: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_term(_: i32) {
    // SAFETY: one byte from memory that lives for ever; write is async-signal-safe.
    unsafe { libc::write(HEARD.load(Ordering::SeqCst), [1u8].as_ptr().cast(), 1) };
}

/// A handler of the program's own, which has main return after `ms`.
fn handle(ms: Option<u64>) {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors.
    unsafe { libc::pipe(ends.as_mut_ptr()) };
    HEARD.store(ends[1], Ordering::SeqCst);
    // SAFETY: the handler takes the signal's number and calls what a handler may call.
    unsafe { libc::signal(libc::SIGTERM, on_term as extern "C" fn(i32) as libc::sighandler_t) };
    std::thread::spawn(move || {
        let mut byte = [0u8];
        // SAFETY: there is room for one byte.
        unsafe { libc::read(ends[0], byte.as_mut_ptr().cast(), 1) };
        line("handled", None, Value::Null);
        if let Some(ms) = ms {
            std::thread::sleep(Duration::from_millis(ms));
            crate::to_main(json!({ "do": "return" }));
        }
    });
}

fn state(driver: &Driver) -> &'static str {
    match driver.gs().state() {
        State::Idle => "idle",
        State::Armed => "armed",
        State::Stopping(_) => "stopping",
        State::Stopped => "stopped",
    }
}

fn runtime(driver: &Arc<Driver>, act: &Value) {
    let word = text(act, "do");
    let done = match word {
        "stop" => {
            line("stop", None, Value::Null);
            driver.gs().stop(text(act, "reason"), act["grace_ms"].as_u64().map(Duration::from_millis))
        }
        "register" => {
            if hooks::add(driver, &act["hook"]) {
                line("registered", Some(text(&act["hook"], "name")), Value::Null);
            }
            Ok(())
        }
        "remove" => return remove(driver, text(act, "name")),
        "state" => return line("state", Some(state(driver)), Value::Null),
        "ready" => driver.gs().ready(),
        "install" => installed(if act["options"].is_null() { &driver.options } else { &act["options"] }).map(|gs| {
            driver.set(gs);
            line("installed", None, Value::Null);
        }),
        "handle" => {
            handle(act["ms"].as_u64());
            Ok(())
        }
        "uninstall" => driver.gs().uninstall().map(|_| line("uninstalled", None, Value::Null)),
        "wait" => driver.gs().wait(None).map(drop),
        _ => panic!("no act {word:?}: {:?}", list(act, "")),
    };
    if let Err(e) = done {
        error(word, &e);
    }
}

fn remove(driver: &Driver, name: &str) {
    match driver.hooks.get(name).remove() {
        Ok(answer) => {
            let answer = match answer {
                Removal::Removed => "removed",
                Removal::Running => "running",
                Removal::Done => "done",
            };
            line("removed", Some(name), json!({ "answer": answer }));
        }
        Err(e) => error(name, &e),
    }
}
