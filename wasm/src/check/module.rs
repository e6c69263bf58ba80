//! The shape of a core module.

use wasmparser::{CompositeInnerType, Encoding, ExternalKind, FuncType, Operator, Parser, Payload, TypeRef, ValType};

use super::{Entry, Shape, WASI, broken};
use crate::{abi, link};

/// Of WASI preview 1, what a hook cannot have: it owns no socket and no other process.
const NEVER: &[&str] = &["sock_accept", "sock_recv", "sock_send", "sock_shutdown", "proc_raise"];

#[derive(Default)]
struct Reader {
    types: Vec<Option<FuncType>>,
    /// Type of every function, imported ones first.
    funcs: Vec<u32>,
    imported: u32,
    imports: Vec<(String, String, Option<u32>)>,
    exports: Vec<(String, ExternalKind, u32)>,
    constants: Vec<Option<i32>>,
    memories: usize,
    /// Bytes they begin with.
    memory: u64,
}

impl Reader {
    fn read(bytes: &[u8]) -> Result<Reader, String> {
        let mut reader = Reader::default();
        for payload in Parser::new(0).parse_all(bytes) {
            reader.take(payload.map_err(|e| broken(&e))?).map_err(|e| broken(&e))?;
        }
        Ok(reader)
    }

    fn take(&mut self, payload: Payload<'_>) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => {}
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        self.types.push(match ty.composite_type.inner {
                            CompositeInnerType::Func(f) => Some(f),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let ty = match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => Some(ty),
                        _ => None,
                    };
                    self.funcs.extend(ty);
                    self.imported += u32::from(ty.is_some());
                    self.imports.push((import.module.to_owned(), import.name.to_owned(), ty));
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.funcs.push(ty?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memories += 1;
                    self.memory = self.memory.saturating_add(memory?.initial.saturating_mul(64 << 10));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports.push((export.name.to_owned(), export.kind, export.index));
                }
            }
            Payload::CodeSectionEntry(body) => self.constants.push(constant(&body)),
            _ => {}
        }
        Ok(())
    }

    /// Refuses an import that no hook is given, or one that is taken for something else than it is.
    fn known(&self, module: &str, name: &str, ty: Option<u32>) -> Result<(), String> {
        let other_abi = module.strip_prefix("graceshut_v").and_then(|v| v.parse::<i32>().ok());
        let real = match module {
            abi::MODULE => abi::signature(name)
                .ok_or_else(|| format!("it imports `{module}.{name}`, which is none of {}", abi::names().join(", "))),
            WASI if NEVER.contains(&name) => Err(format!("it imports `{module}.{name}`, which no hook is given")),
            WASI => link::wasi_signature(name)?
                .ok_or_else(|| format!("it imports `{module}.{name}`, which WASI preview 1 does not have")),
            "wasi_unstable" => Err("it was built for `wasi_unstable`, before preview 1; use a newer wasi-libc".to_owned()),
            _ => Err(match other_abi {
                Some(n) => format!("it imports `{module}.{name}`: {}", abi::wrong_version(n)),
                None => format!("it imports `{module}.{name}`; a hook is given `{}` and `{WASI}`, nothing else", abi::MODULE),
            }),
        }?;
        let taken = ty.and_then(|t| self.types.get(t as usize)?.as_ref());
        match taken.map(|f| abi::written(f.params().iter(), f.results().iter())) {
            Some(taken) if taken == real => Ok(()),
            Some(taken) => Err(format!("it imports `{module}.{name}` as {taken}; it is {real}")),
            None => Err(format!("it imports `{module}.{name}`, but not as a function")),
        }
    }

    fn export(&self, name: &str) -> Option<(ExternalKind, u32)> {
        self.exports.iter().find(|(n, ..)| n == name).map(|(_, kind, index)| (*kind, *index))
    }

    /// Whether `name` is exported as a function of this type; an error when it is exported as something else.
    fn function(&self, name: &str, params: &[ValType], results: &[ValType], written: &str) -> Result<bool, String> {
        let Some((kind, index)) = self.export(name) else { return Ok(false) };
        let ty = self.funcs.get(index as usize).and_then(|t| self.types.get(*t as usize)?.as_ref());
        match ty.filter(|_| kind == ExternalKind::Func) {
            Some(f) if f.params() == params && f.results() == results => Ok(true),
            Some(f) => Err(format!("its export `{name}` is {f}; it has to be {written}")),
            None => Err(format!("its export `{name}` is no function; it has to be {written}")),
        }
    }

    /// What `name` returns, where its body is one constant.
    fn constant_of(&self, name: &str) -> Option<i32> {
        let (_, index) = self.export(name)?;
        *self.constants.get(index.checked_sub(self.imported)? as usize)?
    }
}

/// The constant that a body consists of.
fn constant(body: &wasmparser::FunctionBody<'_>) -> Option<i32> {
    let mut ops = body.get_operators_reader().ok()?;
    let Operator::I32Const { value } = ops.read().ok()? else { return None };
    matches!(ops.read().ok()?, Operator::End).then_some(value)
}

pub(super) fn shape(bytes: &[u8]) -> Result<Shape, String> {
    let reader = Reader::read(bytes)?;
    reader.imports.iter().try_for_each(|(module, name, ty)| reader.known(module, name, *ty))?;
    if reader.memories > 1 {
        return Err(format!("it has {} memories; a hook has one", reader.memories));
    }
    match reader.export("memory") {
        Some((ExternalKind::Memory, _)) => {}
        Some(_) => return Err("its export `memory` is no memory".to_owned()),
        None => return Err("it exports no `memory`; the linker's default does, `--no-export-memory` does not".to_owned()),
    }
    let run = reader.function("run", &[ValType::I32], &[ValType::I32], "`run(reason: i32) -> i32`")?;
    let start = !run && reader.function("_start", &[], &[], "`_start()`")?;
    let initialize = reader.function("_initialize", &[], &[], "`_initialize()`")?;
    let abi = reader.function("graceshut_abi", &[], &[ValType::I32], "`graceshut_abi() -> i32`")?;
    if !run && !start {
        return Err("it exports neither `run(reason: i32) -> i32` nor `_start()`; export one of them".to_owned());
    }
    if let Some(n) = reader.constant_of("graceshut_abi").filter(|n| *n != abi::VERSION && abi) {
        return Err(abi::wrong_version(n));
    }
    let mut imports: Vec<(String, String)> = Vec::new();
    for (module, name, _) in &reader.imports {
        if !imports.iter().any(|(m, n)| m == module && n == name) {
            imports.push((module.clone(), name.clone()));
        }
    }
    Ok(Shape {
        exports: reader.exports.iter().map(|(name, ..)| name.clone()).collect(),
        imports,
        memory: reader.memory,
        entry: if run { Entry::Run } else { Entry::Start },
        initialize,
        abi,
        needs: Vec::new(),
    })
}
