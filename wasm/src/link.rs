//! Puts host functions and compiled code together, and calls it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use wasmtime::component::Component;
use wasmtime::{Engine, Instance, InstancePre, Linker, Module, Store, WasmParams, WasmResults};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

use crate::check::{Entry, Shape, WASI};
use crate::component::HookPre;
use crate::guest::Guest;
use crate::{abi, component, engine};

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

/// What the compiler made.
pub(crate) enum Compiled {
    Module(Module),
    Component(Component),
}

impl Compiled {
    pub(crate) fn new(engine: &Engine, entry: Entry, bytes: &[u8]) -> wasmtime::Result<Compiled> {
        match entry {
            Entry::Run | Entry::Start => Module::new(engine, bytes).map(Compiled::Module),
            Entry::Component => Component::new(engine, bytes).map(Compiled::Component),
        }
    }

    pub(crate) fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Compiled::Module(module) => module.serialize(),
            Compiled::Component(component) => component.serialize(),
        }
    }

    /// # Safety
    /// `code` was made by `serialize` and is as it was made.
    pub(crate) unsafe fn deserialize(engine: &Engine, entry: Entry, code: &[u8]) -> wasmtime::Result<Compiled> {
        match entry {
            // SAFETY: the caller's promise.
            Entry::Run | Entry::Start => unsafe { Module::deserialize(engine, code) }.map(Compiled::Module),
            // SAFETY: the caller's promise.
            Entry::Component => unsafe { Component::deserialize(engine, code) }.map(Compiled::Component),
        }
    }

    /// Adds everything it imports.
    pub(crate) fn link(&self, engine: &Engine, shape: &Shape) -> wasmtime::Result<Linked> {
        match self {
            Compiled::Module(module) => link_module(engine, module, shape).map(Linked::Module),
            Compiled::Component(component) => link_component(engine, component).map(Linked::Component),
        }
    }
}

/// Code with everything it imports, ready to be instantiated any number of times.
#[derive(Clone)]
pub(crate) enum Linked {
    Module(InstancePre<Guest>),
    Component(HookPre<Guest>),
}

/// How a guest's `run` ended.
pub(crate) enum Ended {
    /// A module's: its status.
    Status(i32),
    /// A component's: its words for what went wrong.
    Words(Result<(), String>),
}

impl Linked {
    /// Makes an instance and runs it. The future of a guest that never waits is ready when it is first asked.
    pub(crate) async fn call(&self, store: &mut Store<Guest>, shape: &Shape) -> wasmtime::Result<Ended> {
        let kind = store.data().context.reason().kind;
        let waits = shape.waits();
        let instance = match self {
            Linked::Module(pre) if waits => pre.instantiate_async(&mut *store).await?,
            Linked::Module(pre) => pre.instantiate(&mut *store)?,
            Linked::Component(pre) => {
                let hook = pre.instantiate_async(&mut *store).await?;
                return hook.call_run(store, component::reason(kind)).await.map(Ended::Words);
            }
        };
        let call = Call { instance, waits };
        if shape.initialize {
            call.export::<(), ()>(store, "_initialize", ()).await?;
        }
        if shape.abi {
            let version = call.export::<(), i32>(store, "graceshut_abi", ()).await?;
            if version != abi::VERSION {
                return Err(wasmtime::Error::msg(abi::wrong_version(version)));
            }
        }
        let status = if shape.entry == Entry::Run {
            call.export::<i32, i32>(store, "run", abi::reason_number(kind)).await?
        } else {
            call.export::<(), ()>(store, "_start", ()).await.map(|()| 0)?
        };
        Ok(Ended::Status(status))
    }
}

/// An instance of a module, and how it is called.
struct Call {
    instance: Instance,
    waits: bool,
}

impl Call {
    async fn export<P, R>(&self, store: &mut Store<Guest>, name: &str, params: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Send + Sync,
        R: WasmResults + Send + Sync,
    {
        let f = self.instance.get_typed_func::<P, R>(&mut *store, name)?;
        if self.waits { f.call_async(store, params).await } else { f.call(store, params) }
    }
}

fn link_component(engine: &Engine, component: &Component) -> wasmtime::Result<HookPre<Guest>> {
    let mut linker = wasmtime::component::Linker::new(engine);
    component::link(&mut linker)?;
    HookPre::new(linker.instantiate_pre(component)?)
}

fn link_module(engine: &Engine, module: &Module, shape: &Shape) -> wasmtime::Result<InstancePre<Guest>> {
    let mut linker: Linker<Guest> = Linker::new(engine);
    linker.allow_shadowing(true);
    let wasi: Vec<&str> = shape.imports.iter().filter(|(m, _)| m == WASI).map(|(_, n)| n.as_str()).collect();
    for name in &wasi {
        // The library does not tell which of its functions is called, only that one is. So each function that the guest
        // imports is taken from a set of its own, whose functions all leave that name behind.
        let at = leaked(name);
        p1::add_to_linker_async(&mut linker, move |guest: &mut Guest| {
            guest.at = Some(at);
            guest.wasi()
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
