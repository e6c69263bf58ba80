//! Core's errors as Python exceptions: one class per [`ErrorKind`], made in `graceshut._errors` from this very table.

use graceshut::{Error, ErrorKind};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Every kind's name and frozen number, in order.
#[pyfunction]
pub(crate) fn error_kinds() -> Vec<(&'static str, i32)> {
    ErrorKind::ALL.iter().map(|k| (k.name(), k.code())).collect()
}

/// The exception for `error`; needs the interpreter.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let class = || -> PyResult<Bound<'_, PyAny>> {
        py.import("graceshut._errors")?.getattr("BY_KIND")?.get_item(error.kind().name())?.call1((error.message(),))
    };
    match class() {
        Ok(exception) => PyErr::from_value(exception),
        Err(_) => PyRuntimeError::new_err(error.message().to_owned()),
    }
}

/// `?` for core's results.
pub(crate) trait OrRaise<T> {
    /// The value, or the exception.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|e| raise(py, &e))
    }
}
