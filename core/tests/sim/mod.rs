//! A virtual process around the engine: its own clock, its own dice, hooks that behave badly on purpose.
//!
//! [`scenario`] rolls a plan, hooks and a script of triggers from a seed; [`world`] plays it on a virtual clock and writes a
//! [`trace::Trace`]; [`check`] judges traces and knows nothing of the engine's insides. [`bench`] is for tests by hand.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod bench;
pub mod check;
pub mod rng;
pub mod scenario;
pub mod trace;
pub mod world;
