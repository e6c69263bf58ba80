//! What code on native threads waits with and starts threads by: `threading`'s own are the program's to replace, and gevent's and
//! eventlet's make a hub on the thread that uses them, which crashes when that thread ends.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use graceshut::clock::At;
use graceshut::wake::Wake;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::gate::with_python;

/// Looked at at least this often, so that no reckoning with clocks can keep a thread for ever.
const LOOK: Duration = Duration::from_secs(3600);

/// As `threading.Event`, for any thread.
#[pyclass(frozen, module = "graceshut._graceshut")]
#[derive(Default)]
pub(crate) struct Event {
    set: AtomicBool,
    wake: Wake,
}

#[pymethods]
impl Event {
    #[new]
    fn new() -> Event {
        Event::default()
    }

    /// From now on it is set.
    fn set(&self) {
        self.set.store(true, SeqCst);
        self.wake.notify();
    }

    /// Whether it is set.
    fn is_set(&self) -> bool {
        self.set.load(SeqCst)
    }

    /// Waits until it is set, at most `seconds`; whether it is. Others run meanwhile; a signal ends no wait.
    #[pyo3(signature = (seconds = None))]
    fn wait(&self, py: Python<'_>, seconds: Option<f64>) -> bool {
        let until = seconds.map_or(At::NEVER, |s| At::now().plus(Duration::try_from_secs_f64(s).unwrap_or_default()));
        py.detach(|| {
            loop {
                let seen = self.wake.seen();
                if self.is_set() || At::now() >= until {
                    break self.is_set();
                }
                self.wake.wait(seen, until.min(At::now().plus(LOOK)));
            }
        })
    }
}

/// Runs `f` on a native thread of its own. Raises RuntimeError where none can be made.
#[pyfunction]
pub(crate) fn spawn(f: Py<PyAny>) -> PyResult<()> {
    let run = move || {
        with_python(|py| {
            if let Err(error) = f.call0(py) {
                error.write_unraisable(py, None);
            }
        });
    };
    let made = std::thread::Builder::new().name("gs-own-loop".to_owned()).spawn(run);
    made.map(drop).map_err(|e| PyRuntimeError::new_err(format!("cannot make a thread: {e}")))
}

/// Writes one byte to a descriptor that does not block. Python's `os.write` may be a library's. Raises OSError.
#[pyfunction]
pub(crate) fn write_byte(fd: i32) -> PyResult<()> {
    // SAFETY: one byte of a static; a number that is no descriptor is an error.
    let written = unsafe { libc::write(fd, b"!".as_ptr().cast(), 1) };
    if written == 1 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
}
