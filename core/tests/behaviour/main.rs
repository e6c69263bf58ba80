//! The runtime on real processes, rule by rule (docs/spec.md). One binary: it starts itself again with `GS_CHILD` set, and
//! then runs one child function on its real main thread instead of the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::undocumented_unsafe_blocks, missing_docs)]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "children do to themselves what a program may not")]

mod harness;

mod admin;
mod admin_bad_days;
mod asking;
mod blocked;
mod budget;
mod by_program;
mod exits;
mod fork;
mod hooks;
mod kinds;
mod leaving;
mod life;
mod prestop;
mod repeat;
mod report;
mod signals;
mod watched;
mod work;

const SUITES: &[harness::Suite] = &[
    admin::SUITE,
    admin_bad_days::SUITE,
    blocked::SUITE,
    budget::SUITE,
    by_program::SUITE,
    exits::SUITE,
    fork::SUITE,
    hooks::SUITE,
    kinds::SUITE,
    leaving::SUITE,
    life::SUITE,
    prestop::SUITE,
    repeat::SUITE,
    report::SUITE,
    signals::SUITE,
    watched::SUITE,
    work::SUITE,
];

fn main() {
    match std::env::var("GS_CHILD") {
        Ok(name) => harness::be_child(SUITES, &name),
        Err(_) => harness::run(SUITES),
    }
}
