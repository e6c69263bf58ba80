//! The one install, as `graceshut.GraceShut` is built on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use std::time::Duration;

use graceshut::clock::At;
use graceshut::config::{self, NumberUnit, Source};
use graceshut::{Error, ErrorKind, Exit, Guard, HookError, InFlight, Installer, State};
use pyo3::prelude::*;
use serde_json::Value;

use crate::error::{OrRaise, raise};
use crate::flags::{Flags, STOPPED};
use crate::gate::{self, say, with_python};
use crate::hook::{self, Hook, Reason};
use crate::host::CPython;
use crate::values::{duration, text, to_json, to_python};

/// The native half of GraceShut.
#[pyclass(frozen, subclass, module = "graceshut._graceshut")]
pub(crate) struct Runtime {
    /// Never null. Replaced only when a forked child is re-armed; the parent's copy then stays in memory, since another frame
    /// of the forking thread may be using it.
    living: AtomicPtr<Living>,
    inflight: InFlight,
}

/// What belongs to one process.
struct Living {
    rt: graceshut::Runtime,
    flags: Arc<Flags>,
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `new` or `_revive`, and nobody else can reach it any more.
        drop(unsafe { Box::from_raw(*self.living.get_mut()) });
    }
}

fn install(py: Python<'_>, options: &Bound<'_, PyAny>, host: CPython, in_child: bool) -> PyResult<graceshut::Runtime> {
    let options = config::read(&to_json(options, "")?, NumberUnit::Seconds, &Source::Code).or_raise(py)?;
    let installer = Installer::new(Box::new(host));
    let installer = if in_child { installer.in_child() } else { installer };
    py.detach(|| installer.install(options)).or_raise(py)
}

impl Living {
    fn begin(py: Python<'_>, options: &Bound<'_, PyAny>, host: CPython, in_child: bool, sink: Py<PyAny>) -> PyResult<Living> {
        let rt = install(py, options, host, in_child)?;
        let (flags, inflight) = (Arc::new(Flags::default()), InFlight::default_group());
        let heard = Arc::clone(&flags);
        let subscribed = rt.on_event(move |event| {
            heard.hear(event, inflight.page().word());
            with_python(|py| {
                let value = serde_json::to_value(event).unwrap_or(Value::Null);
                let told = to_python(py, &value).and_then(|dict| sink.call1(py, (dict,)));
                if let Err(error) = told {
                    error.write_unraisable(py, None);
                }
            });
        });
        if let Err(error) = subscribed {
            // Nothing stays half installed.
            let _ = py.detach(|| rt.uninstall());
            return Err(raise(py, &error));
        }
        Ok(Living { rt, flags })
    }
}

impl Runtime {
    fn living(&self) -> &Living {
        // SAFETY: never null, and what it once held is not freed before `self` is.
        unsafe { &*self.living.load(SeqCst) }
    }

    fn rt(&self) -> &graceshut::Runtime {
        &self.living().rt
    }

    fn flags(&self) -> &Flags {
        &self.living().flags
    }

    fn level(&self) -> u32 {
        if self.rt().exit_plan().is_some() { STOPPED } else { self.flags().level(self.inflight.page().word()).min(STOPPED) }
    }

    fn is_open(&self) -> bool {
        self.rt().state() != State::Idle
    }

    fn check_open(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_open() {
            return Ok(());
        }
        let why = "this runtime was uninstalled, or belongs to the parent process; call install again";
        Err(raise(py, &Error::new(ErrorKind::Closed, why)))
    }
}

#[pymethods]
impl Runtime {
    /// Installs; `sink(event)` gets every event on a thread of its own.
    #[new]
    fn new(py: Python<'_>, options: &Bound<'_, PyAny>, version: String, sink: Py<PyAny>) -> PyResult<Runtime> {
        let living = Living::begin(py, options, CPython::new(version), false, sink)?;
        Ok(Runtime { living: AtomicPtr::new(Box::into_raw(Box::new(living))), inflight: InFlight::default_group() })
    }

    /// In a forked child: installs anew, behind this same object.
    fn _revive(&self, py: Python<'_>, options: &Bound<'_, PyAny>, version: String, sink: Py<PyAny>) -> PyResult<()> {
        let living = Living::begin(py, options, CPython::new(version), true, sink)?;
        self.living.store(Box::into_raw(Box::new(living)), SeqCst);
        Ok(())
    }

    /// Raises Disagree unless `options` come to what is installed.
    fn _agree(&self, py: Python<'_>, options: &Bound<'_, PyAny>) -> PyResult<()> {
        install(py, options, CPython::new(String::new()), false).map(drop)
    }

    #[getter]
    fn _open(&self) -> bool {
        self.is_open()
    }

    #[getter]
    fn _manual(&self) -> bool {
        self.rt().config().exit.value == Exit::Manual
    }

    fn _hook(&self, py: Python<'_>, spec: &Bound<'_, PyAny>, body: Py<PyAny>) -> PyResult<Hook> {
        let phase = spec.get_item("phase")?;
        text(&phase, "phase")?;
        hook::register(py, self.rt(), to_json(spec, "")?, body)
    }

    fn _declare(&self, py: Python<'_>, spec: &Bound<'_, PyAny>) -> PyResult<Hook> {
        text(&spec.get_item("phase")?, "phase")?;
        let decl = config::hook_from_json(&to_json(spec, "")?.to_string(), NumberUnit::Seconds).or_raise(py)?;
        // A WebAssembly module is read and checked meanwhile.
        Ok(Hook::of(py.detach(|| self.rt().declare(&decl)).or_raise(py)?))
    }

    fn _on_reload(&self, py: Python<'_>, name: &Bound<'_, PyAny>, f: Py<PyAny>) -> PyResult<()> {
        let name = hook::name(name)?;
        let call =
            move || with_python(|py| f.call0(py).map(drop).map_err(|e| HookError::failed(say(py, &e)))).unwrap_or(Ok(()));
        self.rt().on_reload_in_host(&name, call).or_raise(py)
    }

    /// Puts ours on top again; `chain` = False keeps the signal from Python until it is called with True.
    #[pyo3(signature = (signo, chain = true))]
    fn _rearm(&self, py: Python<'_>, signo: i32, chain: bool) -> PyResult<()> {
        let chain = if chain { graceshut::Chain::UnlessItExits } else { graceshut::Chain::Never };
        self.rt().rearm(signo, chain).or_raise(py)
    }

    /// True while other code has its handler where ours was: core does not hear of that signal.
    #[allow(clippy::unused_self)] // asked of an install
    fn _is_replaced(&self, signo: i32) -> bool {
        graceshut::signal::look(false).iter().any(|replaced| replaced.signo == signo)
    }

    /// Waits at most `seconds`; the exit status, or None when they passed or a signal handler ran on this thread. Only the
    /// main thread leaves the process by waiting.
    fn _wait(&self, py: Python<'_>, seconds: f64, leaves: bool) -> PyResult<Option<i32>> {
        let limit = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if leaves {
            let finished = py.detach(|| self.rt().wait_interruptible(Some(limit))).or_raise(py)?;
            return Ok(finished.map(|f| f.exit.code));
        }
        self.check_open(py)?;
        let until = At::now().plus(limit);
        py.detach(|| self.flags().wait(until, || self.rt().report().is_some() || !self.is_open()));
        self.check_open(py)?;
        Ok(self.rt().report().and_then(|_| self.rt().exit_plan()).map(|p| p.code))
    }

    /// Waits until every phase is over and the report is written, however long that takes: for the end of the main thread.
    fn _wait_to_the_end(&self, py: Python<'_>) {
        // Closed meanwhile, or called inside a hook: there is nothing to wait for.
        let _ = py.detach(|| self.rt().wait(None));
    }

    #[getter]
    fn _level(&self) -> u32 {
        self.level()
    }

    /// Waits at most `seconds` for that level; False when they passed or a signal handler ran on this thread.
    fn _wait_level(&self, py: Python<'_>, level: u32, seconds: f64) -> PyResult<bool> {
        self.check_open(py)?;
        let until = At::now().plus(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let reached = py.detach(|| self.flags().wait(until, || self.level() >= level || !self.is_open()));
        self.check_open(py)?;
        Ok(reached)
    }

    fn _host_deals_with_it(&self) {
        self.rt().host_deals_with_it();
    }

    fn _host_end(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>, code: i32) -> PyResult<()> {
        let error = error.map(|e| e.str().map(|s| s.to_string_lossy().into_owned())).transpose()?;
        py.detach(|| self.rt().host_end(error.as_deref(), code)).or_raise(py)
    }

    /// Closes the gate; False when a hook is still inside after `seconds`.
    fn _close_gate(&self, py: Python<'_>, seconds: f64) -> bool {
        py.detach(|| {
            // First: a hook that comes in from here on is told not to begin.
            self.rt().host_closed();
            gate::close(Duration::try_from_secs_f64(seconds).unwrap_or_default())
        })
    }

    /// The C library's exit, without taking the interpreter apart: a hook that was abandoned still runs in it. The GIL is
    /// kept, so that it cannot go on while libraries are taken down.
    fn _exit_with_guests(&self) {
        if let Some(plan) = self.rt().exit_plan() {
            graceshut::exit_now(plan.code);
        }
    }

    fn _uninstall(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.rt().uninstall()).or_raise(py)?;
        self.flags().shake();
        Ok(())
    }

    /// Does nothing: what a call costs, for `make bench`.
    #[allow(clippy::unused_self)] // a method like `enter`, on purpose
    fn _noop(&self) {}

    /// Counts one unit of work in; False once work is refused. One native call, no allocation.
    fn enter(&self) -> bool {
        self.inflight.enter().map(Guard::forget).is_some()
    }

    /// Counts a part of already accepted work in; never refused.
    fn enter_part(&self) {
        self.inflight.enter_part().forget();
    }

    /// Counts one unit of work out, on any thread.
    fn leave(&self) {
        self.inflight.leave();
    }

    /// A time as float seconds.
    fn _seconds(&self, value: &Bound<'_, PyAny>, what: &str) -> PyResult<Option<f64>> {
        Ok(duration(value, what)?.map(|d| d.as_secs_f64()))
    }

    /// Units of work in flight, all groups together.
    #[getter]
    fn in_flight(&self) -> u64 {
        graceshut::inflight::total()
    }

    /// Starts the shutdown, or shortens the one under way. Never blocks.
    #[pyo3(signature = (reason = None, grace = None))]
    fn stop(&self, py: Python<'_>, reason: Option<&Bound<'_, PyAny>>, grace: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let reason = reason.map_or(Ok(String::new()), |r| text(r, "reason"))?;
        let grace = grace.map_or(Ok(None), |g| duration(g, "grace"))?;
        py.detach(|| self.rt().stop(&reason, grace)).or_raise(py)
    }

    /// Ends a held install (hold=True).
    fn ready(&self, py: Python<'_>) -> PyResult<()> {
        self.rt().ready().or_raise(py)
    }

    /// Runs the reload hooks, as SIGHUP would.
    fn reload(&self, py: Python<'_>) -> PyResult<()> {
        self.rt().reload().or_raise(py)
    }

    fn _set_serving(&self, serving: bool) {
        self.rt().set_serving(serving);
    }

    /// The first trigger, once there is one.
    #[getter]
    fn reason(&self) -> Option<Reason> {
        self.rt().reason().map(|inner| Reason { inner })
    }

    /// The report as a dict, once the shutdown is over.
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.rt().report() {
            None => Ok(py.None().into_bound(py)),
            // Through text, so that the keys stand in the schema's order.
            Some(report) => py.import("json")?.call_method1("loads", (report.to_json(),)),
        }
    }

    /// "idle", "armed", "stopping(drain)" or "stopped".
    #[getter]
    fn state(&self) -> String {
        self.rt().state().to_string()
    }

    /// The schedule, best and worst case, before anything happens.
    fn plan(&self, py: Python<'_>) -> PyResult<String> {
        self.check_open(py)?;
        Ok(self.rt().plan().to_string())
    }

    /// The effective configuration: for each key its value and where it came from.
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.rt().config().to_json())
    }

    /// The state in one line, for people.
    fn status(&self) -> String {
        self.rt().status()
    }

    /// Where the admin endpoint listens, the port or pid filled in.
    #[getter]
    fn admin_address(&self) -> Option<String> {
        self.rt().admin_address()
    }

    fn __repr__(&self) -> String {
        format!("<GraceShut {}>", self.rt().state())
    }
}
