//! Closing a server's listeners without cutting anybody off (spec 9.4): core's rule for a drain hook in Python.

use graceshut::clock::At;
use graceshut::listener::{self, Seen};
use pyo3::prelude::*;

use crate::hook::Context;

/// The way of a server's listeners from the start of `drain` to their closing.
#[pyclass(module = "graceshut._graceshut")]
pub(crate) struct Linger {
    inner: listener::Linger,
}

#[pymethods]
impl Linger {
    #[new]
    #[pyo3(signature = (ctx, *, all_holders_stop = false))]
    fn new(ctx: &Context, all_holders_stop: bool) -> Linger {
        let inner = listener::Linger::new(At::now(), ctx.inner.remaining());
        Linger { inner: if all_holders_stop { inner.all_holders_stop() } else { inner } }
    }

    /// True when the listeners are to be closed now. `came`: work came since the last step; `connected`: on a connection made since,
    /// False where the server cannot tell. Lets others run: it may look into /proc.
    #[pyo3(signature = (came, busy, listeners, connected = false))]
    fn step(&mut self, py: Python<'_>, came: bool, busy: bool, listeners: Vec<i32>, connected: bool) -> bool {
        let inner = &mut self.inner;
        py.detach(|| inner.step(At::now(), Seen { came, connected, busy, listeners: &listeners }))
    }
}

/// Ends listening on each of `listeners` that no other process has open as well. Lets others run: it looks into /proc.
#[pyfunction]
pub(crate) fn refuse(py: Python<'_>, listeners: Vec<i32>) {
    py.detach(|| {
        for fd in listeners {
            listener::refuse(fd);
        }
    });
}
