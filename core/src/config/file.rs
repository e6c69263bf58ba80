//! `graceshut.toml`: found, opened, read and parsed, with the system's own words or the line and column when that fails.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::CONFIG;
use super::options::Options;
use super::read::read;
use super::time::{NumberUnit, number};
use super::walk::Source;
use crate::error::{Error, ErrorKind};

/// The file looked for in the working directory.
const NAME: &str = "graceshut.toml";
/// Nobody writes more by hand; a log file named by mistake is refused at once.
const LARGEST: u64 = 1 << 20;

/// Reads the file named by `GRACESHUT_CONFIG`, which then has to be there, else `graceshut.toml` in `dir`, if it is there.
/// Without `dir` only a named file is looked for.
///
/// # Errors
/// [`ErrorKind::Os`] when the file cannot be read, [`ErrorKind::NotUtf8`] when it is no text, [`ErrorKind::BadConfig`] when it
/// is too large or no TOML; all name the file.
pub(super) fn load(named: Option<&Path>, dir: Option<&Path>) -> Result<Option<(PathBuf, Value)>, Error> {
    let path = match (named, dir) {
        (Some(path), Some(dir)) => dir.join(path),
        (Some(path), None) => path.to_owned(),
        (None, Some(dir)) => dir.join(NAME),
        (None, None) => return Ok(None),
    };
    // A folder that cannot be searched holds no file for us: only a file that is seen to exist has to be readable.
    if named.is_none() && path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let text = contents(&path, named.is_some())?;
    let value = parse(&text, &path)?;
    Ok(Some((path, value)))
}

/// The options of a file.
///
/// # Errors
/// Those of [`read`](super::read()); all name the file.
pub(super) fn options(path: PathBuf, value: &Value) -> Result<(PathBuf, Options), Error> {
    let options = read(value, NumberUnit::Refused, &Source::File(path.clone()))?;
    Ok((path, options))
}

fn contents(path: &Path, named: bool) -> Result<String, Error> {
    let what =
        if named { format!("{CONFIG}: cannot read {}", path.display()) } else { format!("cannot read {}", path.display()) };
    let os = |e: &std::io::Error| Error::os(&what, e);
    // O_NONBLOCK: a FIFO named by mistake must not hold the start of the program up.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(|e| os(&e))?;
    let kind = file.metadata().map_err(|e| os(&e))?.file_type();
    if kind.is_dir() {
        return Err(Error::new(ErrorKind::Os, format!("{what}: it is a directory; name the file in it")));
    }
    if !kind.is_file() && !kind.is_char_device() {
        return Err(Error::new(ErrorKind::Os, format!("{what}: it is no regular file")));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| os(&e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::new(
            ErrorKind::BadConfig,
            format!("{}: larger than 1 MiB; is this the right file?", path.display()),
        ));
    }
    String::from_utf8(bytes).map_err(|e| {
        let (line, column) = position(&String::from_utf8_lossy(&e.as_bytes()[..e.utf8_error().valid_up_to()]), usize::MAX);
        Error::new(ErrorKind::NotUtf8, format!("{}:{line}:{column}: not valid UTF-8; save the file as UTF-8", path.display()))
    })
}

fn parse(text: &str, path: &Path) -> Result<Value, Error> {
    let refuse = |at: usize, words: &str| {
        let (line, column) = position(text, at);
        Error::new(ErrorKind::BadConfig, format!("{}:{line}:{column}: {words}", path.display()))
    };
    let parsed = DeTable::parse(text).map_err(|e| {
        let words = e.message().lines().collect::<Vec<_>>().join(", ");
        refuse(e.span().map_or(usize::MAX, |s| s.start), &words)
    })?;
    let span = parsed.span();
    json(Spanned::new(span, DeValue::Table(parsed.into_inner()))).map_err(|at| refuse(at, "this number is too large"))
}

/// Line and column, from 1, of byte `at` (or of the end).
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// By hand, since serde turns a NaN into null and a date into a table of its own, and is a large part of the library. The
/// error is where a number stands that does not fit.
fn json(value: Spanned<DeValue<'_>>) -> Result<Value, usize> {
    let at = value.span().start;
    Ok(match value.into_inner() {
        DeValue::String(s) => Value::String(s.into_owned()),
        DeValue::Integer(n) => Value::from(i64::from_str_radix(n.as_str(), n.radix()).map_err(|_| at)?),
        DeValue::Float(f) => number(float(f.as_str()).ok_or(at)?),
        DeValue::Boolean(b) => Value::Bool(b),
        DeValue::Datetime(d) => Value::String(d.to_string()),
        DeValue::Array(items) => Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        DeValue::Table(t) => {
            // One by one: collecting would bring a sort with it.
            let mut object = Map::new();
            for (key, value) in t {
                object.insert(key.into_inner().into_owned(), json(value)?);
            }
            Value::Object(object)
        }
    })
}

/// The number, unless it is written as a finite one and is beyond every one.
fn float(text: &str) -> Option<f64> {
    text.parse().ok().filter(|f: &f64| !f.is_infinite() || text.contains("inf"))
}
