//! graceshut for Python: the native half. The face that programs see is `python/graceshut`.
//!
//! One room per peculiarity of the host, each with the fact of `embedding.md` that made it necessary:
//!
//! - [`gate`]: no native thread enters an interpreter that is going away (B20), and none waits for the GIL in vain (B21)
//! - [`host`]: leaving is `SystemExit` in the main thread, wherever that thread is
//! - [`hook`]: host-lane bodies, contexts, completions
//! - [`runtime`]: the one install, subclassed in Python so that `enter` and `leave` are one native call each
//! - [`flags`]: what `stopping`, `draining` and `stopped` wait for
//! - [`values`], [`error`]: Python's idioms in, core's types and errors out
//!
//! Importing does nothing: no thread, no handler (spec 2.1).

use pyo3::prelude::*;

mod error;
mod flags;
mod gate;
mod hook;
mod host;
mod inflight;
mod linger;
mod runtime;
mod values;

#[pymodule]
fn _graceshut(m: &Bound<'_, PyModule>) -> PyResult<()> {
    // Before anything reads a configuration. Starts nothing.
    #[cfg(feature = "wasm")]
    graceshut_wasm::enable();
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_class::<runtime::Runtime>()?;
    m.add_class::<hook::Context>()?;
    m.add_class::<hook::Done>()?;
    m.add_class::<hook::Hook>()?;
    m.add_class::<hook::Reason>()?;
    m.add_class::<inflight::Group>()?;
    m.add_class::<linger::Linger>()?;
    m.add_function(wrap_pyfunction!(error::error_kinds, m)?)?;
    m.add_function(wrap_pyfunction!(host::managed_signals, m)?)?;
    m.add_function(wrap_pyfunction!(host::in_main_interpreter, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_outside, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_kick, m)?)?;
    m.add_function(wrap_pyfunction!(host::exit_due, m)?)?;
    m.add_function(wrap_pyfunction!(host::exit_was_lost, m)?)?;
    m.add_function(wrap_pyfunction!(host::exit_begins, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_leaver, m)?)?;
    m.add_function(wrap_pyfunction!(host::call_in_main, m)?)?;
    m.add_function(wrap_pyfunction!(host::after_fork, m)?)?;
    Ok(())
}
