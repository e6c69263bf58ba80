//! The C ABI: `include/graceshut.h` is generated from this crate and is the manual (its first block: `header/top.h`).
//!
//! Rules for every export: inputs const and copied; outputs last, written only on success; null checked; the body inside
//! [`error::guard`], so that no panic leaves; a user's data and destructor in one owned value, [`callback::UserData`].
//! Strings and handles are cast in the file that owns the type. The order of the modules is the order of the header.

#![allow(non_camel_case_types)] // the names of the header

mod options;

mod host;

mod callback;

mod runtime;

mod hook;

mod context;

mod inflight;

mod linger;

mod error;

mod text;

mod size;

pub use callback::*;
pub use context::*;
pub use error::*;
pub use hook::*;
pub use host::*;
pub use inflight::*;
pub use linger::*;
pub use options::*;
pub use runtime::*;
pub use text::*;
