//! WebAssembly as a hook: the room for it. The engine that runs it is a crate of its own, far larger than this one, so a build
//! has it or not; who has it says so here, before `install`, and nothing of it is started until the first hook asks.

use once_cell::sync::OnceCell;
use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::hook::{Context, HookResult};

/// What a WebAssembly hook is when its turn comes; see [`HookBuilder::wasm_body`](crate::HookBuilder::wasm_body).
pub type WasmBody = Box<dyn FnOnce(&Context) -> HookResult + Send>;

/// Runs WebAssembly for this process.
pub trait WasmProvider: Send + Sync {
    /// Checks what the `wasm` key of hook `name` says, begins to compile it in the background and returns what runs it.
    ///
    /// # Errors
    /// Whatever is wrong with the key, the file or its imports, in words that say how to grant or fix it.
    fn prepare(&self, name: &str, spec: &Value) -> Result<WasmBody, Error>;
}

static PROVIDER: OnceCell<&'static dyn WasmProvider> = OnceCell::new();

/// Gives this process WebAssembly hooks, in code and configuration. The first call counts; starts nothing. Any thread.
pub fn provide_wasm(provider: &'static dyn WasmProvider) {
    if PROVIDER.set(provider).is_ok() {
        crate::config::allow_wasm();
    }
}

pub(crate) fn prepare(name: &str, spec: &Value) -> Result<WasmBody, Error> {
    let none = || {
        Error::new(
            ErrorKind::Unsupported,
            format!("hook \"{name}\": this build has no wasm hooks; build with the feature \"wasm\""),
        )
    };
    PROVIDER.get().ok_or_else(none)?.prepare(name, spec)
}
