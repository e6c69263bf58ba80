//! What a module is, from its bytes alone: nothing of it runs. Everything that cannot work is refused here, at registration,
//! with the name of what is wrong and how to grant or fix it.

use wasmparser::{CompositeInnerType, Encoding, ExternalKind, FuncType, Operator, Parser, Payload, TypeRef, ValType};

use crate::spec::{Grants, MODULE_LIMIT};
use crate::{abi, link};

/// The module of host functions that WASI preview 1 has.
pub(crate) const WASI: &str = "wasi_snapshot_preview1";
/// What a guest gets by a grant.
const CLOCK: &[&str] = &["clock_time_get", "clock_res_get"];
const RANDOM: &[&str] = &["random_get"];
/// Of WASI preview 1, what a hook cannot have: it owns no socket and no other process.
const NEVER: &[&str] = &["sock_accept", "sock_recv", "sock_send", "sock_shutdown", "proc_raise"];
/// How a module is begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// `_initialize`, where there is one, then `run(reason)`.
    Run,
    /// `_start`; the exit status is the result.
    Start,
}

/// What the bytes say about a module.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Imports, as module and name, in order, each once.
    pub imports: Vec<(String, String)>,
    /// Names of what it exports.
    pub exports: Vec<String>,
    /// How it is begun.
    pub entry: Entry,
    /// It exports `_initialize`.
    pub initialize: bool,
    /// It exports `graceshut_abi` (asked when it runs, unless it says a constant).
    pub abi: bool,
    /// The memory it begins with, in bytes.
    pub memory: u64,
    /// The grants it cannot do without: `clock`, `random`, `http`.
    pub needs: Vec<&'static str>,
}

/// Tells bytes that are a module of the size allowed from what is none.
fn head(bytes: &[u8]) -> Result<(), String> {
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
        Some([1, 0, 0, 0]) => Ok(()),
        Some([0x0d, 0, 1, 0]) => Err("it is a component; this build runs core modules with WASI preview 1 (target \
             wasm32-wasip1, not wasip2)"
            .to_owned()),
        Some(v) => Err(format!("it is WebAssembly of version {v:?}; this build runs version 1")),
        None => Err("it is truncated: the file ends within the first eight bytes".to_owned()),
    }
}

#[derive(Default)]
struct Reader {
    types: Vec<Option<FuncType>>,
    /// Type of every function, imported ones first.
    funcs: Vec<u32>,
    imported: u32,
    imports: Vec<(String, String, Option<u32>)>,
    exports: Vec<(String, ExternalKind, u32)>,
    constants: Vec<Option<i32>>,
    /// Bytes its memories begin with.
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

fn broken(e: &wasmparser::BinaryReaderError) -> String {
    let (at, message) = (e.offset(), e.message());
    if message.contains("unexpected end") || message.contains("unexpected EOF") {
        return format!("it is truncated: the file ends at byte {at}, in the middle of something");
    }
    format!("it is damaged at byte {at}: {message}")
}

/// Reads the shape of a module and refuses what no grant could make work.
///
/// # Errors
/// What is wrong, in words.
pub fn shape(bytes: &[u8]) -> Result<Shape, String> {
    head(bytes)?;
    let reader = Reader::read(bytes)?;
    reader.imports.iter().try_for_each(|(module, name, ty)| reader.known(module, name, *ty))?;
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
    let mut needs = Vec::new();
    let has = |names: &[&str]| reader.imports.iter().any(|(m, n, _)| m == WASI && names.contains(&n.as_str()));
    if has(CLOCK) {
        needs.push("clock");
    }
    if has(RANDOM) {
        needs.push("random");
    }
    if reader.imports.iter().any(|(m, n, _)| m == abi::MODULE && n == "http_request") {
        needs.push("http");
    }
    Ok(Shape {
        exports: reader.exports.iter().map(|(name, ..)| name.clone()).collect(),
        imports,
        memory: reader.memory,
        entry: if run { Entry::Run } else { Entry::Start },
        initialize,
        abi,
        needs,
    })
}

/// Refuses a module that cannot work without a grant it was not given.
pub(crate) fn granted(shape: &Shape, grants: &Grants, memory: u64) -> Result<(), String> {
    if shape.memory > memory {
        let mib = shape.memory.div_ceil(1 << 20);
        let (has, may) = (shape.memory, memory);
        return Err(format!("its memory begins with {has} bytes and may have {may}: grant it with memory = \"{mib}MiB\""));
    }
    for need in &shape.needs {
        let (given, function, how) = match *need {
            "clock" => (grants.clock, "wasi_snapshot_preview1.clock_time_get", "clock = true"),
            "random" => (grants.random, "wasi_snapshot_preview1.random_get", "random = true"),
            _ => (!grants.http.is_empty(), "graceshut_v1.http_request", "http = [\"PUT 127.0.0.1:8500\"]"),
        };
        if !given {
            return Err(format!("it imports `{function}`, which is denied unless granted: grant it with {how}"));
        }
    }
    Ok(())
}
