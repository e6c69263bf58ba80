//! graceshut for Python: the native half. The face that programs see is `python/graceshut`.
//!
//! One room per peculiarity of the host, each with the fact of `embedding.md` that made it necessary:
//!
//! - [`gate`]: no native thread enters an interpreter that is going away (B20), and none waits for the GIL in vain (B21)
//! - [`host`]: leaving is `SystemExit` in the main thread
//! - [`main_thread`]: which thread that is, and how it is reached wherever it is
//! - [`hook`]: host-lane bodies, contexts, completions
//! - [`runtime`]: the one install, subclassed in Python so that `enter` and `leave` are one native call each
//! - [`flags`]: what `stopping`, `draining` and `stopped` wait for
//! - [`native`]: waiting and threads that no library replaces
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
mod main_thread;
mod native;
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
    m.add_function(wrap_pyfunction!(linger::refuse, m)?)?;
    m.add_class::<native::Event>()?;
    m.add_function(wrap_pyfunction!(native::spawn, m)?)?;
    m.add_function(wrap_pyfunction!(native::write_byte, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::set_hub, m)?)?;
    m.add_function(wrap_pyfunction!(error::error_kinds, m)?)?;
    m.add_function(wrap_pyfunction!(host::managed_signals, m)?)?;
    m.add_function(wrap_pyfunction!(host::in_main_interpreter, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_outside, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_own_handlers, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_waiting, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_loop_ends, m)?)?;
    m.add_function(wrap_pyfunction!(host::exit_due, m)?)?;
    m.add_function(wrap_pyfunction!(host::exit_was_lost, m)?)?;
    m.add_function(wrap_pyfunction!(host::exit_begins, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_leaver, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::in_main_thread, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::thread_id, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::reserve, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::reserved, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::set_in_table_only, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::give_up, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::give_back, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::is_armed, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::native_code_hears, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_main_in_c, m)?)?;
    m.add_function(wrap_pyfunction!(host::set_stops_by_itself, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::signal_main, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::came_by, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::call_in_main, m)?)?;
    m.add_function(wrap_pyfunction!(main_thread::foreign_handler, m)?)?;
    m.add_function(wrap_pyfunction!(host::after_fork, m)?)?;
    Ok(())
}
