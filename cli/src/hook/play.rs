//! `graceshut hook run`: one hook in a shutdown of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use graceshut::{Exit, Options, ReportTo};
use graceshut_wasm::Meter;
use serde_json::{Map, Value, json};

use crate::duration;

#[derive(clap::Args)]
pub struct Args {
    /// The module.
    file: PathBuf,
    /// Its box.
    #[arg(long, default_value = "2s", value_parser = duration::parse)]
    timeout: Duration,
    /// A variable, NAME=VALUE.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// An argument.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    arg: Vec<String>,
    /// A folder, GUEST=HOST to read or GUEST=HOST:rw to write.
    #[arg(long, value_name = "GUEST=HOST[:rw]")]
    dir: Vec<String>,
    /// Requests, "PUT,GET 127.0.0.1:8500".
    #[arg(long, value_name = "METHODS HOST:PORT")]
    http: Vec<String>,
    /// A text for context_read("config.KEY"), KEY=VALUE.
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Grant the clocks.
    #[arg(long)]
    clock: bool,
    /// Grant random numbers.
    #[arg(long)]
    random: bool,
    /// Most memory.
    #[arg(long, default_value = "16MiB")]
    memory: String,
    /// Most fuel.
    #[arg(long)]
    fuel: Option<u64>,
}

/// `A=B` pairs as a table.
fn pairs(list: &[String], option: &str) -> Result<Value, String> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("--{option} {text}: an '=' is missing"))?;
        Ok((name.to_owned(), Value::from(value)))
    };
    list.iter().map(pair).collect::<Result<Map<_, _>, String>>().map(Value::Object)
}

pub fn run(args: &Args) -> Result<(), String> {
    let mut table = Map::new();
    table.insert("env".into(), pairs(&args.env, "env")?);
    table.insert("args".into(), json!(args.arg));
    table.insert("dirs".into(), pairs(&args.dir, "dir")?);
    table.insert("http".into(), json!(args.http));
    table.insert("config".into(), pairs(&args.config, "config")?);
    table.insert("clock".into(), json!(args.clock));
    table.insert("random".into(), json!(args.random));
    table.insert("memory".into(), json!(args.memory));
    if let Some(fuel) = args.fuel {
        table.insert("fuel".into(), json!(fuel));
    }
    // Not in its box: a service compiles at its start, or finds the code in the cache.
    super::compiled(&args.file, args.fuel.is_some())?;
    let meter = Arc::new(Meter::default());
    let wasm = super::granted(&args.file, table)?.metered(&meter);
    let options = Options {
        exit: Some(Exit::Manual),
        report: Some(ReportTo::None),
        // Room for the hook's whole box behind margin and reserves.
        grace: Some(args.timeout * 2 + Duration::from_secs(2)),
        ..Options::default()
    };
    let gs = graceshut::install(options).map_err(|e| e.to_string())?;
    let (told, over) = std::sync::mpsc::channel();
    gs.on_event(move |event| match event.event {
        "log" => println!("log: {}", event.message.as_deref().unwrap_or_default()),
        // The last event: nobody listens any more once it was heard.
        "finished" => drop(told.send(())),
        _ => {}
    })
    .map_err(|e| e.to_string())?;
    let name = args.file.file_stem().map_or_else(|| "hook".into(), |n| n.to_string_lossy());
    wasm.register(gs.hook("drain", &name).timeout(args.timeout)).map_err(|e| e.to_string())?;
    gs.stop("graceshut hook run", None).map_err(|e| e.to_string())?;
    let finished = gs.wait(None).map_err(|e| e.to_string())?;
    // The log comes first; should its thread be stuck, the rest is said without it.
    let _ = over.recv_timeout(Duration::from_secs(1));
    let hook = finished.report.phases.iter().flat_map(|p| &p.hooks).find(|h| h.kind == "wasm");
    let hook = hook.ok_or("the hook is not in the report")?;
    let used = Duration::from_micros(hook.used_us);
    println!("outcome: {}{}", hook.outcome, hook.why.as_ref().map_or_else(String::new, |w| format!(" ({w})")));
    if let Some(message) = &hook.message {
        println!("message: {message}");
    }
    println!("time: {:.3} ms of {}", used.as_secs_f64() * 1e3, graceshut::format_duration(args.timeout));
    println!("memory: {} KiB", meter.memory() / 1024);
    if args.fuel.is_some() {
        println!("fuel: {}", meter.fuel());
    }
    if hook.outcome == "ok" { Ok(()) } else { Err(format!("{}: {}", args.file.display(), hook.outcome)) }
}
