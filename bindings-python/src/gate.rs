//! The gate at finalisation (embedding B20): every entry of a native thread into Python goes through it.
//!
//! A native thread that asks for the GIL while the interpreter goes away aborts the process, on every version tried. So an
//! entry is counted, and an atexit callback closes the gate: from then on nobody goes in, and the interpreter is taken apart
//! only once nobody is inside. Closing has its own deadline; who calls it has released the GIL, since those inside may
//! still be waiting for it.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// The gate is closed.
const CLOSED: u32 = 1 << 31;

/// Those inside, and [`CLOSED`].
static WORD: AtomicU32 = AtomicU32::new(0);
/// Counts forks: an entry made in the parent is not undone in the child.
static GENERATION: AtomicU32 = AtomicU32::new(0);

struct Pass {
    generation: u32,
}

impl Drop for Pass {
    fn drop(&mut self) {
        if GENERATION.load(SeqCst) == self.generation {
            WORD.fetch_sub(1, SeqCst);
        }
    }
}

fn enter() -> Option<Pass> {
    let pass = Pass { generation: GENERATION.load(SeqCst) };
    // Counted before looking: either `close` sees us, or we see that it is closed.
    let before = WORD.fetch_add(1, SeqCst);
    if before & CLOSED == 0 { Some(pass) } else { None }
}

/// Runs `f` in the interpreter; `None` when it is closed or gone. Waits for the GIL: never called by the engine's thread.
pub(crate) fn with_python<T>(f: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let _pass = enter()?;
    Python::try_attach(f)
}

/// As [`with_python`], for what leaves the process in there: who closes the gate meanwhile does not wait for it.
pub(crate) fn with_python_last<T>(f: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let pass = enter()?;
    Python::try_attach(|py| {
        drop(pass);
        f(py)
    })
}

/// Closes and waits until nobody is inside; `false` when somebody still is after `limit`. The caller holds no GIL.
pub(crate) fn close(limit: Duration) -> bool {
    WORD.fetch_or(CLOSED, SeqCst);
    let until = Instant::now() + limit;
    // Once per process, at its end: looking again is simpler than a lock that a fork could leave locked.
    while WORD.load(SeqCst) & !CLOSED != 0 {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}

/// In a forked child nobody is inside: the threads that were are gone.
pub(crate) fn after_fork() {
    GENERATION.fetch_add(1, SeqCst);
    WORD.store(0, SeqCst);
}

/// The words for an exception: `ValueError: what it says`.
pub(crate) fn say(py: Python<'_>, error: &PyErr) -> String {
    let name = error.get_type(py).name().map_or_else(|_| "exception".to_owned(), |n| n.to_string());
    let words = error.value(py).str().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    if words.is_empty() { name } else { format!("{name}: {words}") }
}
