//! Python's values as the JSON that core reads, and core's JSON as Python's values.
//!
//! Nothing is judged here that core can judge by name: a NaN becomes text (`config::number`), a negative number stays one.

use std::time::Duration;

use graceshut::config::{self, NumberUnit, Source};
use graceshut::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString};
use serde_json::{Map, Value, json};

use crate::error::{OrRaise, raise};

/// Nested deeper than this is no configuration (and a list that holds itself must not end the process).
const DEEPEST: usize = 16;

/// The JSON of `value`; `key` is named in errors. `None` in a mapping means "not said".
pub(crate) fn to_json(value: &Bound<'_, PyAny>, key: &str) -> PyResult<Value> {
    walk(value, key, 0)
}

fn walk(value: &Bound<'_, PyAny>, key: &str, depth: usize) -> PyResult<Value> {
    let py = value.py();
    let bad = |kind, why: &str| raise(py, &Error::new(kind, format!("{key}: {why}")));
    if depth > DEEPEST {
        return Err(bad(ErrorKind::BadValue, "this is nested too deeply"));
    }
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(b) = value.cast::<PyBool>() {
        return Ok(Value::Bool(b.is_true()));
    }
    if value.is_instance_of::<PyString>() {
        return text(value, key).map(Value::String);
    }
    if value.is_instance_of::<PyInt>() {
        if let Ok(n) = value.extract::<i64>() {
            return Ok(n.into());
        }
        if let Ok(n) = value.extract::<u64>() {
            return Ok(n.into());
        }
        let huge = if value.lt(0)? { f64::NEG_INFINITY } else { f64::INFINITY };
        return Ok(config::number(value.extract::<f64>().unwrap_or(huge)));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(config::number(value.extract()?));
    }
    if let Ok(seconds) = value.call_method0("total_seconds") {
        return Ok(config::number(seconds.extract()?));
    }
    if let Ok(map) = value.cast::<PyMapping>() {
        let mut object = Map::new();
        for pair in map.items()?.iter() {
            let (name, item): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
            if item.is_none() {
                continue;
            }
            // Signals may be keyed by number or by signal.Signals.
            let name = match name.extract::<i64>() {
                Ok(number) => number.to_string(),
                Err(_) => text(&name, key)?,
            };
            let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            object.insert(name, walk(&item, &below, depth + 1)?);
        }
        return Ok(Value::Object(object));
    }
    if value.hasattr("__fspath__")? {
        return text(&value.call_method0("__fspath__")?, key).map(Value::String);
    }
    if value.is_instance_of::<pyo3::types::PyBytes>() {
        return Err(bad(ErrorKind::BadValue, "bytes are no value here; decode them first"));
    }
    if let Ok(items) = value.try_iter() {
        let mut list = Vec::new();
        for (i, item) in items.enumerate() {
            list.push(walk(&item?, &format!("{key}[{i}]"), depth + 1)?);
        }
        return Ok(Value::Array(list));
    }
    let type_name = value.get_type().name()?;
    Err(bad(ErrorKind::BadValue, &format!("a {type_name} is no value here")))
}

/// Text that can be said in UTF-8.
pub(crate) fn text(value: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    let py = value.py();
    let error = |kind, why: String| Err(raise(py, &Error::new(kind, why)));
    if value.is_none() {
        return error(ErrorKind::Null, format!("{what} is missing"));
    }
    let Ok(string) = value.cast::<PyString>() else {
        let type_name = value.get_type().name()?;
        return error(ErrorKind::BadValue, format!("{what}: text is wanted here, not a {type_name}"));
    };
    match string.to_cow() {
        Ok(s) => Ok(s.into_owned()),
        Err(_) => error(ErrorKind::NotUtf8, format!("{what}: {} cannot be written as UTF-8", string.repr()?)),
    }
}

/// A time: seconds, a timedelta or text with a unit; `None` stays `None`.
pub(crate) fn duration(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Option<Duration>> {
    if value.is_none() {
        return Ok(None);
    }
    let table = json!({ "grace": to_json(value, what)? });
    let read = config::read(&table, NumberUnit::Seconds, &Source::Code);
    let named = |e: Error| {
        let message = e.message().strip_prefix("grace").map_or_else(|| e.message().to_owned(), |m| format!("{what}{m}"));
        Error::new(e.kind(), message)
    };
    read.map(|o| o.grace).map_err(named).or_raise(value.py())
}

/// Core's JSON as dicts and lists.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(b) => PyBool::new(py, *b).to_owned().into_any(),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => i.into_pyobject(py)?.into_any(),
            (None, Some(u)) => u.into_pyobject(py)?.into_any(),
            (None, None) => n.as_f64().into_pyobject(py)?.into_any(),
        },
        Value::String(s) => PyString::new(py, s).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(map) => {
            let dict = PyDict::new(py);
            for (key, item) in map {
                dict.set_item(key, to_python(py, item)?)?;
            }
            dict.into_any()
        }
    })
}
