//! Called by another program's name, graceshut is that program: its options, its variables, its statuses.
//!
//! What they do is little: start one program, pass signals on, wait. So there is no engine here, no thread and no file read: the
//! loop of `plain` around the same `child`, `taken` and `sys` as `graceshut run`. Where ours differs, docs/run.md says so.

mod catatonit;
mod dumb_init;
mod getopt;
mod plain;
mod timeout;
mod tini;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::run::inherit::{self, Inherited};

/// Runs as the program that `words[0]` names, if it is one of the four.
pub fn run(words: &[OsString]) -> Option<ExitCode> {
    let name = Path::new(words.first()?).file_name()?.to_str()?;
    let rest = words.get(1..).unwrap_or_default().to_vec();
    let program: fn(Vec<OsString>, Inherited) -> i32 = match name {
        "tini" | "tini-static" | "docker-init" => tini::run,
        "dumb-init" => dumb_init::run,
        "catatonit" => catatonit::run,
        "timeout" => timeout::run,
        _ => return None,
    };
    let code = program(rest, inherit::take());
    Some(ExitCode::from(code as u8))
}
