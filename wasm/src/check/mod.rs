//! What a file is, from its bytes alone: nothing of it runs. Everything that cannot work is refused here, at registration,
//! with the name of what is wrong and how to grant or fix it.

mod component;
mod module;

use crate::abi;
use crate::spec::{Grants, MODULE_LIMIT};

/// The module of host functions that WASI preview 1 has.
pub(crate) const WASI: &str = "wasi_snapshot_preview1";
/// The grants that an import can need, with an example of how each is said.
const GRANTS: [(&str, &str); 3] =
    [("clock", "clock = true"), ("random", "random = true"), ("http", "http = [\"PUT 127.0.0.1:8500\"]")];

/// How a hook is begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A core module: `_initialize`, where there is one, then `run(reason)`.
    Run,
    /// A core module: `_start`; the exit status is the result.
    Start,
    /// A component: `run` of the world `graceshut:hook/hook`.
    Component,
}

/// What the bytes say about a module or a component.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Functions it imports, as module (or interface) and name, in order, each once.
    pub imports: Vec<(String, String)>,
    /// Names of what it exports.
    pub exports: Vec<String>,
    /// How it is begun.
    pub entry: Entry,
    /// It exports `_initialize`.
    pub initialize: bool,
    /// It exports `graceshut_abi` (asked when it runs, unless it says a constant).
    pub abi: bool,
    /// The memory it begins with, in bytes; of a component, that of all modules in it.
    pub memory: u64,
    /// The grants it cannot do without: `clock`, `random`, `http`.
    pub needs: Vec<&'static str>,
}

impl Shape {
    /// Whether something it imports can make it wait. A guest that never waits is called on the hook's thread as any function is,
    /// without a stack and an executor of its own, which cost more than a small hook does.
    pub(crate) fn waits(&self) -> bool {
        let waits = |(module, name): &(String, String)| match module.as_str() {
            abi::MODULE => abi::waits(name),
            _ => true,
        };
        self.entry == Entry::Component || self.imports.iter().any(waits)
    }
}

/// The grant without which nobody gets this function.
fn need(module: &str, name: &str) -> Option<&'static str> {
    match (module.split('@').next()?, name) {
        (WASI, "clock_time_get" | "clock_res_get")
        | ("wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock", "now" | "resolution") => Some("clock"),
        (WASI, "random_get") | ("wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed", _) => {
            Some("random")
        }
        (abi::MODULE, "http_request") | ("graceshut:hook/http", _) => Some("http"),
        _ => None,
    }
}

/// Tells bytes that are a module or a component of the size allowed from what is none; answers whether they are a component.
fn is_component(bytes: &[u8]) -> Result<bool, String> {
    if bytes.len() as u64 > MODULE_LIMIT {
        return Err(format!("it is {} bytes; a hook has at most {MODULE_LIMIT} (32 MiB)", bytes.len()));
    }
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if !bytes.starts_with(b"\0asm") {
        let text = bytes.iter().take(64).all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 32..=126));
        let hint = if text { "; it looks like text: translate it with `wat2wasm` first" } else { "" };
        return Err(format!("it is not WebAssembly: it does not begin with \"\\0asm\"{hint}"));
    }
    match bytes.get(4..8) {
        Some([1, 0, 0, 0]) => Ok(false),
        Some([0x0d, 0, 1, 0]) => Ok(true),
        Some(v) => Err(format!("it is WebAssembly of version {v:?}; this build runs modules of version 1 and components")),
        None => Err("it is truncated: the file ends within the first eight bytes".to_owned()),
    }
}

fn broken(e: &wasmparser::BinaryReaderError) -> String {
    let (at, message) = (e.offset(), e.message());
    if message.contains("unexpected end") || message.contains("unexpected EOF") {
        return format!("it is truncated: the file ends at byte {at}, in the middle of something");
    }
    format!("it is damaged at byte {at}: {message}")
}

/// Reads the shape of a module or a component and refuses what no grant could make work.
///
/// # Errors
/// What is wrong, in words.
pub fn shape(bytes: &[u8]) -> Result<Shape, String> {
    let mut shape = if is_component(bytes)? { component::shape(bytes) } else { module::shape(bytes) }?;
    let needed = |grant: &&str| shape.imports.iter().any(|(module, name)| need(module, name) == Some(*grant));
    shape.needs = GRANTS.iter().map(|(grant, _)| *grant).filter(needed).collect();
    Ok(shape)
}

/// Refuses what cannot work without a grant it was not given.
pub(crate) fn granted(shape: &Shape, grants: &Grants, memory: u64) -> Result<(), String> {
    if shape.memory > memory {
        let mib = shape.memory.div_ceil(1 << 20);
        let (has, may) = (shape.memory, memory);
        return Err(format!("its memory begins with {has} bytes and may have {may}: grant it with memory = \"{mib}MiB\""));
    }
    for (module, name) in &shape.imports {
        let needed = need(module, name);
        let given = match needed {
            Some("clock") => grants.clock,
            Some("random") => grants.random,
            Some(_) => !grants.http.is_empty(),
            None => true,
        };
        if !given {
            let how = GRANTS.iter().find(|(grant, _)| Some(*grant) == needed).map_or("", |(_, how)| how);
            return Err(format!("it imports `{module}.{name}`, which is denied unless granted: grant it with {how}"));
        }
    }
    Ok(())
}
