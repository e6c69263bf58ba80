//! How a hook says that it is done.

use std::fmt;
use std::time::Duration;

use super::Context;
use crate::engine::{Ending, Event};

/// What a hook's body returns.
pub type HookResult = Result<(), HookError>;

/// Why a hook did not end well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HookError {
    /// It failed, in its own words.
    Failed(String),
    /// It stopped because it was cancelled.
    Cancelled,
    /// It panicked (bindings whose language has such a thing).
    Panicked(String),
    /// It asked to exit with this status: the status is proposed, the plan goes on (spec 8.6).
    Exit(i32),
    /// It was stopped for real at its deadline; where it was. For kinds that can be (see [`Context::on_kill`]).
    Killed(String),
}

impl HookError {
    /// A failure with these words.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> HookError {
        HookError::Failed(message.into())
    }
}

// Any error converts, so that `?` works in a hook. `HookError` itself is therefore no `std::error::Error`.
impl<E: std::error::Error> From<E> for HookError {
    fn from(error: E) -> HookError {
        HookError::Failed(error.to_string())
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookError::Failed(m) | HookError::Panicked(m) | HookError::Killed(m) => f.write_str(m),
            HookError::Cancelled => f.write_str("cancelled"),
            HookError::Exit(code) => write!(f, "exit called with {code}"),
        }
    }
}

pub(crate) fn ending_of(result: HookResult) -> (Ending, Option<i32>) {
    match result {
        Ok(()) => (Ending::Ok, None),
        Err(HookError::Cancelled) => (Ending::Cancelled, None),
        Err(HookError::Killed(place)) => (Ending::Stopped(place), None),
        Err(HookError::Failed(message)) => (Ending::Failed { message, panic: false }, None),
        Err(HookError::Panicked(message)) => (Ending::Failed { message, panic: true }, None),
        Err(HookError::Exit(0)) => (Ending::Ok, Some(0)),
        Err(HookError::Exit(code)) => {
            (Ending::Failed { message: format!("exit called with {code}"), panic: false }, Some(code))
        }
    }
}

/// The right to say once how a hook ended, from any thread. Dropped without a word, the hook has failed.
#[derive(Debug)]
pub struct Completion {
    context: Context,
    said: bool,
}

impl Completion {
    pub(crate) fn new(context: Context) -> Completion {
        Completion { context, said: false }
    }

    /// The hook's context.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Says that the body really begins now; `false` when its time has passed and it must not run (spec 6.1 `not_started`).
    #[must_use]
    pub fn begin(&self) -> bool {
        self.context.begin()
    }

    /// Ends the hook. Too late is no error: the report says when it returned.
    pub fn finish(mut self, result: HookResult) {
        self.say(result, None);
    }

    /// As [`finish`](Completion::finish), and proposes `code` as the status to leave with, as an exit call inside the hook would
    /// (spec 8.6), whatever the result: for a hook that ended a program this one stands for.
    pub fn finish_as(mut self, result: HookResult, code: i32) {
        self.say(result, Some(code));
    }

    fn say(&mut self, result: HookResult, proposed: Option<i32>) {
        if !std::mem::replace(&mut self.said, true) {
            let (ending, code) = ending_of(result);
            let code = proposed.or(code);
            let id = self.context.inner.id;
            self.context.inner.shared.engine_event(Event::Done(id, ending, code));
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return self.say(Err(HookError::failed("the hook was dropped before it completed")), None);
        }
        // On the thread that runs the hook's body, whoever catches the panic has its words.
        if !crate::runtime::is_inside_hook() {
            self.say(Err(HookError::Panicked("the hook panicked before it completed".to_owned())), None);
        }
    }
}

/// Turns a caught panic into its message.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic with a payload that is no text".to_owned())
}

/// A pause that ends early on cancellation; see [`Context::sleep`].
pub(crate) fn nap(context: &Context, d: Duration) -> HookResult {
    if context.wait_cancelled(d) { Err(HookError::Cancelled) } else { Ok(()) }
}
