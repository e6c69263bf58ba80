//! What a hook is and what it may: said at registration, in code or as the `wasm` key of a declaration. What is not said
//! here is denied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use graceshut::{Error, ErrorKind, HookBuilder, HookHandle};
use serde::Deserialize;
use serde_json::Value;

use crate::http::HttpGrant;

/// Memory a guest may have unless told otherwise.
pub const DEFAULT_MEMORY: u64 = 16 << 20;
/// The largest file that is read as a module.
pub const MODULE_LIMIT: u64 = 32 << 20;
const PAGE: u64 = 64 << 10;
const MEMORY_MOST: u64 = 4 << 30;

/// A WebAssembly hook and its grants. Everything not granted is denied.
#[derive(Clone, Debug)]
pub struct Wasm {
    pub(crate) source: Source,
    pub(crate) grants: Grants,
    pub(crate) memory: u64,
    pub(crate) fuel: Option<u64>,
    pub(crate) meter: Option<Arc<Meter>>,
}

/// What a run took: for tools and benchmarks. All zero until the hook has run.
#[derive(Debug, Default)]
pub struct Meter {
    pub(crate) memory: AtomicU64,
    pub(crate) fuel: AtomicU64,
    pub(crate) nanos: AtomicU64,
}

impl Meter {
    /// The largest its memory was, in bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory.load(Relaxed)
    }

    /// Fuel it used; 0 without a limit.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.fuel.load(Relaxed)
    }

    /// Time from the moment its code was there until it had ended: making an instance, running it, dropping it.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Relaxed))
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Source {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

/// How far a folder is opened to a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Files can be read and listed.
    Read,
    /// Files can also be written, made, renamed and removed.
    ReadWrite,
}

#[derive(Clone, Debug)]
pub(crate) struct Dir {
    pub(crate) guest: String,
    pub(crate) host: PathBuf,
    pub(crate) access: Access,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Grants {
    pub(crate) env: Vec<(String, String)>,
    /// Names whose values are the host's, read at registration.
    pub(crate) env_of_host: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) dirs: Vec<Dir>,
    pub(crate) http: Vec<HttpGrant>,
    pub(crate) clock: bool,
    pub(crate) random: bool,
    pub(crate) config: Vec<(String, String)>,
}

impl Wasm {
    fn new(source: Source) -> Wasm {
        Wasm { source, grants: Grants::default(), memory: DEFAULT_MEMORY, fuel: None, meter: None }
    }

    /// The module in this file. Read at registration.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Wasm {
        Wasm::new(Source::File(path.into()))
    }

    /// The module in these bytes.
    #[must_use]
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Wasm {
        Wasm::new(Source::Bytes(bytes.into()))
    }

    /// Lets the guest see the variable `name` with this value.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Wasm {
        self.grants.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the guest see the host's variable `name`, as it is at registration; unset stays unset.
    #[must_use]
    pub fn env_of_host(mut self, name: &str) -> Wasm {
        self.grants.env_of_host.push(name.to_owned());
        self
    }

    /// Adds an argument. The guest's first one is always the hook's name.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Wasm {
        self.grants.args.push(arg.to_owned());
        self
    }

    /// Opens the folder `host` to the guest under the name `guest`. Nothing above it can be reached, by no `..` and no link.
    #[must_use]
    pub fn dir(mut self, guest: &str, host: impl AsRef<Path>, access: Access) -> Wasm {
        self.grants.dirs.push(Dir { guest: guest.to_owned(), host: host.as_ref().to_owned(), access });
        self
    }

    /// Allows requests with these methods to this host and port: `http(&["PUT"], "127.0.0.1:8500")`. The name is compared as
    /// written, so `localhost` does not grant `127.0.0.1`. `https://host:port` grants TLS (builds with the `tls` feature).
    #[must_use]
    pub fn http(mut self, methods: &[&str], host: &str) -> Wasm {
        self.grants.http.push(HttpGrant::unchecked(methods, host));
        self
    }

    /// Lets the guest read the clocks.
    #[must_use]
    pub fn clock(mut self) -> Wasm {
        self.grants.clock = true;
        self
    }

    /// Lets the guest have random numbers.
    #[must_use]
    pub fn random(mut self) -> Wasm {
        self.grants.random = true;
        self
    }

    /// A text the guest reads with `context_read("config.KEY")`.
    #[must_use]
    pub fn config(mut self, key: &str, value: &str) -> Wasm {
        self.grants.config.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Most linear memory, in bytes, from 64 KiB to 4 GiB; 16 MiB by default. What goes beyond is refused to the guest.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Wasm {
        self.memory = bytes;
        self
    }

    /// A second cap beside time: about one unit an instruction. Deterministic, but no clock.
    #[must_use]
    pub fn fuel(mut self, units: u64) -> Wasm {
        self.fuel = Some(units);
        self
    }

    /// Measures the run.
    #[must_use]
    pub fn metered(mut self, meter: &Arc<Meter>) -> Wasm {
        self.meter = Some(Arc::clone(meter));
        self
    }

    /// Registers the hook: reads and checks the module and begins to compile it on a background thread. Any thread; blocks
    /// for reading and checking (milliseconds).
    ///
    /// # Errors
    /// `BadValue` for what is wrong with the module or a grant, `Os` for what cannot be read, `Unsupported` for what this
    /// build has not, and what [`HookBuilder::run`] has.
    pub fn register(&self, builder: HookBuilder) -> Result<HookHandle, Error> {
        let name = builder.name().to_owned();
        builder.wasm_body(crate::hook::prepare(&name, self)?)
    }

    /// Reads the `wasm` key of a declaration: a path, or a table with a `path`.
    ///
    /// # Errors
    /// `BadConfig` that names the key and what it may be.
    pub fn from_json(value: &Value) -> Result<Wasm, Error> {
        let bad = |e: String| Error::new(ErrorKind::BadConfig, format!("wasm: {e}"));
        if let Some(path) = value.as_str() {
            return Ok(Wasm::file(path));
        }
        let keys: Keys = Keys::deserialize(value).map_err(|e| bad(e.to_string()))?;
        let mut wasm = Wasm::file(keys.path);
        let g = &mut wasm.grants;
        match keys.env.unwrap_or_default() {
            Env::Values(map) => g.env = map.into_iter().collect(),
            Env::Names(names) => g.env_of_host = names,
        }
        g.args = keys.args;
        g.config = keys.config.into_iter().collect();
        (g.clock, g.random) = (keys.clock, keys.random);
        g.dirs = keys.dirs.into_iter().map(|(guest, text)| dir(guest, &text)).collect();
        g.http = keys.http.iter().map(|text| HttpGrant::parse(text)).collect::<Result<_, _>>().map_err(bad)?;
        if let Some(size) = keys.memory {
            wasm.memory = size.bytes().map_err(bad)?;
        }
        wasm.fuel = keys.fuel;
        Ok(wasm)
    }

    /// Refuses what cannot be granted.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(PAGE..=MEMORY_MOST).contains(&self.memory) {
            return Err(format!("memory = {} bytes: a limit lies between 64KiB and 4GiB", self.memory));
        }
        let names = self.grants.env.iter().map(|(n, _)| n).chain(&self.grants.env_of_host);
        if let Some(name) = names.into_iter().find(|n| n.is_empty() || n.contains(['=', '\0'])) {
            return Err(format!("env: {name:?} is no name of a variable"));
        }
        let texts = self.grants.args.iter().chain(self.grants.env.iter().map(|(_, v)| v));
        if let Some(text) = texts.into_iter().find(|t| t.contains('\0')) {
            return Err(format!("{text:?} contains a NUL character, which no argument or variable may"));
        }
        for dir in &self.grants.dirs {
            if dir.guest.is_empty() || dir.guest.contains('\0') {
                return Err(format!("dirs: {:?} is no name for a folder", dir.guest));
            }
            if !dir.host.is_dir() {
                return Err(format!("dirs: {} is no folder; make it first, or take the grant out", dir.host.display()));
            }
        }
        self.grants.http.iter().try_for_each(HttpGrant::check)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    path: PathBuf,
    env: Option<Env>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    dirs: BTreeMap<String, String>,
    #[serde(default)]
    http: Vec<String>,
    #[serde(default)]
    clock: bool,
    #[serde(default)]
    random: bool,
    #[serde(default)]
    config: BTreeMap<String, String>,
    memory: Option<Size>,
    fuel: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "env is a table of names and values, or a list of names whose values are the host's")]
enum Env {
    Values(BTreeMap<String, String>),
    Names(Vec<String>),
}

impl Default for Env {
    fn default() -> Env {
        Env::Names(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "memory is a size such as \"16MiB\", or a number of bytes")]
enum Size {
    Bytes(u64),
    Text(String),
}

impl Size {
    fn bytes(&self) -> Result<u64, String> {
        let text = match self {
            Size::Bytes(n) => return Ok(*n),
            Size::Text(text) => text.trim(),
        };
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let factor = match unit.trim() {
            "" | "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let bytes = factor.and_then(|f: u64| digits.parse::<u64>().ok()?.checked_mul(f));
        bytes.ok_or_else(|| format!("memory = {text:?}: write a size such as \"16MiB\" (B, KiB, MiB, GiB)"))
    }
}

/// `"/var/spool/app"` or `"/var/spool/app:ro"` to read, `"/var/spool/app:rw"` to write.
fn dir(guest: String, text: &str) -> Dir {
    let (host, access) = match (text.strip_suffix(":rw"), text.strip_suffix(":ro")) {
        (Some(host), _) => (host, Access::ReadWrite),
        (_, Some(host)) => (host, Access::Read),
        _ => (text, Access::Read),
    };
    Dir { guest, host: host.into(), access }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(value: &Value) -> String {
        let e = Wasm::from_json(value).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::BadConfig);
        e.message().to_owned()
    }

    #[test]
    fn a_path_alone_grants_nothing() {
        let wasm = Wasm::from_json(&json!("x.wasm")).unwrap();
        let g = &wasm.grants;
        assert!(g.env.is_empty() && g.env_of_host.is_empty() && g.args.is_empty() && g.dirs.is_empty() && g.http.is_empty());
        assert!(!g.clock && !g.random);
        assert_eq!((wasm.memory, wasm.fuel), (DEFAULT_MEMORY, None));
    }

    #[test]
    fn a_table_grants_what_it_names() {
        let wasm = Wasm::from_json(&json!({
            "path": "x.wasm", "env": {"A": "1"}, "args": ["-v"], "dirs": {"/in": "/tmp", "/out": "/tmp:rw"},
            "http": ["PUT,GET 127.0.0.1:8500"], "clock": true, "random": true, "config": {"id": "web-1"},
            "memory": "2MiB", "fuel": 1000
        }))
        .unwrap();
        assert_eq!(wasm.grants.env, [("A".to_owned(), "1".to_owned())]);
        assert_eq!(wasm.grants.dirs[0].access, Access::Read);
        assert_eq!(wasm.grants.dirs[1].access, Access::ReadWrite);
        assert_eq!(wasm.grants.dirs[1].host, Path::new("/tmp"));
        assert_eq!((wasm.memory, wasm.fuel), (2 << 20, Some(1000)));
        wasm.check().unwrap();
    }

    #[test]
    fn mistakes_are_named() {
        assert!(refused(&json!({"path": "x", "dir": {}})).contains("unknown field `dir`"));
        assert!(refused(&json!({})).contains("path"));
        assert!(refused(&json!({"path": "x", "memory": "16MB"})).contains("\"16MiB\""));
        assert!(refused(&json!({"path": "x", "env": 3})).contains("list of names"));
        assert!(refused(&json!({"path": "x", "http": ["127.0.0.1:80"]})).contains("PUT 127.0.0.1:8500"));
        let missing = Wasm::file("x").dir("/a", "/does/not/exist", Access::Read).check().unwrap_err();
        assert!(missing.contains("/does/not/exist"));
        assert!(Wasm::file("x").memory(1).check().unwrap_err().contains("64KiB"));
        assert!(Wasm::file("x").env("A=B", "").check().unwrap_err().contains("A=B"));
    }
}
