//! Hooks as programs write them: a builder, the context a hook gets, and the completion it may give later (spec 8).

mod builder;
mod completion;
mod context;

pub use builder::{BoxFuture, HookBuilder, HookHandle};
pub use completion::{Completion, HookError, HookResult};
pub(crate) use completion::{ending_of, panic_message};
pub use context::Context;
pub(crate) use context::Ctx;

/// What runs when a hook's turn comes.
pub(crate) enum Body {
    /// Returns when done; runs on a worker of its lane.
    Run(Box<dyn FnOnce(&Context) -> HookResult + Send>),
    /// Begins the work and completes it later.
    Start(Box<dyn FnOnce(Context, Completion) + Send>),
    /// The engine's driver waits until this group is empty; `None`: all groups.
    Inflight(Option<crate::inflight::InFlight>),
    /// A pause: the engine's timer is all there is to it.
    Pause,
}
