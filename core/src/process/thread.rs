//! The one place where threads are made: spawning is generic in std, and each kind of closure would bring its own copy.

use std::mem;
use std::thread::{Builder, JoinHandle};

use crate::error::Error;

/// A thread of that name; `stack` of 0 is the usual size. It begins with every signal blocked, and opens what it serves (spec 3.8):
/// before it came to close what it does not, it would be handed what the program has blocked.
///
/// # Errors
/// `Os` when it cannot be made; the message names it.
pub fn spawn(name: &str, stack: usize, f: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>, Error> {
    let builder = Builder::new().name(name.to_owned());
    let builder = if stack == 0 { builder } else { builder.stack_size(stack) };
    // SAFETY: all-zero bytes are a valid sigset_t.
    let mut all: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: `all` is live and writable.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: all-zero bytes are a valid sigset_t.
    let mut before: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: both sets are live. The new thread inherits the full mask.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    let made = builder.spawn(f);
    // SAFETY: `before` was filled in above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    made.map_err(|e| Error::os(&format!("cannot make the thread {name}"), &e))
}
