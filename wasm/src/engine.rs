//! The engines that compile and run guests: one for all hooks, a second where fuel is counted. Made with the first hook.

use std::sync::OnceLock;

use wasmtime::{Config, Engine};

/// Stack of a guest; deeper is a trap.
const GUEST_STACK: usize = 512 << 10;
/// Stack that a guest and the host functions it calls have together. Its own mapping: only what is touched costs memory.
const FIBER_STACK: usize = 2 << 20;

fn config(fuel: bool) -> Config {
    let mut c = Config::new();
    // The process has one owner of signals, and that is not this engine: every trap is a branch in the code (spec 3.1).
    c.signals_based_traps(false);
    c.epoch_interruption(true);
    c.consume_fuel(fuel);
    c.max_wasm_stack(GUEST_STACK);
    c.async_stack_size(FIBER_STACK);
    // Bounds are checked anyway, so no address space is reserved for guards: hosts may run under RLIMIT_AS.
    c.memory_reservation(0);
    c.memory_guard_size(0);
    c.memory_reservation_for_growth(1 << 20);
    c.guard_before_linear_memory(false);
    c.memory_init_cow(false);
    // Nothing is registered with the host's unwinder.
    c.native_unwind_info(false);
    c.generate_address_map(false);
    // 32-bit: what the limits and the ABI are about.
    c.wasm_memory64(false);
    // For the code that the engine itself puts between the modules of a component; `check` refuses it in a guest's own.
    c.wasm_multi_memory(true);
    c
}

/// The engine for hooks with or without fuel.
///
/// # Errors
/// The engine's own words, for example on a processor it does not know.
pub(crate) fn engine(fuel: bool) -> Result<&'static Engine, String> {
    static PLAIN: OnceLock<Result<Engine, String>> = OnceLock::new();
    static FUELED: OnceLock<Result<Engine, String>> = OnceLock::new();
    let cell = if fuel { &FUELED } else { &PLAIN };
    let made = cell.get_or_init(|| Engine::new(&config(fuel)).map_err(|e| format!("no engine for WebAssembly: {e:#}")));
    made.as_ref().map_err(Clone::clone)
}
