//! WebAssembly hooks for graceshut: a cleanup written once, shipped as one `.wasm`, run by every service whatever its
//! language, in a sandbox, and stopped for real at its deadline.
//!
//! ```no_run
//! use graceshut_wasm::Wasm;
//!
//! # fn main() -> Result<(), graceshut::Error> {
//! graceshut_wasm::enable(); // `wasm` in graceshut.toml works from here on
//! let gs = graceshut::install(graceshut::Options::default())?;
//! Wasm::file("deregister.wasm")
//!     .http(&["PUT"], "127.0.0.1:8500")
//!     .config("id", "web-1")
//!     .register(gs.hook("announce", "deregister"))?;
//! # Ok(())
//! # }
//! ```
//!
//! What it does not do: install a signal handler, start anything before the first hook is registered, compile at the
//! signal, or let a guest touch what was not granted. `docs/wasm-hooks.md` is the reference for authors of hooks.

mod abi;
mod cache;
mod check;
mod compile;
mod component;
mod engine;
mod guest;
mod hook;
mod host;
mod http;
mod link;
mod spec;
mod state;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use graceshut::{Error, ErrorKind, WasmBody, WasmProvider};
use serde_json::Value;

pub use abi::{MODULE as ABI_MODULE, VERSION as ABI_VERSION};
pub use cache::VARIABLE as CACHE_VARIABLE;
pub use check::{Entry, Shape, shape};
pub use spec::{Access, DEFAULT_MEMORY, MODULE_LIMIT, Meter, Wasm};

/// The package `graceshut:hook`, for tools that make components.
pub const WIT: &str = include_str!("../wit/hook.wit");

struct Provider;

impl WasmProvider for Provider {
    fn prepare(&self, name: &str, spec: &Value) -> Result<WasmBody, Error> {
        let named = |e: Error| Error::new(e.kind(), format!("hook \"{name}\": {}", e.message()));
        Ok(Box::new(hook::prepare(name, &Wasm::from_json(spec).map_err(named)?)?))
    }
}

/// Makes `wasm` hooks possible in this process: in `graceshut.toml`, in declarations and in every binding. Call it before
/// `install`. Starts nothing. Any thread, any number of times.
pub fn enable() {
    graceshut::provide_wasm(&Provider);
}

/// Compiles a module or a component into the cache ahead of time, with or without fuel (the code is another one); answers whether it was
/// there already. Blocks.
///
/// # Errors
/// `BadValue` for what is no hook, `Timeout` when `limit` passes first.
pub fn compile(bytes: impl Into<Arc<[u8]>>, fuel: bool, limit: Duration) -> Result<bool, Error> {
    let bytes = bytes.into();
    let bad = |why: String| Error::new(ErrorKind::BadValue, why);
    let shape = shape(&bytes).map_err(bad)?;
    let engine = engine::engine(fuel).map_err(bad)?;
    let code = compile::Code::begin(engine, bytes, shape)?;
    let late = || Error::new(ErrorKind::Timeout, "it is still being compiled");
    code.finish(limit).map_err(bad)?.ok_or_else(late)
}
