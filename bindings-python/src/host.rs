//! What Python supplies to core: how to leave, and that its handler is always called after ours.
//!
//! Leaving is `SystemExit` in the main thread (spec 6.5). Core says so on a thread of its own; [`main_thread`] reaches it.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use graceshut::clock::At;
use graceshut::config::{self, NumberUnit, Source, Sources};
use graceshut::signal::{self, Outside, neighbour};
use graceshut::{Action, Chain, ExitPlan, Host};
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::gate;
use crate::main_thread;
use crate::values::to_json;

/// The status to leave with; [`NOTHING`] before that is decided.
static CODE: AtomicI32 = AtomicI32::new(NOTHING);
const NOTHING: i32 = i32::MIN;
/// A program that waits for the end in its main thread has had the time to leave by itself: it may be told to.
static MAY_TELL: AtomicBool = AtomicBool::new(false);
/// The main thread has raised, or is ending by itself.
static LEAVING: AtomicBool = AtomicBool::new(false);
/// It is ending, by itself or because it was told to.
static ENDS: AtomicBool = AtomicBool::new(false);
/// The main thread waits, or has waited, for the beginning of the shutdown: the program stops by itself.
static STOPS_BY_ITSELF: AtomicBool = AtomicBool::new(false);
/// Coroutines of the main thread that wait for the end and will leave by themselves.
static LEAVERS: AtomicU32 = AtomicU32::new(0);
/// Loops of the main thread that end, and wait for the hooks on them first.
static ENDING_LOOPS: AtomicU32 = AtomicU32::new(0);
/// The main thread belongs to a server in C, which takes no call to leave.
static MAIN_IN_C: AtomicBool = AtomicBool::new(false);
/// How often it is looked whether the main thread has heard.
const LOOK: Duration = Duration::from_millis(1);
/// How long its own handler has to end the process.
const ENDS_BY_ITSELF: Duration = Duration::from_secs(1);
/// Signals that the program has a handler of its own for, a bit each.
static OWN_HANDLERS: AtomicU64 = AtomicU64::new(0);
/// INT is a KeyboardInterrupt as things are now, which the program may catch.
static INTERRUPTS: AtomicBool = AtomicBool::new(false);
/// The main thread waits for the end as the last thing it does.
static WAITING: AtomicU32 = AtomicU32::new(0);
/// The main thread has waited for the end, and goes on since it came: it may be ahead of the core, which asks when the report is
/// written.
static SAW_THE_END: AtomicBool = AtomicBool::new(false);

/// A program is still starting for this long after `install`.
const STARTING: Duration = Duration::from_secs(1);
/// How long such a coroutine may take to get the main thread out.
const LEAVER_LIMIT: Duration = Duration::from_millis(500);
/// Pauses between the first attempts to reach the main thread, and between all later ones. After the first ones a main thread
/// that sleeps through them is left behind.
const AGAIN: [Duration; 3] = [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];
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
        // Called again at D where the first SystemExit was swallowed.
        LEAVING.store(ENDS.load(SeqCst), SeqCst);
        if !ask_to_leave(plan.code, Duration::ZERO) {
            MAY_TELL.store(true, SeqCst);
            main_thread::kick();
        }
    }

    /// `SystemExit` serves a main thread that is about to call `wait` just as well, without the 50 ms. Only a program that
    /// has just started is given them: it may have something to do after its `wait`.
    fn leaves_by_wait(&self) -> bool {
        At::now() - self.since < STARTING
    }

    /// The program's own callable, a loop's, native code's, and `KeyboardInterrupt` for INT: the program may be ending by itself.
    fn has_own_handler(&self, signo: i32) -> bool {
        if STOPS_BY_ITSELF.load(SeqCst) {
            return true;
        }
        let pythons = OWN_HANDLERS.load(SeqCst) & bit_of(signo) != 0 && !neighbour::is_left_out(signo);
        pythons || main_thread::native_code_hears(signo)
    }

    fn hears_of(&self, signo: i32) -> bool {
        signo == libc::SIGINT && INTERRUPTS.load(SeqCst)
    }

    fn is_leaving(&self) -> bool {
        ENDS.load(SeqCst)
    }

    fn is_waiting(&self) -> bool {
        WAITING.load(SeqCst) != 0 || SAW_THE_END.load(SeqCst)
    }

    /// CPython's handler only sets flags and writes a byte (embedding B15). A JVM's would end the process (E35).
    fn chain(&self, _signo: i32) -> Chain {
        Chain::UnlessItExits
    }
}

fn bit_of(signo: i32) -> u64 {
    u32::try_from(signo - 1).ok().and_then(|n| 1_u64.checked_shl(n)).unwrap_or(0)
}

fn ask_to_leave(code: i32, after: Duration) -> bool {
    let ask = move || {
        std::thread::sleep(after);
        leave(code);
    };
    std::thread::Builder::new().name("gs-exit".to_owned()).stack_size(256 * 1024).spawn(ask).is_ok()
}

fn leave(code: i32) {
    if LEAVERS.load(SeqCst) > 0 || ENDING_LOOPS.load(SeqCst) > 0 {
        std::thread::sleep(LEAVER_LIMIT);
    }
    if MAIN_IN_C.load(SeqCst) {
        return leave_main_in_c(code);
    }
    MAY_TELL.store(true, SeqCst);
    let before = main_thread::times_it_came_by();
    tell_in_passing(before);
    for attempt in 0.. {
        if LEAVING.load(SeqCst) {
            return;
        }
        if !main_thread::kick() {
            // Installed outside the main thread, and that never came by: it can be told between two instructions only.
            main_thread::ask_between_instructions();
        }
        // The main thread may have every signal blocked, be deep in C, or be in a step after fork, where nothing can be
        // raised: it is asked until it leaves, or the watchdog ends the process.
        std::thread::sleep(AGAIN.get(attempt).copied().unwrap_or(RARELY));
        let unheard = || !LEAVING.load(SeqCst) && main_thread::times_it_came_by() == before && main_thread::sleeps();
        if attempt + 1 >= AGAIN.len() && unheard() {
            leave_without_main(code, unheard);
        }
    }
}

/// A main thread that runs Python is told between two instructions. A signal is for one that sleeps: its handler also writes to the
/// wake-up descriptor, which a loop on its way out has closed and not yet taken back, and CPython complains about that on stderr.
fn tell_in_passing(before: u32) {
    if !main_thread::ask_between_instructions() {
        return;
    }
    let mut slept = 0;
    for _ in 0..AGAIN[0].as_millis() {
        std::thread::sleep(LOOK);
        let came = main_thread::times_it_came_by() != before;
        slept = if main_thread::sleeps() { slept + 1 } else { 0 };
        // Asleep for two looks: not for a moment, in a lock of ours.
        if LEAVING.load(SeqCst) || slept == 2 && !came {
            return;
        }
    }
}

/// The server's own handler is called now, in its thread, which has no more to do; without one that thread is left behind.
fn leave_main_in_c(code: i32) {
    let told = gate::with_python(|py| {
        let told = py.import("graceshut._signals").and_then(|m| m.call_method0("give_back"));
        told.and_then(|told| told.is_truthy()).unwrap_or(false)
    });
    if told == Some(true) {
        std::thread::sleep(ENDS_BY_ITSELF);
    }
    leave_without_main(code, || true);
}

/// The main thread sleeps in a call that no signal ends (a server's accept loop in C): it is not waited for any longer.
fn leave_without_main(code: i32, unheard: impl Fn() -> bool) {
    gate::with_python_last(|py| {
        // Where the GIL was what it slept for, it can have it now.
        py.detach(|| std::thread::sleep(AGAIN[1]));
        if !unheard() || LEAVING.swap(true, SeqCst) {
            return;
        }
        if let Err(error) = py.import("graceshut._exit").and_then(|m| m.call_method0("leave_without_main")) {
            error.write_unraisable(py, None);
        }
        graceshut::exit_now(code);
    });
}

/// The signals that `options`, file and environment come to, as (number, taken even if inherited as ignored, ignored by us, stops).
#[pyfunction]
pub(crate) fn managed_signals(py: Python<'_>, options: &Bound<'_, PyAny>) -> PyResult<Vec<(i32, bool, bool, bool)>> {
    let options = config::read(&to_json(options, "")?, NumberUnit::Seconds, &Source::Code).or_raise(py)?;
    let config = config::resolve(options, &Sources::from_process()).or_raise(py)?;
    let managed = config.signals.iter().filter(|s| s.action != Action::Default);
    Ok(managed
        .map(|s| (s.signo, s.explicit || s.signo == libc::SIGTERM, s.action == Action::Ignore, s.action == Action::Stop))
        .collect())
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

/// The signals that the program has, or had, a handler of its own for, a bit each (bit 0: signal 1), and whether INT is a KeyboardInterrupt.
#[pyfunction]
pub(crate) fn set_own_handlers(signals: u64, interrupts: bool) {
    OWN_HANDLERS.store(signals, SeqCst);
    INTERRUPTS.store(interrupts, SeqCst);
}

/// The main thread begins (True) or ends to wait for the end. `saw_it`: it goes on because the shutdown is over.
#[pyfunction]
#[pyo3(signature = (waits, saw_it = false))]
pub(crate) fn set_waiting(waits: bool, saw_it: bool) {
    SAW_THE_END.fetch_or(saw_it, SeqCst);
    count(&WAITING, waits);
}

/// An event loop of the main thread begins (True) or has ceased to wait for the hooks on it before it ends.
#[pyfunction]
pub(crate) fn set_loop_ends(waits: bool) {
    count(&ENDING_LOOPS, waits);
}

fn count(of: &AtomicU32, more: bool) {
    if more {
        of.fetch_add(1, SeqCst);
    } else {
        of.fetch_sub(1, SeqCst);
    }
}

/// The status to raise `SystemExit` with, once: for the callable in the main thread.
#[pyfunction]
pub(crate) fn exit_due() -> Option<i32> {
    let code = CODE.load(SeqCst);
    (code != NOTHING && MAY_TELL.load(SeqCst) && !LEAVING.swap(true, SeqCst)).then_some(code)
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
    ENDS.store(begins, SeqCst);
    if !begins {
        STOPS_BY_ITSELF.store(false, SeqCst);
        CODE.store(NOTHING, SeqCst);
        MAY_TELL.store(false, SeqCst);
        SAW_THE_END.store(false, SeqCst);
    }
}

/// A coroutine of the main thread begins (True) or ends to wait for the end.
#[pyfunction]
pub(crate) fn set_leaver(waits: bool) {
    count(&LEAVERS, waits);
}

/// The main thread waits for the beginning of the shutdown: the program is about to know of it, and stops by itself (spec 6.6).
#[pyfunction]
pub(crate) fn set_stops_by_itself() {
    STOPS_BY_ITSELF.store(true, SeqCst);
}

/// Whether the main thread is one that is left behind at the end: what is raised in it would be raised amid a request, and swallowed.
#[pyfunction]
pub(crate) fn set_main_in_c(there: bool) {
    MAIN_IN_C.store(there, SeqCst);
}

/// A forked child begins anew.
#[pyfunction]
pub(crate) fn after_fork() {
    set_main_in_c(false);
    gate::after_fork();
    main_thread::after_fork();
    LEAVERS.store(0, SeqCst);
    WAITING.store(0, SeqCst);
    ENDING_LOOPS.store(0, SeqCst);
    exit_begins(false);
}
