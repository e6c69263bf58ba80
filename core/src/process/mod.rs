//! What this process is: which pid owns the live state, which objects are mapped, which other copies of graceshut are here.
//!
//! Knows pids, ELF notes, generations and what a descriptor's number means; knows no signal, no hook and no engine.

mod bounded;
pub mod fds;
pub mod fork;
pub mod objects;
pub mod outside;
pub mod pin;
pub mod raw;
pub mod rendezvous;
pub mod thread;
pub mod wiped;
