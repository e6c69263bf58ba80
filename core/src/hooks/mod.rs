//! The kinds of hooks that need no host (spec 8.5): one file a kind. They run on native workers, so also while the host is stuck.
//!
//! A kind is a `check` at registration, which refuses what cannot work, and a `run` with the hook's context. WebAssembly
//! does the same through a trait, because what runs it is a crate of its own.

pub(crate) mod exec;
pub(crate) mod http;
pub(crate) mod signal;
pub(crate) mod wasm;
