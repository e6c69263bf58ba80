//! What Python supplies to core: how to leave, and that its handler is always called after ours.
//!
//! Leaving is `SystemExit` in the main thread (spec 6.5). Core says so on a thread of its own, so a signal is sent to the main
//! thread: CPython's handler, chained below ours, sets its flag, blocking calls return with EINTR, and the callable that
//! `graceshut._signals` registered for that signal raises. It gets through sleep, select, locks and every event loop.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use graceshut::clock::At;
use graceshut::config::{self, NumberUnit, Source, Sources};
use graceshut::signal::{self, Outside};
use graceshut::{Action, Chain, ExitPlan, Host};
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::gate;
use crate::values::to_json;

/// A managed signal whose Python handler is ours, and the main thread's pthread; 0: none.
static KICK: AtomicI32 = AtomicI32::new(0);
static MAIN: AtomicU64 = AtomicU64::new(0);
/// The status to leave with; [`NOTHING`] before that is decided.
static CODE: AtomicI32 = AtomicI32::new(NOTHING);
const NOTHING: i32 = i32::MIN;
/// The main thread has raised, or is ending by itself.
static LEAVING: AtomicBool = AtomicBool::new(false);
/// Coroutines of the main thread that wait for the end and will leave by themselves.
static LEAVERS: AtomicU32 = AtomicU32::new(0);

/// A program is still starting for this long after `install`.
const STARTING: Duration = Duration::from_secs(1);
/// How long such a coroutine may take to get the main thread out.
const LEAVER_LIMIT: Duration = Duration::from_millis(500);
/// Pauses between the first attempts to reach the main thread, and between all later ones.
const AGAIN: [Duration; 4] = [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500), RARELY];
const RARELY: Duration = Duration::from_secs(1);

/// How long a `SystemExit` that was lost leaves the main thread to come out of where it was.
const LOST: Duration = Duration::from_millis(5);

/// CPython.
pub(crate) struct CPython {
    /// `3.11.7`.
    version: String,
    since: At,
}

impl CPython {
    pub(crate) fn new(version: String) -> CPython {
        CPython { version, since: At::now() }
    }
}

impl Host for CPython {
    fn language(&self) -> &str {
        "python"
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn exit(&self, plan: ExitPlan) {
        CODE.store(plan.code, SeqCst);
        if !ask_to_leave(plan.code, Duration::ZERO) {
            kick();
        }
    }

    /// `SystemExit` serves a main thread that is about to call `wait` just as well, without the 50 ms. Only a program that
    /// has just started is given them: it may have something to do after its `wait`.
    fn leaves_by_wait(&self) -> bool {
        At::now() - self.since < STARTING
    }

    /// CPython's handler only sets flags and writes a byte (embedding B15).
    fn chain(&self, _signo: i32) -> Chain {
        Chain::Always
    }
}

fn ask_to_leave(code: i32, after: Duration) -> bool {
    let ask = move || {
        std::thread::sleep(after);
        leave(code);
    };
    std::thread::Builder::new().name("gs-exit".to_owned()).stack_size(256 * 1024).spawn(ask).is_ok()
}

fn leave(code: i32) {
    if LEAVERS.load(SeqCst) > 0 {
        std::thread::sleep(LEAVER_LIMIT);
    }
    for attempt in 0.. {
        if LEAVING.load(SeqCst) {
            return;
        }
        if !kick() {
            if attempt >= AGAIN.len() {
                graceshut::exit_now(code);
            }
            // Installed outside the main thread, and that never came by: it can be told between two instructions only.
            raise_there();
        }
        // The main thread may have every signal blocked, be deep in C, or be in a step after fork, where nothing can be
        // raised: it is asked until it leaves, or the watchdog ends the process.
        std::thread::sleep(AGAIN.get(attempt).copied().unwrap_or(RARELY));
    }
}

/// Sends the main thread the signal; false when there is none to send.
fn kick() -> bool {
    let (signo, main) = (KICK.load(SeqCst), MAIN.load(SeqCst));
    if signo == 0 || main == 0 {
        return false;
    }
    // SAFETY: `main` is the pthread of Python's main thread, which lives until `exit` has returned control to libc; from
    // `exit_begins` on nobody comes here. `signo` has our handler: `set_kick` is given 0 before that is taken away.
    unsafe { libc::pthread_kill(main as libc::pthread_t, signo) };
    true
}

fn raise_there() {
    gate::with_python(|py| {
        let exit = py.get_type::<pyo3::exceptions::PySystemExit>();
        let main = MAIN.load(SeqCst);
        if main != 0 && !LEAVING.load(SeqCst) {
            // SAFETY: the GIL is held; the call takes a thread's ident and a borrowed exception class.
            unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(main as std::ffi::c_long, exit.as_ptr()) };
        }
    });
}

/// The signals that `options`, file and environment come to, as (number, taken even if inherited as ignored, ignored by us).
#[pyfunction]
pub(crate) fn managed_signals(py: Python<'_>, options: &Bound<'_, PyAny>) -> PyResult<Vec<(i32, bool, bool)>> {
    let options = config::read(&to_json(options, "")?, NumberUnit::Seconds, &Source::Code).or_raise(py)?;
    let config = config::resolve(options, &Sources::from_process()).or_raise(py)?;
    let managed = config.signals.iter().filter(|s| s.action != Action::Default);
    Ok(managed.map(|s| (s.signo, s.explicit || s.signo == libc::SIGTERM, s.action == Action::Ignore)).collect())
}

/// Python's handlers, the GIL's own functions and the end of the process all belong to the main interpreter (embedding B23).
#[pyfunction]
pub(crate) fn in_main_interpreter(_py: Python<'_>) -> bool {
    // SAFETY: the GIL is held, so there is a current interpreter.
    let current = unsafe { pyo3::ffi::PyInterpreterState_Get() };
    // SAFETY: `current` is the living interpreter of this thread.
    unsafe { pyo3::ffi::PyInterpreterState_GetID(current) == 0 }
}

/// What a signal meets in a child that is not armed: 0 the default action, 1 nothing, else what CPython has there.
#[pyfunction]
pub(crate) fn set_outside(signo: i32, view: i32) {
    let outside = match view {
        0 => Outside::Default,
        1 => Outside::Ignored,
        _ => Outside::Saved,
    };
    signal::set_outside(signo, outside);
}

/// How the main thread is reached: by which signal, and which thread it is.
#[pyfunction]
pub(crate) fn set_kick(signo: i32, main: u64) {
    MAIN.store(main, SeqCst);
    KICK.store(signo, SeqCst);
}

/// The status to raise `SystemExit` with, once: for the callable in the main thread.
#[pyfunction]
pub(crate) fn exit_due() -> Option<i32> {
    let code = CODE.load(SeqCst);
    (code != NOTHING && !LEAVING.swap(true, SeqCst)).then_some(code)
}

/// The `SystemExit` was raised where nothing can be: the main thread is asked again, when it has had time to come out of there.
#[pyfunction]
pub(crate) fn exit_was_lost() {
    if LEAVING.swap(false, SeqCst) {
        ask_to_leave(CODE.load(SeqCst), LOST);
    }
}

/// The main thread ends by itself: nobody has to tell it. A new install begins with False.
#[pyfunction]
pub(crate) fn exit_begins(begins: bool) {
    LEAVING.store(begins, SeqCst);
    if !begins {
        CODE.store(NOTHING, SeqCst);
    }
}

/// A coroutine of the main thread begins (True) or ends to wait for the end.
#[pyfunction]
pub(crate) fn set_leaver(waits: bool) {
    if waits {
        LEAVERS.fetch_add(1, SeqCst);
    } else {
        LEAVERS.fetch_sub(1, SeqCst);
    }
}

/// Calls `graceshut._signals.finish_in_main()` in the main thread as soon as it runs bytecode (embedding B23).
#[pyfunction]
pub(crate) fn call_in_main() -> bool {
    extern "C" fn in_main(_: *mut std::ffi::c_void) -> std::ffi::c_int {
        let _ = std::panic::catch_unwind(|| {
            Python::try_attach(|py| {
                let done = py.import("graceshut._signals").and_then(|m| m.call_method0("finish_in_main"));
                if let Err(error) = done {
                    error.write_unraisable(py, None);
                }
            })
        });
        0
    }
    // SAFETY: the function is static, takes no argument and may be called at any later time, or never.
    unsafe { pyo3::ffi::Py_AddPendingCall(Some(in_main), std::ptr::null_mut()) == 0 }
}

/// A forked child begins anew.
#[pyfunction]
pub(crate) fn after_fork() {
    gate::after_fork();
    KICK.store(0, SeqCst);
    LEAVERS.store(0, SeqCst);
    exit_begins(false);
}
