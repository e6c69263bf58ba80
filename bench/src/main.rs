//! `make bench`: graceshut beside its peers, in the same run, as ratios of medians.
//!
//!     graceshut-bench --out FILE [--python BIN] [--python-adapters BIN] [--node BIN --node-folder DIR] [--go BIN]
//!         [--java BIN --java-path CP] [--library FILE] [--command FILE] [--wheel FILE] [--tarball FILE --tarball-addon FILE] [--only WORD]
//!
//! A row whose language was not given says so. Speed is only judged here, never in a test.

mod child;
mod exits;
mod go;
mod hosts;
mod inflight;
mod inits;
mod java;
mod process;
mod servers;
mod signals;
mod sizes;
mod stats;
#[cfg(feature = "wasm")]
mod wasm;

use std::collections::HashMap;
use std::process::ExitCode;

use serde_json::json;

/// What the command line named.
pub struct Tools {
    named: HashMap<String, String>,
}

impl Tools {
    /// The value of `--name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, mode] = args.as_slice()
        && first == "child"
    {
        return match child::run(mode) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("graceshut-bench child {mode}: {e}");
                ExitCode::FAILURE
            }
        };
    }
    let named = args.chunks(2).filter_map(|p| Some((p.first()?.strip_prefix("--")?.to_owned(), p.get(1)?.clone())));
    let tools = Tools { named: named.collect() };
    let mut rows = Vec::new();
    for (what, measure) in MEASURES.iter().filter(|(what, _)| tools.get("only").is_none_or(|word| what.contains(word))) {
        eprintln!("measuring {what} ...");
        rows.extend(measure(&tools));
    }
    print!("{}", stats::table(&rows));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let all =
        json!({ "rows": rows, "load": load.trim(), "cores": std::thread::available_parallelism().map_or(0, usize::from) });
    if let Some(out) = tools.get("out")
        && let Err(e) = std::fs::write(out, format!("{all:#}\n"))
    {
        eprintln!("graceshut-bench: {out}: {e}");
        return ExitCode::FAILURE;
    }
    let missed = rows.iter().filter(|r| r.reached == Some(false)).count();
    println!("{} rows, {missed} missed (load {})", rows.len(), load.trim());
    ExitCode::SUCCESS
}

type Measure = fn(&Tools) -> Vec<stats::Row>;

const MEASURES: &[(&str, Measure)] = &[
    ("signal to thread", signals::rows),
    ("signals while the host is stuck", hosts::rows),
    ("work in flight", inflight::rows),
    ("the ASGI middleware", inflight::asgi),
    ("many hooks", signals::many_hooks),
    ("exits and the watchdog", exits::rows),
    ("servers", servers::rows),
    ("Go", go::rows),
    ("java", java::rows),
    ("sizes", sizes::rows),
    ("graceshut run", inits::rows),
    #[cfg(feature = "wasm")]
    ("wasm hooks", wasm::rows),
];
