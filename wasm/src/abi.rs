//! The ABI `graceshut_v1`: how a core module asks the host, beside WASI preview 1. `docs/wasm-hooks.md` is its reference.

use graceshut::ReasonKind;
use wasmtime::{Caller, Extern, Linker, Memory};

use crate::guest::Guest;
use crate::http::{Refused, Request};

/// The module that guests import from.
pub const MODULE: &str = "graceshut_v1";
/// What `graceshut_abi` has to answer.
pub const VERSION: i32 = 1;

/// Nothing of that name.
const NOT_FOUND: i32 = -1;
/// Not granted.
const DENIED: i32 = -2;
/// What was asked for is malformed.
const MALFORMED: i32 = -3;
/// There is no room for it.
const FULL: i32 = -4;
/// It was tried and failed.
const FAILED: i32 = -5;

/// Every function, with its type as [`written`] has it.
const FUNCTIONS: &[(&str, &str)] = &[
    ("log", "(i32, i32, i32)"),
    ("remaining_ms", "() -> i64"),
    ("reason", "() -> i32"),
    ("signal_number", "() -> i32"),
    ("context_read", "(i32, i32, i32, i32) -> i32"),
    ("set_error", "(i32, i32)"),
    ("extend", "(i64) -> i64"),
    ("state_get", "(i32, i32, i32, i32) -> i32"),
    ("state_put", "(i32, i32, i32, i32) -> i32"),
    ("progress", "(i64, i64)"),
    ("cancelled", "() -> i32"),
    ("http_request", "(i32, i32, i32, i32) -> i32"),
];

/// The names of all functions.
pub(crate) fn names() -> Vec<&'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name).collect()
}

pub(crate) fn signature(name: &str) -> Option<String> {
    FUNCTIONS.iter().find(|(n, _)| *n == name).map(|(_, s)| (*s).to_owned())
}

/// Whether a function of the ABI can make a guest wait.
pub(crate) fn waits(name: &str) -> bool {
    name == "http_request"
}

/// A function's type, for people: `(i32, i64) -> i32`.
pub(crate) fn written<T: std::fmt::Display>(params: impl Iterator<Item = T>, results: impl Iterator<Item = T>) -> String {
    let list = |types: &mut dyn Iterator<Item = T>| types.map(|t| t.to_string()).collect::<Vec<_>>().join(", ");
    let (params, results) = (list(&mut { params }), list(&mut { results }));
    if results.is_empty() { format!("({params})") } else { format!("({params}) -> {results}") }
}

pub(crate) fn wrong_version(n: i32) -> String {
    format!("it was built for ABI {n} of graceshut; this build runs ABI {VERSION} (`{MODULE}`)")
}

/// The reason as `run` and `reason` have it.
pub(crate) fn reason_number(kind: ReasonKind) -> i32 {
    match kind {
        ReasonKind::Signal => 1,
        ReasonKind::Stop => 2,
        ReasonKind::HostEnd => 3,
        ReasonKind::Uncaught => 4,
        ReasonKind::Prestop => 5,
        ReasonKind::ParentDeath => 6,
        ReasonKind::StdinEof => 7,
    }
}

/// The guest's memory. That it is exported was checked at registration.
fn memory(caller: &mut Caller<'_, Guest>, function: &'static str) -> wasmtime::Result<Memory> {
    // Whatever the guest hangs in from here on, the report names.
    caller.data_mut().at = Some(function);
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(wasmtime::Error::msg("the guest has no memory")),
    }
}

fn outside(function: &str, what: &str, at: i32, len: i32) -> wasmtime::Error {
    let (at, len) = (at.cast_unsigned(), len.cast_unsigned());
    wasmtime::Error::msg(format!("{function}: {what} at {at}, {len} bytes, lies outside the guest's memory"))
}

/// The guest's bytes at `at`.
fn bytes<'a>(data: &'a [u8], (at, len): (i32, i32), function: &str, what: &str) -> wasmtime::Result<&'a [u8]> {
    let (start, size) = (at.cast_unsigned() as usize, len.cast_unsigned() as usize);
    start.checked_add(size).and_then(|end| data.get(start..end)).ok_or_else(|| outside(function, what, at, len))
}

/// Copies as much of `value` as fits; answers how long it is.
fn give(data: &mut [u8], (at, cap): (i32, i32), value: &[u8], function: &str) -> wasmtime::Result<i32> {
    let (start, size) = (at.cast_unsigned() as usize, cap.cast_unsigned() as usize);
    let room = start.checked_add(size).and_then(|end| data.get_mut(start..end));
    let room = room.ok_or_else(|| outside(function, "the buffer", at, cap))?;
    let n = value.len().min(room.len());
    room[..n].copy_from_slice(&value[..n]);
    Ok(i32::try_from(value.len()).unwrap_or(i32::MAX))
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Adds every function of the ABI.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    link_time(linker)?;
    link_words(linker)?;
    link_state(linker)?;
    link_http(linker)
}

fn link_time(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "remaining_ms", |caller: Caller<'_, Guest>| -> i64 {
        caller.data().remaining_ms().map_or(i64::MAX, number)
    })?;
    linker.func_wrap(MODULE, "extend", |caller: Caller<'_, Guest>, ms: i64| -> i64 {
        number(caller.data().extend(u64::try_from(ms).unwrap_or(0)))
    })?;
    linker
        .func_wrap(MODULE, "cancelled", |caller: Caller<'_, Guest>| -> i32 { i32::from(caller.data().context.cancelled()) })?;
    linker.func_wrap(MODULE, "progress", |caller: Caller<'_, Guest>, done: i64, total: i64| {
        let count = |n| u64::try_from(n).unwrap_or(0);
        caller.data().context.progress(count(done), count(total));
    })?;
    Ok(())
}

fn link_words(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "log", |mut caller: Caller<'_, Guest>, level: i32, at: i32, len: i32| {
        let memory = memory(&mut caller, "log")?;
        let line = bytes(memory.data(&caller), (at, len), "log", "the text")?;
        caller.data().say(level, line);
        Ok(())
    })?;
    linker.func_wrap(MODULE, "set_error", |mut caller: Caller<'_, Guest>, at: i32, len: i32| {
        let memory = memory(&mut caller, "set_error")?;
        let (data, guest) = memory.data_and_store_mut(&mut caller);
        guest.set_error(bytes(data, (at, len), "set_error", "the text")?);
        Ok(())
    })?;
    linker.func_wrap(MODULE, "reason", |caller: Caller<'_, Guest>| -> i32 {
        reason_number(caller.data().context.reason().kind)
    })?;
    linker.func_wrap(MODULE, "signal_number", |caller: Caller<'_, Guest>| -> i32 {
        caller.data().context.reason().signo.unwrap_or(0)
    })?;
    linker.func_wrap(MODULE, "context_read", |mut caller: Caller<'_, Guest>, key: i32, key_len: i32, out: i32, cap: i32| {
        let memory = memory(&mut caller, "context_read")?;
        let key = bytes(memory.data(&caller), (key, key_len), "context_read", "the key")?;
        match caller.data().context_value(key) {
            Some(value) => give(memory.data_mut(&mut caller), (out, cap), value.as_bytes(), "context_read"),
            None => Ok(NOT_FOUND),
        }
    })?;
    Ok(())
}

fn link_state(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "state_get", |mut caller: Caller<'_, Guest>, key: i32, key_len: i32, out: i32, cap: i32| {
        let memory = memory(&mut caller, "state_get")?;
        let key = bytes(memory.data(&caller), (key, key_len), "state_get", "the key")?;
        match caller.data().state_get(key) {
            Some(value) => give(memory.data_mut(&mut caller), (out, cap), &value, "state_get"),
            None => Ok(NOT_FOUND),
        }
    })?;
    linker.func_wrap(
        MODULE,
        "state_put",
        |mut caller: Caller<'_, Guest>, key: i32, key_len: i32, value: i32, value_len: i32| {
            let memory = memory(&mut caller, "state_put")?;
            let key = bytes(memory.data(&caller), (key, key_len), "state_put", "the key")?;
            let value = bytes(memory.data(&caller), (value, value_len), "state_put", "the value")?;
            Ok(if caller.data().state_put(key, value) { 0 } else { FULL })
        },
    )?;
    Ok(())
}

fn link_http(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "http_request",
        |mut caller: Caller<'_, Guest>, (at, len, out, cap): (i32, i32, i32, i32)| {
            Box::new(async move {
                let memory = memory(&mut caller, "http_request")?;
                // Before the request is made: one that cannot be answered is not made.
                give(memory.data_mut(&mut caller), (out, cap), &[], "http_request")?;
                let asked = bytes(memory.data(&caller), (at, len), "http_request", "the request")?;
                let request = Request::parse(asked, &caller.data().http);
                match caller.data_mut().request(request).await {
                    Ok(answer) => give(memory.data_mut(&mut caller), (out, cap), &answer.text(), "http_request"),
                    Err((refused, _)) => Ok(match refused {
                        Refused::Malformed => MALFORMED,
                        Refused::Denied => DENIED,
                        Refused::Failed => FAILED,
                        Refused::TooLarge => FULL,
                    }),
                }
            })
        },
    )?;
    Ok(())
}
