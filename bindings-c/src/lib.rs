//! The C ABI: `include/graceshut.h` is generated from this crate and is the manual.
//!
//! Conventions, the same for every function:
//! - 0 is success, anything else a `GRACESHUT_E_*`; the words are in `graceshut_last_error()` of the same thread.
//! - Inputs are const and copied; outputs come last and are written only on success. A null where a value is needed is an error.
//! - Strings are NUL-terminated UTF-8. Times are integer microseconds.
//! - One owner per pointer: what `graceshut_install` and `graceshut_current` give is freed by `graceshut_free`, strings by
//!   `graceshut_string_free`; a completion is consumed by `graceshut_completion_finish`. Freeing null is fine.
//! - A callback is function + `user_data` + destructor; the destructor runs once, when the callback can no longer be called.
//! - No panic leaves: it becomes `GRACESHUT_E_INTERNAL`.

#![allow(non_camel_case_types)] // the names of the header

mod callback;
mod context;
mod error;
mod hook;
mod host;
mod inflight;
mod options;
mod runtime;
mod text;

pub use context::*;
pub use error::*;
pub use hook::*;
pub use host::*;
pub use inflight::*;
pub use options::*;
pub use runtime::*;
pub use text::*;
