//! Puts host functions and a module together.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use wasmtime::{Engine, InstancePre, Linker, Module, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

use crate::check::{Shape, WASI};
use crate::guest::Guest;
use crate::{abi, engine};

/// Where functions of WASI stand until each has its name; no module of a guest can be called so.
const NAMED: &str = "\0named";

/// The type of a function of WASI preview 1, as the library itself has it; `None` for one that it has not.
///
/// # Errors
/// No engine.
pub(crate) fn wasi_signature(name: &str) -> Result<Option<String>, String> {
    static TYPES: OnceLock<Result<BTreeMap<String, String>, String>> = OnceLock::new();
    let types = TYPES.get_or_init(|| {
        let engine = engine::engine(false)?;
        let mut linker: Linker<WasiP1Ctx> = Linker::new(engine);
        p1::add_to_linker_async(&mut linker, |ctx| ctx).map_err(|e| format!("{e:#}"))?;
        let mut store = Store::new(engine, WasiCtxBuilder::new().build_p1());
        let mut types = BTreeMap::new();
        let all: Vec<(String, wasmtime::Extern)> = linker.iter(&mut store).map(|(_, n, e)| (n.to_owned(), e)).collect();
        for (name, item) in all {
            if let Some(f) = item.into_func() {
                let ty = f.ty(&store);
                types.insert(name, abi::written(ty.params(), ty.results()));
            }
        }
        Ok(types)
    });
    types.as_ref().map(|t| t.get(name).cloned()).map_err(Clone::clone)
}

/// A module with everything it imports, ready to be instantiated any number of times.
pub(crate) fn link(engine: &Engine, module: &Module, shape: &Shape) -> wasmtime::Result<InstancePre<Guest>> {
    let mut linker: Linker<Guest> = Linker::new(engine);
    linker.allow_shadowing(true);
    let wasi: Vec<&str> = shape.imports.iter().filter(|(m, _)| m == WASI).map(|(_, n)| n.as_str()).collect();
    for name in &wasi {
        // The library does not tell which of its functions is called, only that one is. So each function that the guest
        // imports is taken from a set of its own, whose functions all leave that name behind.
        let at = leaked(name);
        p1::add_to_linker_async(&mut linker, move |guest: &mut Guest| {
            guest.at = Some(at);
            &mut guest.wasi
        })?;
        linker.alias(WASI, name, NAMED, name)?;
    }
    for name in &wasi {
        linker.alias(NAMED, name, WASI, name)?;
    }
    abi::link(&mut linker)?;
    linker.instantiate_pre(module)
}

/// The name as a static text. There are only as many as WASI has functions, whatever modules are linked.
fn leaked(name: &str) -> &'static str {
    static NAMES: std::sync::Mutex<BTreeMap<String, &'static str>> = std::sync::Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    names.entry(name.to_owned()).or_insert_with(|| Box::leak(name.to_owned().into_boxed_str()))
}
