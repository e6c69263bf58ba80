//! `[[hook]]`: a hook declared as data (spec 8.5).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::Value;

use super::options::{DeclKind, ExecSpec, HookDecl, HttpSpec, SignalSpec};
use super::signame;
use super::walk::{Item, Table};
use crate::error::{Error, ErrorKind};
use crate::signal::name::number_of;

const KINDS: &[&str] = &["exec", "http", "delay", "inflight", "signal", "wasm"];
const KEYS: &[&str] =
    &["phase", "name", "timeout", "after", "optional", "fork", "exec", "http", "delay", "inflight", "signal", "wasm"];
/// `fork`: whether a re-armed child has the hook too.
const FORK: &[(&str, bool)] = &[("parent", false), ("inherit", true)];
const METHODS: &[(&str, &str)] =
    &[("GET", "GET"), ("PUT", "PUT"), ("POST", "POST"), ("DELETE", "DELETE"), ("PATCH", "PATCH"), ("HEAD", "HEAD")];

/// Somebody in this process runs WebAssembly.
static WASM: AtomicBool = AtomicBool::new(false);

/// From now on `wasm` hooks are read.
pub(crate) fn allow_wasm() {
    WASM.store(true, Relaxed);
}

impl Item<'_> {
    /// Every `[[hook]]`, in order.
    pub(super) fn hooks(&self) -> Result<Vec<HookDecl>, Error> {
        self.list("a list of tables, each written as [[hook]],")?.iter().map(Item::hook).collect()
    }

    pub(super) fn hook(&self) -> Result<HookDecl, Error> {
        let t = self.table(KEYS)?;
        Ok(HookDecl {
            phase: t.need("phase", Item::string)?,
            name: t.opt("name", Item::string)?.unwrap_or_default(),
            timeout: t.opt("timeout", Item::positive_time)?,
            after: t.opt("after", Item::names)?.unwrap_or_default(),
            optional: t.opt("optional", Item::boolean)?.unwrap_or_default(),
            inherit: t.opt("fork", |i| i.word(FORK))?.unwrap_or_default(),
            kind: kind(&t)?,
        })
    }

    pub(super) fn string(&self) -> Result<String, Error> {
        self.text().map(str::to_owned)
    }

    /// One name, or an array of names.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        if self.value().is_string() {
            return Ok(vec![self.string()?]);
        }
        self.list("a name or a list of names")?.iter().map(Item::string).collect()
    }

    fn exec(&self) -> Result<ExecSpec, Error> {
        if !self.value().is_object() {
            return Ok(ExecSpec { argv: self.argv()?, ..ExecSpec::default() });
        }
        let t = self.table(&["argv", "env", "dir"])?;
        let env = t.opt("env", Item::pairs)?.unwrap_or_default();
        if let Some((name, _)) = env.iter().find(|(name, _)| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(
                t.bad(format_args!("env: {name:?} is no name of a variable; use one that is not empty and holds no '='"))
            );
        }
        Ok(ExecSpec { argv: t.need("argv", Item::argv)?, env, dir: t.opt("dir", Item::path)? })
    }

    pub(super) fn argv(&self) -> Result<Vec<String>, Error> {
        let words = self.list("a list of the program and its arguments, as in [\"sync\", \"--all\"],")?;
        if words.is_empty() {
            return Err(self.bad("the command is empty; its first word is the program"));
        }
        // Only the program's own name has to say something.
        let word = |(i, item): (usize, &Item<'_>)| if i > 0 && item.value() == "" { Ok(String::new()) } else { item.string() };
        words.iter().enumerate().map(word).collect()
    }

    /// A table of texts; the texts may be empty.
    pub(super) fn pairs(&self) -> Result<Vec<(String, String)>, Error> {
        self.any_table()?
            .items()
            .map(|(name, item)| match item.value() {
                Value::String(s) if s.is_empty() => Ok((name.to_owned(), String::new())),
                _ => Ok((name.to_owned(), item.string()?)),
            })
            .collect()
    }

    pub(super) fn path(&self) -> Result<PathBuf, Error> {
        self.text().map(PathBuf::from)
    }

    fn http(&self) -> Result<HttpSpec, Error> {
        if !cfg!(feature = "http") {
            return Err(self
                .refuse(ErrorKind::Unsupported, "this build has no http hooks; build with the feature \"http\" or use exec"));
        }
        let t = self.table(&["method", "url", "headers", "body", "accept"])?;
        let headers = t.opt("headers", Item::pairs)?.unwrap_or_default();
        if let Some((name, _)) = headers.iter().find(|(name, value)| !is_token(name) || value.chars().any(char::is_control)) {
            return Err(
                t.bad(format_args!("headers: {name:?} or its value holds what no header may (spaces in the name, line ends)"))
            );
        }
        let body = |i: &Item<'_>| i.value().as_str().map(str::to_owned).ok_or_else(|| i.bad("text is wanted here"));
        Ok(HttpSpec {
            method: t.opt("method", |i| i.word(METHODS))?.unwrap_or("POST").to_owned(),
            url: t.need("url", Item::url)?,
            headers,
            body: t.opt("body", body)?,
            accept: t.opt("accept", Item::statuses)?.unwrap_or_default(),
        })
    }

    pub(super) fn url(&self) -> Result<String, Error> {
        let url = self.text()?;
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        if rest.is_empty() || rest.starts_with('/') || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(self.bad("write a whole address, as in \"http://127.0.0.1:15020/quitquitquit\""));
        }
        match scheme {
            "http" => Ok(url.to_owned()),
            "https" if cfg!(feature = "tls") => Ok(url.to_owned()),
            "https" => {
                Err(self.refuse(ErrorKind::Unsupported, "this build has no TLS; build with the feature \"tls\" or use http://"))
            }
            _ => Err(self.bad("the address has to begin with http:// or https://")),
        }
    }

    fn statuses(&self) -> Result<Vec<u16>, Error> {
        // The range makes the cast exact.
        self.list("a list of statuses, as in [404],")?.iter().map(|i| Ok(i.integer(100..=599)? as u16)).collect()
    }

    fn signal_spec(&self) -> Result<SignalSpec, Error> {
        let t = self.table(&["pid", "pidfile", "signal", "wait"])?;
        let spec = SignalSpec {
            pid: t.opt("pid", |i| Ok(i.integer(1..=i64::from(i32::MAX))? as i32))?,
            pidfile: t.opt("pidfile", Item::path)?,
            signo: t.opt("signal", Item::signo)?.unwrap_or(libc::SIGTERM),
            wait: t.opt("wait", Item::boolean)?.unwrap_or_default(),
        };
        match (&spec.pid, &spec.pidfile) {
            (None, None) => Err(t.bad("say who gets the signal: pid or pidfile")),
            (Some(_), Some(_)) => Err(t.bad("pid and pidfile both say who gets the signal; keep one")),
            _ => Ok(spec),
        }
    }

    pub(super) fn signo(&self) -> Result<i32, Error> {
        let text = match self.value() {
            Value::String(text) => text.clone(),
            Value::Number(n) => n.to_string(),
            _ => return Err(self.bad("a signal is wanted here, as in \"TERM\"")),
        };
        number_of(&text).ok_or_else(|| self.bad(signame::unknown(&text)))
    }
}

fn kind(t: &Table<'_>) -> Result<DeclKind, Error> {
    let given: Vec<(&str, Item<'_>)> = KINDS.iter().filter_map(|k| t.get(k).map(|item| (*k, item))).collect();
    let [(word, item)] = given.as_slice() else {
        let words: Vec<&str> = given.iter().map(|(k, _)| *k).collect();
        return Err(match words.as_slice() {
            [] => t.bad("the hook does nothing; say what: exec, http, delay, inflight or signal"),
            many => {
                t.bad(format_args!("one hook does one thing, this one says {}; make them several hooks", many.join(" and ")))
            }
        });
    };
    match *word {
        "exec" => item.exec().map(DeclKind::Exec),
        "http" => item.http().map(DeclKind::Http),
        "delay" => item.time().map(DeclKind::Delay),
        "inflight" => item.string().map(DeclKind::Inflight),
        "signal" => item.signal_spec().map(DeclKind::Signal),
        _ if WASM.load(Relaxed) => Ok(DeclKind::Wasm(item.value().clone())),
        _ => Err(item.refuse(
            ErrorKind::Unsupported,
            "this build has no wasm hooks; they are in the packages for Python, Node and Java, in the C library and the command with \
             the feature \"wasm\", in Go with the build tag graceshut_wasm, in Rust after graceshut_wasm::enable()",
        )),
    }
}

/// A token of HTTP: what the name of a header may be.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
