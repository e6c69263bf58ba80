//! Hooks written in Python: bodies on core's host lane, their context, and how they say that they are done.

use std::sync::{Mutex, PoisonError};

use graceshut::config::{self, NumberUnit};
use graceshut::{Completion, HookError, HookHandle, ReasonKind, Removal};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::error::OrRaise;
use crate::gate::{say, with_python};
use crate::main_thread;
use crate::values::{duration, text};

/// Registers `body(ctx, done)` as `spec` says; the keys of `spec` are those of a `[[hook]]` table without its kind.
pub(crate) fn register(py: Python<'_>, rt: &graceshut::Runtime, mut spec: Value, body: Py<PyAny>) -> PyResult<Hook> {
    // Core reads and judges the table; the kind is a stand-in, since a host function is none of its own.
    if let Some(table) = spec.as_object_mut() {
        table.insert("delay".to_owned(), json!(0));
    }
    let decl = config::hook_from_json(&spec.to_string(), NumberUnit::Seconds).or_raise(py)?;
    let mut builder = rt.hook(&decl.phase, &decl.name).optional(decl.optional).host_lane();
    if let Some(timeout) = decl.timeout {
        builder = builder.timeout(timeout);
    }
    for name in &decl.after {
        builder = builder.after(name);
    }
    let handle = builder.start(move |context, completion| run(&body, context, completion));
    Ok(Hook::of(handle.or_raise(py)?))
}

/// On a worker: enters Python and hands over. The Python side says `begin` when the body really begins.
fn run(body: &Py<PyAny>, context: graceshut::Context, completion: Completion) {
    let kept = Mutex::new(Some(completion));
    with_python(|py| {
        // Taken only inside: while the GIL is waited for, the completion is not yet anybody's.
        let Some(completion) = kept.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let called = Py::new(py, Done { inner: Mutex::new(Some(completion)) }).and_then(|done| {
            let context = Py::new(py, Context { inner: context })?;
            body.call1(py, (context, done.clone_ref(py)))
                .inspect_err(|error| done.get().end(Err(HookError::failed(say(py, error)))))
        });
        if let Err(error) = called {
            error.write_unraisable(py, None);
        }
    });
    // Not entered (the gate is closed): core was told `host_closed` before, and skipped this hook. The completion is dropped.
}

/// A registered hook.
#[pyclass(frozen, module = "graceshut._graceshut")]
pub(crate) struct Hook {
    handle: HookHandle,
    removed: Mutex<Option<Py<PyAny>>>,
}

impl Hook {
    pub(crate) fn of(handle: HookHandle) -> Hook {
        Hook { handle, removed: Mutex::new(None) }
    }
}

#[pymethods]
impl Hook {
    /// Takes the hook out: "removed", or "running" / "done" when it is too late.
    fn remove(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(match py.detach(|| self.handle.remove()).or_raise(py)? {
            Removal::Removed => {
                if let Some(f) = self.removed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    f.call0(py)?;
                }
                "removed"
            }
            Removal::Running => "running",
            Removal::Done => "done",
        })
    }

    /// Calls `f` once when the hook is taken out.
    fn _on_removed(&self, f: Py<PyAny>) {
        *self.removed.lock().unwrap_or_else(PoisonError::into_inner) = Some(f);
    }

    /// The hook's number, unique within one install.
    #[getter]
    fn id(&self) -> u32 {
        self.handle.id()
    }

    fn __repr__(&self) -> String {
        format!("<graceshut hook {}>", self.handle.id())
    }
}

/// The right to say once how a hook ended.
#[pyclass(frozen, module = "graceshut._graceshut")]
pub(crate) struct Done {
    inner: Mutex<Option<Completion>>,
}

impl Done {
    fn end(&self, result: Result<(), HookError>) {
        if let Some(completion) = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take() {
            completion.finish(result);
        }
    }
}

#[pymethods]
impl Done {
    /// The body begins now; False when its time has passed and it must not run.
    fn begin(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Completion::begin)
    }

    /// It ended well.
    fn ok(&self) {
        self.end(Ok(()));
    }

    /// It failed, in these words.
    fn failed(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        self.end(Err(HookError::failed(message.str()?.to_string_lossy())));
        Ok(())
    }

    /// It ended because it was cancelled.
    fn cancelled(&self) {
        self.end(Err(HookError::Cancelled));
    }

    /// It called sys.exit with this status.
    fn exit(&self, code: i64) {
        // As the kernel would cut it.
        self.end(Err(HookError::Exit((code & 0xff) as i32)));
    }
}

/// What a hook knows while it runs. Valid on any thread, also after the hook was abandoned.
#[pyclass(frozen, module = "graceshut._graceshut")]
pub(crate) struct Context {
    pub(crate) inner: graceshut::Context,
}

#[pymethods]
impl Context {
    /// The hook's own name.
    #[getter]
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// The phase it runs in.
    #[getter]
    fn phase(&self) -> &str {
        self.inner.phase()
    }

    /// Why the process stops: the first trigger.
    #[getter]
    fn reason(&self) -> Reason {
        Reason { inner: self.inner.reason() }
    }

    /// Seconds until the hard deadline, 0.0 when it has passed; None when there is no deadline.
    #[getter]
    fn remaining(&self) -> Option<f64> {
        self.inner.remaining().map(|d| d.as_secs_f64())
    }

    /// The hard deadline as time.monotonic() counts; None when there is none.
    #[getter]
    fn deadline(&self) -> Option<f64> {
        let at = self.inner.deadline();
        (!at.is_never()).then(|| std::time::Duration::from_nanos(at.0).as_secs_f64())
    }

    /// True from the soft deadline on: finish what cannot be left, and end.
    #[getter]
    fn cancelled(&self) -> bool {
        self.inner.cancelled()
    }

    /// Asks for more seconds before the soft deadline; answers what was granted, never past what later phases keep.
    fn extend(&self, py: Python<'_>, seconds: &Bound<'_, PyAny>) -> PyResult<f64> {
        let more = duration(seconds, "seconds")?.unwrap_or_default();
        Ok(py.detach(|| self.inner.extend(more)).as_secs_f64())
    }

    /// Names of the hooks that were abandoned earlier and still run.
    #[getter]
    fn abandoned(&self) -> Vec<String> {
        self.inner.abandoned()
    }

    /// Says a line through logging.getLogger("graceshut") and every event callback.
    fn log(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        self.inner.log(&message.str()?.to_string_lossy());
        Ok(())
    }

    /// Says how far the hook is: done of total (0: unknown). At most ten a second become events.
    #[pyo3(signature = (done, total = 0))]
    fn progress(&self, done: u64, total: u64) {
        self.inner.progress(done, total);
    }

    /// Sleeps until the hook is cancelled, at most this long; answers whether it was. In a hub other greenlets run meanwhile.
    fn wait_cancelled(this: &Bound<'_, Self>, seconds: &Bound<'_, PyAny>) -> PyResult<bool> {
        let limit = duration(seconds, "seconds")?.unwrap_or(std::time::Duration::from_secs(366 * 86_400));
        let py = this.py();
        if main_thread::in_hub() {
            return py.import("graceshut._hubs")?.call_method1("wait_cancelled", (this, limit.as_secs_f64()))?.extract();
        }
        let context = this.get();
        Ok(py.detach(|| context.inner.wait_cancelled(limit)))
    }

    /// Calls `f` on a worker when the hook is cancelled; at once when it already is.
    fn on_cancel(&self, f: Py<PyAny>) {
        self.inner.on_cancel(move || {
            with_python(|py| {
                if let Err(error) = f.call0(py) {
                    error.write_unraisable(py, None);
                }
            });
        });
    }

    fn __repr__(&self) -> String {
        format!("<graceshut context {}/{}>", self.inner.phase(), self.inner.name())
    }
}

/// Why the process stops: the typed record of the first trigger.
#[pyclass(frozen, module = "graceshut._graceshut")]
pub(crate) struct Reason {
    pub(crate) inner: graceshut::Reason,
}

#[pymethods]
impl Reason {
    /// "signal", "stop", "host_end", "uncaught", "prestop", "parent_death" or "stdin_eof".
    #[getter]
    fn kind(&self) -> &'static str {
        self.inner.kind.word()
    }

    /// The signal's number, for a signal.
    #[getter]
    fn signo(&self) -> Option<i32> {
        self.inner.signo
    }

    /// The signal's name without SIG, for a signal.
    #[getter]
    fn signal(&self) -> Option<&'static str> {
        self.inner.signo.and_then(graceshut::signal::name_of)
    }

    /// The sender's pid, when the kernel tells; for people only.
    #[getter]
    fn sender_pid(&self) -> Option<i32> {
        self.inner.sender.map(|(pid, _)| pid)
    }

    /// The sender's user, when the kernel tells; for people only.
    #[getter]
    fn sender_uid(&self) -> Option<u32> {
        self.inner.sender.map(|(_, uid)| uid)
    }

    /// The words given to stop(), or the error's own.
    #[getter]
    fn message(&self) -> Option<&str> {
        self.inner.message.as_deref()
    }

    fn __repr__(&self) -> String {
        let what = self.signal().or(self.message()).map_or(String::new(), |w| format!(" {w}"));
        format!("<graceshut reason {}{what}>", self.inner.kind.word())
    }

    fn __str__(&self) -> String {
        match (self.inner.kind, self.signal().or(self.message())) {
            (ReasonKind::Signal, Some(name)) => format!("SIG{name}"),
            (kind, Some(words)) => format!("{}: {words}", kind.word()),
            (kind, None) => kind.word().to_owned(),
        }
    }
}

/// A name given in Python, for reload hooks.
pub(crate) fn name(value: &Bound<'_, PyAny>) -> PyResult<String> {
    text(value, "name")
}
