//! Options and hooks as JSON text: how bindings hand over what their language's idiom gave them.

use serde_json::Value;

use super::options::{HookDecl, Options};
use super::time::NumberUnit;
use super::walk::{Item, Source};
use crate::error::{Error, ErrorKind};

fn parse(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|e| Error::new(ErrorKind::BadConfig, format!("the options are no JSON: {e}")))
}

/// Options from a JSON object with the keys of `graceshut.toml`; `unit` is what a bare number means for a time.
///
/// # Errors
/// As [`read`](super::read).
pub fn options_from_json(text: &str, unit: NumberUnit) -> Result<Options, Error> {
    super::read(&parse(text)?, unit, &Source::Code)
}

/// One hook from a JSON object with the keys of a `[[hook]]` table.
///
/// # Errors
/// As [`read`](super::read).
pub fn hook_from_json(text: &str, unit: NumberUnit) -> Result<HookDecl, Error> {
    let value = parse(text)?;
    Item::root(&value, unit, &Source::Code).hook()
}
