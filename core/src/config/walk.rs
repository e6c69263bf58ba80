//! A cursor over a JSON value that knows where it stands and where the value came from, so that every refusal names the
//! key, the value and the nearest valid one.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::env::variable_of;
use super::time::NumberUnit;
use crate::error::{Error, ErrorKind, did_you_mean};

/// Who a table of keys came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// `GRACESHUT_*` variables: every value is text.
    Environment,
    /// A configuration file.
    File(PathBuf),
    /// The program's own call, in any language.
    Code,
}

impl Source {
    /// How an error names `key` (the empty key is the whole table).
    pub(super) fn label(&self, key: &str) -> String {
        match self {
            Source::Environment => variable_of(key),
            Source::File(path) if key.is_empty() => path.display().to_string(),
            Source::File(path) => format!("{}: {key}", path.display()),
            Source::Code if key.is_empty() => "the options".to_owned(),
            Source::Code => key.to_owned(),
        }
    }
}

/// One value, its dotted key and its source.
pub(super) struct Item<'a> {
    value: &'a Value,
    key: String,
    unit: NumberUnit,
    source: &'a Source,
}

/// A table of which every key is known.
pub(super) struct Table<'a> {
    map: &'a Map<String, Value>,
    key: String,
    unit: NumberUnit,
    source: &'a Source,
}

impl<'a> Item<'a> {
    /// The whole table.
    pub(super) fn root(value: &'a Value, unit: NumberUnit, source: &'a Source) -> Item<'a> {
        Item { value, key: String::new(), unit, source }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn unit(&self) -> NumberUnit {
        self.unit
    }

    /// How an error names this key.
    pub(super) fn label(&self) -> String {
        self.source.label(&self.key)
    }

    /// An error that names this key and its value.
    pub(super) fn refuse(&self, kind: ErrorKind, why: impl Display) -> Error {
        self.refusal(kind, &why)
    }

    #[inline(never)]
    fn refusal(&self, kind: ErrorKind, why: &dyn Display) -> Error {
        let label = self.source.label(&self.key);
        match self.value {
            Value::Object(_) => Error::new(kind, format!("{label}: {why}")),
            value => Error::new(kind, format!("{label} = {}: {why}", shortened(value))),
        }
    }

    /// An error of the usual kind.
    pub(super) fn bad(&self, why: impl Display) -> Error {
        self.refusal(ErrorKind::BadConfig, &why)
    }

    fn wrong_type(&self, wanted: &str) -> Error {
        match self.value {
            Value::Null => self.bad(format_args!("{wanted} is wanted here; leave the key out for its default")),
            _ => self.bad(format_args!("{wanted} is wanted here")),
        }
    }

    /// Reads `true` or `false` (in the environment also `1` and `0`).
    pub(super) fn boolean(&self) -> Result<bool, Error> {
        match (self.value, self.source) {
            (Value::Bool(b), _) => Ok(*b),
            (Value::String(s), Source::Environment) => match s.as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(self.wrong_type("true or false")),
            },
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// Reads a whole number within `range`.
    pub(super) fn integer(&self, range: RangeInclusive<i64>) -> Result<i64, Error> {
        let wanted = || self.wrong_type(&format!("a whole number from {} to {}", range.start(), range.end()));
        let n = match (self.value, self.source) {
            (Value::Number(n), _) => n.as_i64().or_else(|| whole(n.as_f64()?)),
            (Value::String(s), Source::Environment) => s.trim().parse().ok(),
            _ => None,
        };
        n.filter(|n| range.contains(n)).ok_or_else(wanted)
    }

    /// Reads text that is not empty and holds no NUL (no path, argument or name may).
    pub(super) fn text(&self) -> Result<&'a str, Error> {
        match self.value {
            Value::String(s) if s.is_empty() => Err(self.bad("this must not be empty; leave it out for its default")),
            Value::String(s) if s.contains('\0') => Err(self.bad("this must not hold a NUL character")),
            Value::String(s) => Ok(s),
            _ => Err(self.wrong_type("text")),
        }
    }

    /// Reads one of the words of `table`.
    pub(super) fn word<T: Copy>(&self, table: &[(&'static str, T)]) -> Result<T, Error> {
        let words: Vec<&'static str> = table.iter().map(|(w, _)| *w).collect();
        let at = self.word_at(&words)?;
        table.get(at).map(|(_, v)| *v).ok_or_else(|| self.wrong_type(&one_of(&words)))
    }

    /// Which of `words` this is.
    fn word_at(&self, words: &[&'static str]) -> Result<usize, Error> {
        let given = match self.value {
            Value::String(s) => s.as_str(),
            _ => return Err(self.wrong_type(&one_of(words))),
        };
        words.iter().position(|w| *w == given).ok_or_else(|| {
            let hint = did_you_mean(given, words.iter().copied());
            self.bad(format_args!("unknown word{hint} ({} is wanted here)", one_of(words)))
        })
    }

    /// The elements of an array.
    pub(super) fn list(&self, wanted: &str) -> Result<Vec<Item<'a>>, Error> {
        let Value::Array(items) = self.value else { return Err(self.wrong_type(wanted)) };
        let item = |(i, value)| Item { value, key: format!("{}[{i}]", self.key), unit: self.unit, source: self.source };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// A table in which only the keys `known` may stand.
    pub(super) fn table(&self, known: &[&str]) -> Result<Table<'a>, Error> {
        let table = self.any_table()?;
        for key in table.map.keys() {
            if !known.contains(&key.as_str()) {
                let hint = did_you_mean(key, known.iter().copied());
                let place = self.source.label(&self.key);
                let keys = known.join(", ");
                return Err(Error::new(
                    ErrorKind::BadConfig,
                    format!("{place}: unknown key \"{key}\"{hint} (the keys here are {keys})"),
                ));
            }
        }
        Ok(table)
    }

    /// A table whose keys are names.
    pub(super) fn any_table(&self) -> Result<Table<'a>, Error> {
        match self.value {
            Value::Object(map) => Ok(Table { map, key: self.key.clone(), unit: self.unit, source: self.source }),
            _ => Err(self.wrong_type("a table")),
        }
    }
}

impl<'a> Table<'a> {
    /// The value of `key`, if it is there.
    #[inline(never)]
    pub(super) fn get(&self, key: &str) -> Option<Item<'a>> {
        self.map.get(key).map(|value| self.item(key, value))
    }

    /// The value of `key` as `read` understands it, if it is there.
    #[inline(never)]
    pub(super) fn opt<T>(&self, key: &str, read: fn(&Item<'a>) -> Result<T, Error>) -> Result<Option<T>, Error> {
        self.get(key).map(|item| read(&item)).transpose()
    }

    /// As [`opt`](Table::opt), but the key has to be there.
    pub(super) fn need<T>(&self, key: &str, read: fn(&Item<'a>) -> Result<T, Error>) -> Result<T, Error> {
        self.opt(key, read)?.ok_or_else(|| self.bad(format_args!("the key \"{key}\" is missing")))
    }

    /// Every key and its value.
    pub(super) fn items(&self) -> impl Iterator<Item = (&'a str, Item<'a>)> {
        self.map.iter().map(|(key, value)| (key.as_str(), self.item(key, value)))
    }

    /// An error about this table as a whole.
    pub(super) fn bad(&self, why: impl Display) -> Error {
        Error::new(ErrorKind::BadConfig, format!("{}: {why}", self.source.label(&self.key)))
    }

    fn item(&self, key: &str, value: &'a Value) -> Item<'a> {
        Item { value, key: join(&self.key, key), unit: self.unit, source: self.source }
    }
}

fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

fn one_of(words: &[&'static str]) -> String {
    let words: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
    words.join(" or ")
}

/// A float that is a whole number: JavaScript and some JSON writers know no other kind.
fn whole(f: f64) -> Option<i64> {
    (f.fract() == 0.0 && f.abs() < 9e15).then_some(f as i64)
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
