//! The kinds of hooks that need no host (spec 8.5): one file a kind. They run on native workers, so also while the host is stuck.
//!
//! A kind is a `check` at registration, which refuses what cannot work, and a `run` with the hook's context. WebAssembly
//! hooks will be one more such file over the same two functions.

pub(crate) mod exec;
pub(crate) mod http;
pub(crate) mod signal;
