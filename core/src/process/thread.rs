//! The one place where threads are made: spawning is generic in std, and each kind of closure would bring its own copy.

use std::thread::{Builder, JoinHandle};

use crate::error::Error;

/// A thread of that name; `stack` of 0 is the usual size.
///
/// # Errors
/// `Os` when it cannot be made; the message names it.
pub fn spawn(name: &str, stack: usize, f: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>, Error> {
    let builder = Builder::new().name(name.to_owned());
    let builder = if stack == 0 { builder } else { builder.stack_size(stack) };
    builder.spawn(f).map_err(|e| Error::os(&format!("cannot make the thread {name}"), &e))
}
