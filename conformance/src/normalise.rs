//! `normalised.toml`: what may differ between the reports of two languages.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::languages::Language;

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalised {
    field: Vec<Field>,
    error_text: Vec<Field>,
    uncaught_text: Vec<Field>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    path: String,
    #[allow(dead_code, reason = "for people; the file has to say it")]
    why: String,
}

impl Normalised {
    /// Reads the file.
    ///
    /// # Errors
    /// Words that name the file and the key.
    pub fn read(path: &Path) -> Result<Normalised, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// The report without what may differ.
    #[must_use]
    pub fn apply(&self, report: &Value, language: &Language) -> Value {
        let mut report = report.clone();
        for field in &self.field {
            each(&mut report, &parts(&field.path), &mut |v| {
                *v = match v {
                    Value::Null => Value::Null,
                    Value::Number(_) => "a number".into(),
                    Value::String(_) => "a text".into(),
                    _ => "normalised".into(),
                };
            });
        }
        for field in &self.error_text {
            each(&mut report, &parts(&field.path), &mut |v| {
                if let Some(rest) = v.as_str().and_then(|s| s.strip_prefix(language.error_prefix.as_str())) {
                    *v = rest.into();
                }
            });
        }
        if let Some(Value::Array(warnings)) = report.get_mut("warnings") {
            let own = |w: &str| language.own_warnings.keys().any(|begin| w.starts_with(begin.as_str()));
            warnings.retain(|w| !w.as_str().is_some_and(own));
        }
        if report.pointer("/reason/kind").and_then(Value::as_str) == Some("uncaught") {
            for field in &self.uncaught_text {
                each(&mut report, &parts(&field.path), &mut |v| *v = "a text".into());
            }
        }
        report
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('.').collect()
}

fn each(value: &mut Value, path: &[&str], f: &mut dyn FnMut(&mut Value)) {
    match path {
        [] => f(value),
        ["*", rest @ ..] => value.as_array_mut().into_iter().flatten().for_each(|v| each(v, rest, f)),
        [key, rest @ ..] => {
            if let Some(v) = value.get_mut(*key) {
                each(v, rest, f);
            }
        }
    }
}

/// Where two normalised reports differ, in words.
#[must_use]
pub fn differences(a: &Value, b: &Value) -> Vec<String> {
    let (bytes_a, bytes_b) = (a.to_string(), b.to_string());
    if bytes_a == bytes_b {
        return Vec::new();
    }
    let mut out = Vec::new();
    differ("", a, b, &mut out);
    if out.is_empty() {
        out.push("the keys come in another order".to_owned());
    }
    out
}

fn differ(path: &str, a: &Value, b: &Value, out: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for key in x.keys().chain(y.keys().filter(|k| !x.contains_key(*k))) {
                let none = Value::String("(no such key)".to_owned());
                differ(&format!("{path}/{key}"), x.get(key).unwrap_or(&none), y.get(key).unwrap_or(&none), out);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().for_each(|(i, (x, y))| differ(&format!("{path}/{i}"), x, y, out));
        }
        _ if a != b => out.push(format!("{path}: {a} there, {b} here")),
        _ => {}
    }
}
