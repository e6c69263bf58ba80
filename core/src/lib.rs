//! graceshut: one signal handler, ordered time-boxed phases, one deadline.
//!
//! A service gets SIGTERM and has a few seconds until SIGKILL. graceshut runs what has to happen in between: in phases
//! that run one after another, each with a time-box and, for the late ones, time reserved whatever happened before.
//!
//! ```no_run
//! # fn main() -> Result<(), graceshut::Error> {
//! let gs = graceshut::install(graceshut::Options::default())?;
//! gs.hook("flush", "buffers").run(|ctx| {
//!     println!("{:?} left", ctx.remaining());
//!     Ok(())
//! })?;
//! let finished = gs.wait(None)?; // until SIGTERM came and every phase is over
//! std::process::exit(finished.exit.code);
//! # }
//! ```
//!
//! What it does: handlers for TERM, INT and HUP, native threads that act while the host is stuck, a report of every hook.
//! What it does not do: nothing at load time, no thread before [`install`], nothing for KILL and STOP (nobody can), and
//! nothing against `_exit`, abort and out-of-memory kills, which end a process without asking.
//!
//! The rules, numbered, are in `docs/spec.md`; `docs/architecture.md` shows how a signal travels through these modules.

mod admin;
pub mod clock;
pub mod config;
#[doc(hidden)]
pub mod engine;
pub mod error;
pub mod hook;
mod hooks;
pub mod host;
pub mod inflight;
pub mod listener;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod process;
pub mod report;
mod runtime;
#[doc(hidden)]
pub mod signal;
#[doc(hidden)]
pub mod wake;

pub use config::{
    Action, AdminAt, AnnounceDelay, DeclKind, ExecSpec, Exit, HookDecl, HttpSpec, Leave, NormalGrace, Options, ProcessDecl,
    ReadyWhen, Repeat, ReportTo, Restart, SignalRule, SignalSpec, Token,
};
pub use engine::{ExitPlan, HookOutcome, Reason, ReasonKind, Removal, ShutdownOutcome};
pub use error::{Error, ErrorKind};
pub use hook::{BoxFuture, Completion, Context, HookBuilder, HookError, HookHandle, HookResult};
pub use hooks::wasm::{WasmBody, WasmProvider, provide_wasm};
pub use host::{Host, Native, OwnHandler};
pub use inflight::{Guard, InFlight};
pub use plan::{Amount, OnFailure, Order, PhasePatch, Preview, PreviewRow, format_duration, parse_duration};
pub use report::Report;
pub use runtime::{EventView, Finished, Installer, Runtime, State, current, exit_now, install};
pub use signal::Chain;
pub use signal::name::{name_of as signal_name, number_of as signal_number};
