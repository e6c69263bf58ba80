//! The shape of a component.

use std::fmt::{self, Write};

use wasmparser::component_types::{ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentValType};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentInstance, Instance, Parser, Payload, Validator, WasmFeatures};

use super::{Entry, Shape, broken};
use crate::component::{self, INTERFACES, PACKAGE, RUN, VERSION};

/// Most instances of which a component may consist, counted as if each component in it were its largest. They are all made when
/// it is compiled, and a few hundred bytes can say how to make billions: components that hold two of another, which holds two …
const INSTANCES_LIMIT: usize = 1000;
/// A type that is longer than this in words is none of ours.
const TYPE_LIMIT: usize = 4 << 10;

/// What the engine compiles, see `engine.rs`; more is refused with the name of what it is.
fn features() -> WasmFeatures {
    let not_here = WasmFeatures::CM_ASYNC
        | WasmFeatures::THREADS
        | WasmFeatures::MEMORY64
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::GC
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::FUNCTION_REFERENCES;
    WasmFeatures::default() - not_here
}

/// What a walk over the bytes finds.
#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    memory: u64,
    /// Components and modules that have begun and not ended, outermost first: the instances in each of them.
    open: Vec<usize>,
    /// The most instances in one of those that have ended: only those can be made into instances.
    largest: usize,
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Outline, String> {
        let mut outline = Outline::default();
        for payload in Parser::new(0).parse_all(bytes) {
            outline.take(payload.map_err(|e| broken(&e))?).map_err(|e| broken(&e))?;
        }
        if outline.largest > INSTANCES_LIMIT {
            return Err(format!("it may consist of {} instances; a hook has at most {INSTANCES_LIMIT}", outline.largest));
        }
        Ok(outline)
    }

    fn take(&mut self, payload: Payload<'_>) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::Version { .. } => self.open.push(1),
            Payload::End(_) => self.largest = self.largest.max(self.open.pop().unwrap_or(0)),
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.add(usize::from(matches!(instance?, Instance::Instantiate { .. })));
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    let made = matches!(instance?, ComponentInstance::Instantiate { .. });
                    self.add(if made { self.largest } else { 0 });
                }
            }
            Payload::ComponentImportSection(section) if self.open.len() == 1 => {
                for import in section {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if self.open.len() == 1 => {
                for export in section {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memory = self.memory.saturating_add(memory?.initial.saturating_mul(64 << 10));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, instances: usize) {
        if let Some(here) = self.open.last_mut() {
            *here = here.saturating_add(instances);
        }
    }
}

pub(super) fn shape(bytes: &[u8]) -> Result<Shape, String> {
    let outline = Outline::read(bytes)?;
    let types = Validator::new_with_features(features()).validate_all(bytes).map_err(|e| invalid(&e))?;
    let types = types.as_ref();
    let mut imports = Vec::new();
    for name in &outline.imports {
        match types.component_item_for_import(name).map(|item| item.ty) {
            Some(ComponentEntityType::Instance(id)) => {
                is_given(name)?;
                for (function, item) in &types[id].exports {
                    if let ComponentEntityType::Func(ty) = item.ty {
                        is_known(types, name, function, ty)?;
                        imports.push((name.clone(), function.clone()));
                    }
                }
            }
            // A type that it uses under a name of its own.
            Some(ComponentEntityType::Type { .. }) => {}
            _ => {
                return Err(format!(
                    "it imports `{name}` by itself; a hook is given the interfaces of `{PACKAGE}` and of WASI 0.2"
                ));
            }
        }
    }
    match types.component_item_for_export("run").map(|item| item.ty) {
        Some(ComponentEntityType::Func(ty)) => match written(types, ty) {
            ty if ty == RUN => {}
            ty => return Err(format!("its export `run` is {ty}; it has to be {RUN}")),
        },
        Some(_) => return Err(format!("its export `run` is no function; it has to be {RUN}")),
        None => {
            let command = outline.exports.iter().find(|e| e.starts_with("wasi:cli/run"));
            let has = command.map_or_else(String::new, |c| format!("it is a command (`{c}`); "));
            return Err(format!("{has}it exports no `run`; build it for the world `{PACKAGE}/hook@{VERSION}`"));
        }
    }
    Ok(Shape {
        imports,
        exports: outline.exports,
        entry: Entry::Component,
        initialize: false,
        abi: false,
        memory: outline.memory,
        needs: Vec::new(),
    })
}

fn invalid(e: &wasmparser::BinaryReaderError) -> String {
    let message = e.message();
    let hint = if message.contains("async") {
        "; it was built for the asynchronous component model, which hooks have not (jco: --backend-qjs-disable-async)"
    } else {
        ""
    };
    format!("it is not valid at byte {}: {message}{hint}", e.offset())
}

/// Refuses an interface that no hook is given.
fn is_given(name: &str) -> Result<(), String> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    if let Some(rest) = interface.strip_prefix(PACKAGE).filter(|rest| rest.starts_with('/')) {
        return match rest {
            "/host" | "/http" if compatible(version, VERSION) => Ok(()),
            "/host" | "/http" => {
                Err(format!("it imports `{name}`: it was built for version {version} of {PACKAGE}; this build has {VERSION}"))
            }
            _ => Err(format!("it imports `{name}`; {PACKAGE} has the interfaces host and http")),
        };
    }
    if INTERFACES.contains(&interface) {
        return if compatible(version, "0.2.0") {
            Ok(())
        } else {
            Err(format!("it imports `{name}`; this build has WASI 0.2 (target wasm32-wasip2)"))
        };
    }
    Err(match interface.strip_prefix("wasi:") {
        Some(_) => format!("it imports `{name}`, which no hook is given; of WASI 0.2 there are {}", INTERFACES.join(", ")),
        None => format!("it imports `{name}`; a hook is given the interfaces of `{PACKAGE}` and of WASI 0.2, nothing else"),
    })
}

/// Below 1.0, versions with the same second number are.
fn compatible(version: &str, ours: &str) -> bool {
    let minor = |v: &str| v.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    minor(version).is_some() && minor(version) == minor(ours)
}

/// Refuses a function of ours that is not there, or is taken for something else than it is. WASI's are looked at when it is linked.
fn is_known(types: TypesRef<'_>, module: &str, name: &str, ty: ComponentFuncTypeId) -> Result<(), String> {
    let Some(interface) = module.strip_prefix(PACKAGE).and_then(|rest| rest[1..].split('@').next()) else { return Ok(()) };
    let ours = || component::FUNCTIONS.iter().filter(|(of, ..)| *of == interface);
    let Some((_, _, real)) = ours().find(|(_, n, _)| *n == name) else {
        let names: Vec<&str> = ours().map(|(_, n, _)| *n).collect();
        return Err(format!("it imports `{module}.{name}`, which is none of {}", names.join(", ")));
    };
    let taken = written(types, ty);
    if taken == *real { Ok(()) } else { Err(format!("it imports `{module}.{name}` as {taken}; it is {real}")) }
}

/// A function's type as WIT has it, without the names of parameters.
fn written(types: TypesRef<'_>, id: ComponentFuncTypeId) -> String {
    let mut words = Words { types, text: String::new() };
    if words.function(id).is_err() {
        words.text.push('…');
    }
    words.text
}

/// Words for types, up to a limit: types can name each other so that all of them in words would fill the memory.
struct Words<'a> {
    types: TypesRef<'a>,
    text: String,
}

impl Write for Words<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.text.len() + s.len() > TYPE_LIMIT {
            return Err(fmt::Error);
        }
        self.text.push_str(s);
        Ok(())
    }
}

impl Words<'_> {
    fn function(&mut self, id: ComponentFuncTypeId) -> fmt::Result {
        let types = self.types;
        let ty = &types[id];
        self.write_str(if ty.async_ { "async func(" } else { "func(" })?;
        self.list(ty.params.iter().map(|(_, ty)| ("", Some(*ty))))?;
        self.write_str(")")?;
        if let Some(result) = ty.result {
            self.write_str(" -> ")?;
            self.value(result)?;
        }
        Ok(())
    }

    /// `a: T, b: U`; no name: `T, U`; no type: `a, b`.
    fn list<'n>(&mut self, items: impl Iterator<Item = (&'n str, Option<ComponentValType>)>) -> fmt::Result {
        for (n, (name, ty)) in items.enumerate() {
            self.write_str(if n > 0 { ", " } else { "" })?;
            self.write_str(name)?;
            self.write_str(if !name.is_empty() && ty.is_some() { ": " } else { "" })?;
            ty.map_or(Ok(()), |ty| self.value(ty))?;
        }
        Ok(())
    }

    fn value(&mut self, ty: ComponentValType) -> fmt::Result {
        let id = match ty {
            ComponentValType::Primitive(p) => return write!(self, "{p}"),
            ComponentValType::Type(id) => id,
        };
        let types = self.types;
        let (open, close) = match &types[id] {
            ComponentDefinedType::Primitive(p) => return write!(self, "{p}"),
            ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => return self.write_str("a resource"),
            ComponentDefinedType::Record(_) => ("record { ", " }"),
            ComponentDefinedType::Variant(_) => ("variant { ", " }"),
            ComponentDefinedType::Enum(_) => ("enum { ", " }"),
            ComponentDefinedType::Flags(_) => ("flags { ", " }"),
            ComponentDefinedType::List { .. } => ("list<", ">"),
            ComponentDefinedType::Tuple(_) => ("tuple<", ">"),
            ComponentDefinedType::Option { .. } => ("option<", ">"),
            ComponentDefinedType::Result { ok: None, err: None, .. } => return self.write_str("result"),
            ComponentDefinedType::Result { .. } => ("result<", ">"),
            _ => return self.write_str("a type of another kind"),
        };
        self.write_str(open)?;
        match &types[id] {
            ComponentDefinedType::Record(r) => self.list(r.fields.iter().map(|(name, ty)| (name.as_str(), Some(*ty))))?,
            ComponentDefinedType::Variant(v) => self.list(v.cases.iter().map(|(name, case)| (name.as_str(), case.ty)))?,
            ComponentDefinedType::Enum(names) | ComponentDefinedType::Flags(names) => {
                self.list(names.iter().map(|name| (name.as_str(), None)))?;
            }
            ComponentDefinedType::List { element, .. } => self.value(*element)?,
            ComponentDefinedType::Tuple(t) => self.list(t.types.iter().map(|ty| ("", Some(*ty))))?,
            ComponentDefinedType::Option { ty, .. } => self.value(*ty)?,
            ComponentDefinedType::Result { ok, err, .. } => {
                match ok {
                    Some(ok) => self.value(*ok)?,
                    None => self.write_str("_")?,
                }
                if let Some(err) = err {
                    self.write_str(", ")?;
                    self.value(*err)?;
                }
            }
            _ => {}
        }
        self.write_str(close)
    }
}
