//! `graceshut run`, `stop`, `prestop` and the four names, from outside: real processes, real PID 1, real signals. One binary: it
//! starts itself with `GS_CHILD` set as the program that is run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::undocumented_unsafe_blocks, missing_docs)]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "children do to themselves what a program may not")]

mod harness;
mod probe;

mod around;
mod early;
mod ends;
mod peers;
mod pid1;
mod rounds;
mod several;
mod signals;
mod starts;
mod stop_command;
mod terminal;

const SUITES: &[harness::Suite] = &[
    around::SUITE,
    early::SUITE,
    ends::SUITE,
    peers::SUITE,
    pid1::SUITE,
    rounds::SUITE,
    several::SUITE,
    signals::SUITE,
    starts::SUITE,
    stop_command::SUITE,
    terminal::SUITE,
];

fn main() {
    match std::env::var("GS_CHILD") {
        Ok(name) => probe::be(&name),
        Err(_) => harness::run(SUITES),
    }
}
