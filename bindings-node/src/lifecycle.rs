//! Install, triggers, the end: what `lib/graceshut.js` calls.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use graceshut::config::NumberUnit;
use graceshut::inflight::DRAINING;
use graceshut::{ErrorKind, InFlight, Installer, OwnHandler, ReasonKind};
use napi::Env;
use napi::bindgen_prelude::Function;
use napi_derive::napi;

use crate::bridge::{self, Args, Message};
use crate::error::{Result, living, refuse, thrown};
use crate::host::Node;

/// How long the thread of events waits for the report when the plan is over; the core gives up writing it sooner.
const REPORT_LIMIT: Duration = Duration::from_secs(5);

/// How often the exiting thread looks whether drain has begun.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The environment's cleanup hook is registered.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The living install is of a sandbox (a test runner's file), which ends without telling anybody: the next realm takes over.
static SANDBOXED: AtomicBool = AtomicBool::new(false);

/// Installs, or compares `options` with those of the living install. `listened`: signals that have a listener.
/// `known`: the caller holds the living install. `sandboxed`: the caller's realm is not the main one of its thread.
///
/// # Errors
/// As `graceshut::install`; `Disagree` when another JavaScript realm or copy of the package holds the living install and is no
/// sandbox, or its shutdown is under way.
#[napi(catch_unwind)]
pub fn install(
    env: Env,
    options: String,
    version: String,
    listened: Vec<i32>,
    known: bool,
    sandboxed: bool,
    post: Function<'_, Args, ()>,
) -> Result<()> {
    #[cfg(feature = "wasm")]
    graceshut_wasm::enable();
    let options = graceshut::config::options_from_json(&options, NumberUnit::Millis).map_err(|e| thrown(&e))?;
    if !known {
        take_over()?;
    }
    let again = graceshut::current().is_some();
    // Before the install: a signal may start hooks the moment it returns.
    if !again {
        SANDBOXED.store(sandboxed, SeqCst);
        bridge::open(&post)?;
        if !WATCHED.swap(true, SeqCst) {
            env.add_env_cleanup_hook((), |()| environment_ends())?;
        }
    }
    let installed = Installer::new(Box::new(Node { version, listened })).install(options).and_then(|runtime| {
        if again {
            return Ok(());
        }
        let waiting = runtime.clone();
        runtime.on_event(move |event| {
            let json = event.to_json();
            bridge::post_all(|| Message::Event(json.clone()));
            if event.event == "finished" {
                // After every event; for a host end and an uncaught error nobody else tells the loop.
                if let Some(code) = decided(&waiting) {
                    bridge::post_all(|| Message::Finished(code));
                }
            }
        })
    });
    installed.map_err(|e| {
        if !again {
            if let Some(runtime) = graceshut::current() {
                let _ = runtime.uninstall(); // the first error is the one to tell
            }
            bridge::close();
        }
        thrown(&e)
    })
}

/// The status, once it is decided. A program that ends anyway is told when the report is written; elsewhere the thread of events
/// may not stand in `wait`, since who waits there leaves first (spec 6.6).
fn decided(runtime: &graceshut::Runtime) -> Option<i32> {
    let ends = runtime.reason().is_some_and(|r| matches!(r.kind, ReasonKind::HostEnd | ReasonKind::Uncaught));
    if ends {
        return runtime.wait(Some(REPORT_LIMIT)).ok().map(|finished| finished.exit.code);
    }
    let until = Instant::now() + REPORT_LIMIT;
    while runtime.exit_plan().is_none() && Instant::now() < until {
        std::thread::sleep(LOOK_EVERY);
    }
    runtime.exit_plan().map(|exit| exit.code)
}

/// Ends the install of another realm where that is a sandbox: a test runner makes one for each file, lets it go without a word,
/// and the next file installs. A realm that still lives finds its install closed.
fn take_over() -> Result<()> {
    let Some(runtime) = graceshut::current() else { return Ok(()) };
    if SANDBOXED.load(SeqCst) && runtime.uninstall().is_ok() {
        bridge::post(bridge::MAIN, Message::Closed);
        bridge::close();
        return Ok(());
    }
    let message =
        "another JavaScript realm of this process (vm context, test runner) holds the install; uninstall it there first";
    refuse(ErrorKind::Disagree, message)
}

/// C28: the environment is going; nothing may reach it any more, and its hooks cannot run.
fn environment_ends() {
    WATCHED.store(false, SeqCst);
    bridge::close();
    if let Some(runtime) = graceshut::current() {
        runtime.host_closed();
    }
}

/// Joins the main thread's install from a worker thread; the number of this environment.
///
/// # Errors
/// `WrongThread` when the main thread has none.
#[napi(catch_unwind)]
pub fn join(env: Env, post: Function<'_, Args, ()>) -> Result<u32> {
    // Function pointers of this library are handed out below: it must outlive this thread (embedding C28).
    graceshut::process::pin::pin().map_err(|e| thrown(&e))?;
    let joined = if graceshut::current().is_some() { bridge::join(&post)? } else { None };
    let Some(number) = joined else {
        let message =
            "install graceshut in the main thread first: signals and the exit belong to the process; a worker thread joins";
        return refuse(ErrorKind::WrongThread, message);
    };
    // After the threadsafe function, and so run before its own: hooks of this kind run last first.
    env.add_env_cleanup_hook(number, worker_ends)?;
    Ok(number)
}

/// Compares `options` with those of the living install, from a worker thread that joined.
///
/// # Errors
/// `Disagree`, `Closed`, and as `graceshut::install` for options that are none.
#[napi(catch_unwind)]
pub fn agree(options: String) -> Result<()> {
    let runtime = living()?;
    let options = graceshut::config::options_from_json(&options, NumberUnit::Millis).map_err(|e| thrown(&e))?;
    let sources = graceshut::config::Sources::from_process();
    let config = graceshut::config::resolve(options, &sources).map_err(|e| thrown(&e))?;
    match runtime.config().difference(&config) {
        None => Ok(()),
        Some(what) => {
            let message = format!("the main thread installed graceshut with other options: {what}; call install() without any");
            refuse(ErrorKind::Disagree, message)
        }
    }
}

/// C28: a worker thread ends. Its hooks go with it, those that run have failed, its work in flight is given up.
fn worker_ends(env: u32) {
    let Some(mut remains) = bridge::part(env) else { return };
    if let Some(runtime) = graceshut::current() {
        for id in remains.hooks.drain(..) {
            let _ = runtime.remove(id); // running or done: its completion is below
        }
    }
    for (name, units) in remains.in_flight.drain(..) {
        if let Ok(group) = InFlight::group(&name) {
            (0..units).for_each(|_| group.leave());
        }
    }
    remains.end();
}

/// Ends the install; the handlers that were put back, and those that were somebody else's by then.
///
/// # Errors
/// `Closed`, `TooLate`, `WrongThread`.
#[napi(catch_unwind)]
pub fn uninstall() -> Result<()> {
    living()?.uninstall().map_err(|e| thrown(&e))?;
    bridge::close();
    Ok(())
}

/// Starts the shutdown. `grace`: empty, or a JSON value.
///
/// # Errors
/// `Closed`, `BadTime`.
#[napi(catch_unwind)]
pub fn stop(reason: String, grace: String) -> Result<()> {
    let runtime = living()?;
    let grace = if grace.is_empty() {
        None
    } else {
        let table = format!("{{\"grace\":{grace}}}");
        graceshut::config::options_from_json(&table, NumberUnit::Millis).map_err(|e| thrown(&e))?.grace
    };
    runtime.stop(&reason, grace).map_err(|e| thrown(&e))
}

/// Node ends by itself with `code`; `error`: by an uncaught one.
///
/// # Errors
/// `Closed`.
#[napi(catch_unwind)]
pub fn host_end(error: Option<String>, code: i32) -> Result<()> {
    let runtime = living()?;
    runtime.host_end(error.as_deref(), code).map_err(|e| thrown(&e))
}

/// The loop will not turn again: ends the JavaScript hooks, gives up the work in flight of `groups` (nobody is left to finish
/// it, and drain would wait for it in vain), waits here for the native hooks, answers the decided status. `code`: what the program
/// itself leaves with.
///
/// # Errors
/// `Closed`.
#[napi(catch_unwind)]
pub fn close_host_and_wait(groups: Vec<String>, code: i32) -> Result<i32> {
    let runtime = living()?;
    runtime.host_closed();
    // Not before drain has counted it: the report is to say what was left.
    while InFlight::default_group().page().word() < DRAINING {
        match runtime.wait(Some(LOOK_EVERY)) {
            Ok(_) => return left_with(&runtime, code),
            Err(e) if e.kind() == ErrorKind::Timeout => {}
            Err(e) => return Err(thrown(&e)),
        }
    }
    for name in groups {
        let group = InFlight::group(&name).map_err(|e| thrown(&e))?;
        (0..group.count()).for_each(|_| group.leave());
    }
    left_with(&runtime, code)
}

fn left_with(runtime: &graceshut::Runtime, code: i32) -> Result<i32> {
    Ok(runtime.host_leaves(code).map_err(|e| thrown(&e))?.code)
}

/// Ends a held install.
///
/// # Errors
/// `Closed`.
#[napi(catch_unwind)]
pub fn ready() -> Result<()> {
    living()?.ready().map_err(|e| thrown(&e))
}

/// This process accepts connections.
///
/// # Errors
/// `Closed`.
#[napi(catch_unwind)]
pub fn set_serving(serving: bool) -> Result<()> {
    living()?.set_serving(serving);
    Ok(())
}

/// Puts our handler on top of the one that is there now, and calls that one after ours if `chain`.
///
/// # Errors
/// `Closed`, `NotInstalled`, `Os`.
#[napi(catch_unwind)]
pub fn rearm(signo: i32, chain: bool) -> Result<()> {
    let chain = if chain { graceshut::Chain::Always } else { graceshut::Chain::Never };
    living()?.rearm(signo, chain).map_err(|e| thrown(&e))
}

/// The program has a listener of its own for `signo`, or has one no more (spec 6.6).
///
/// # Errors
/// `Closed`, `BadValue`.
#[napi(catch_unwind)]
pub fn own_handler(signo: i32, has: bool) -> Result<()> {
    living()?.set_own_handler(signo, if has { OwnHandler::Known } else { OwnHandler::None }).map_err(|e| thrown(&e))
}

/// Runs the reload hooks.
///
/// # Errors
/// `Closed`.
#[napi(catch_unwind)]
pub fn reload() -> Result<()> {
    living()?.reload().map_err(|e| thrown(&e))
}

/// Registers reload hook `id` of environment `env`: each reload posts it and its worker waits for `reload_done`.
///
/// # Errors
/// `Closed`, `BadValue`.
#[napi(catch_unwind)]
pub fn on_reload(env: u32, id: u32, name: String) -> Result<()> {
    let body = move || {
        let (answer, told) = std::sync::mpsc::sync_channel(1);
        let Some(call) = bridge::expect(env, answer) else {
            return Err(graceshut::HookError::failed("the environment has ended"));
        };
        bridge::post(env, Message::Reload { hook: id, call });
        match told.recv() {
            Ok(None) => Ok(()),
            Ok(Some(message)) => Err(graceshut::HookError::failed(message)),
            Err(_) => Err(graceshut::HookError::failed("the environment ended before the reload did")),
        }
    };
    living()?.on_reload_in_host(&name, body).map_err(|e| thrown(&e))
}

/// Reload `call` is done; `error` when it failed.
#[napi(catch_unwind)]
pub fn reload_done(call: u32, error: Option<String>) -> Result<()> {
    if let Some(waiting) = bridge::expected(call) {
        let _ = waiting.send(error); // the worker may be gone with its install
        return Ok(());
    }
    refuse(ErrorKind::TooLate, "this reload was answered already")
}
