//! The `graceshut` command.
//!
//! Each subcommand is a module with an `Args` type (what clap parses and what `--help` teaches) and a `run` that
//! gives the exit status; adding one is adding a line to [`Command`] and one to [`main`]. Two programs are made of it: `graceshut`,
//! and `graceshut-wasm`, which has the engine for WebAssembly as well ([`elsewhere`]).

mod doctor;
mod dropin;
mod duration;
mod elsewhere;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod generated;
#[cfg(feature = "wasm")]
mod hook;
mod plan;
mod prestop;
mod report;
mod run;
mod signals;
mod stop;
mod terminal;
mod verify;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Stop services without losing work, and prove it.
#[derive(Parser)]
#[command(
    name = "graceshut",
    version,
    long_about = "Stop services without losing work, and prove it.\n\n\
        A service is stopped many times a day: every deploy, every scale-down, every node that drains. Each time \
        something outside sends it a signal, waits for a grace period, and then kills it. graceshut is about what \
        happens in between: that readiness turns red, that work in flight is finished, that buffers are flushed, \
        and that the process leaves in time and leaves nothing behind.",
    after_long_help = "Start here:\n  \
        graceshut verify --ready http://127.0.0.1:8080/ready --load http://127.0.0.1:8080/ -- ./my-service\n\n\
        starts the service, loads it, stops it, and tells what was lost. It judges any service in any language,\n\
        with or without the graceshut library in it.\n\n\
        `graceshut help COMMAND` explains a command in full."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<run::Args>),
    Stop(stop::Args),
    Prestop(prestop::Args),
    Plan(plan::Args),
    Doctor(doctor::Args),
    Report(report::Args),
    Verify(Box<verify::Args>),
    #[cfg(feature = "wasm")]
    Hook(hook::Args),
}

/// What `graceshut-wasm` has and `graceshut` does not. Named by its `main` alone, so that the linker leaves it out of the other.
#[derive(Clone, Copy)]
pub struct Engine {
    /// Makes `wasm` hooks possible in this process.
    pub enable: fn(),
    #[cfg(feature = "wasm")]
    hook: fn(hook::Args) -> ExitCode,
}

/// The engine for WebAssembly.
#[cfg(feature = "wasm")]
pub const ENGINE: Engine = Engine { enable: graceshut_wasm::enable, hook: hook::run };

/// The command, with an engine for WebAssembly or without. Answers the status to leave with.
pub fn main(engine: Option<Engine>) -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    if let Some(code) = dropin::run(&words) {
        return code;
    }
    elsewhere::provide(engine);
    if !elsewhere::is_here() && words.get(1).is_some_and(|w| w == "hook") {
        eprintln!("graceshut hook: {}", elsewhere::hand_over(&words));
        return ExitCode::FAILURE;
    }
    match Cli::parse().command {
        Command::Run(args) => run::run(*args),
        Command::Stop(args) => stop::run(args),
        Command::Prestop(args) => prestop::run(args),
        Command::Plan(args) => plan::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Verify(args) => verify::run(*args),
        #[cfg(feature = "wasm")]
        Command::Hook(args) => engine.map_or(ExitCode::FAILURE, |engine| (engine.hook)(args)),
    }
}
