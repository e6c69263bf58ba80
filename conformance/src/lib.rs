//! One set of scenarios, every language. README.md explains the scenario format and what a driver is.
//!
//! This crate does not know graceshut: it reads scenarios, plays drivers as real processes, and judges what it saw.

pub mod act;
pub mod check;
pub mod expect;
pub mod helpers;
pub mod languages;
pub mod modules;
pub mod normalise;
pub mod play;
pub mod process;
pub mod readme;
pub mod run;
pub mod scenario;
pub mod signals;
pub mod table;
