//! Options, where they come from, and what they come to (spec 12).
//!
//! [`read`](read()) turns a table of keys into [`Options`], the same way for a file, a binding's arguments and the environment;
//! [`resolve`](resolve()) lays them over each other (environment, file, code, platform, default) and keeps for each value
//! where it came from. Nothing here is in force: `runtime` does what the resulting [`Config`] says.

mod admin;
mod check;
mod effective;
mod env;
mod file;
mod json;
mod layers;
mod options;
mod origin;
mod platform;
mod process;
mod read;
mod read_hook;
mod read_tables;
mod resolve;
mod signame;
mod sources;
mod time;
mod walk;
mod words;

pub use admin::{AdminAt, Token};
pub use json::{hook_from_json, options_from_json};
pub use options::{
    Action, AnnounceDelay, DeclKind, ExecSpec, Exit, HookDecl, HttpSpec, Leave, NormalGrace, Options, Repeat, ReportTo,
    SignalRule, SignalSpec,
};
pub use origin::{Origin, Setting};
pub use platform::{Platform, Surroundings};
pub use process::{ProcessDecl, ReadyWhen, Restart, processes};
pub use read::read;
pub(crate) use read_hook::allow_wasm;
pub use resolve::{Config, SignalSetting, resolve};
pub use sources::Sources;
pub use time::{NumberUnit, number};
pub use walk::Source;
