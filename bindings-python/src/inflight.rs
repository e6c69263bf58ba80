//! Named groups of work in flight (spec 9.1): one native call in, one out.

use graceshut::{Guard, InFlight};
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::values::text;

/// A named group of work in flight.
#[pyclass(frozen, subclass, module = "graceshut._graceshut")]
pub(crate) struct Group {
    inner: InFlight,
    name: String,
}

#[pymethods]
impl Group {
    #[new]
    fn new(py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Group> {
        let name = text(name, "name")?;
        Ok(Group { inner: InFlight::group(&name).or_raise(py)?, name })
    }

    /// Counts one unit of work in; False once work is refused.
    fn enter(&self) -> bool {
        self.inner.enter().map(Guard::forget).is_some()
    }

    /// Counts a part of already accepted work in; never refused.
    fn enter_part(&self) {
        self.inner.enter_part().forget();
    }

    /// Counts one unit of work out, on any thread.
    fn leave(&self) {
        self.inner.leave();
    }

    /// Units of work in flight in this group.
    #[getter]
    fn in_flight(&self) -> u32 {
        self.inner.count()
    }

    /// The group's name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    fn __repr__(&self) -> String {
        format!("<graceshut group {:?}, {} in flight>", self.name, self.inner.count())
    }
}
