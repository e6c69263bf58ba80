//! `graceshut hook`: WebAssembly hooks by themselves, for who writes or packages them.

mod new;
mod play;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use graceshut_wasm::{Entry, Shape, Wasm};

/// Check, play, compile and begin WebAssembly hooks.
#[derive(clap::Args)]
#[command(long_about = "Check, play, compile and begin WebAssembly hooks: cleanups written once and run by every service, \
    whatever its language. docs/wasm-hooks.md is their reference.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what a module or a component imports, exports and needs granted; status 1 when it cannot be a hook.
    Check {
        /// The module or component.
        file: PathBuf,
    },
    /// Play a hook alone: print its log, its outcome, its time and its memory; status 1 unless it ends ok.
    Run(play::Args),
    /// Compile modules into the cache, so that no service has to.
    Compile {
        /// The modules.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// For hooks that are registered with fuel.
        #[arg(long)]
        fuel: bool,
    },
    /// Write a working project.
    New(new::Args),
}

/// Runs the subcommand.
pub fn run(args: Args) -> ExitCode {
    let done = match args.command {
        Command::Check { file } => check(&file),
        Command::Run(args) => play::run(&args),
        Command::Compile { files, fuel } => files.iter().try_for_each(|file| compile(file, fuel)),
        Command::New(args) => new::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("graceshut hook: {why}");
            ExitCode::FAILURE
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))
}

fn check(file: &Path) -> Result<(), String> {
    let bytes = read(file)?;
    let shape = graceshut_wasm::shape(&bytes).map_err(|why| format!("{}: {why}", file.display()))?;
    print!("{}", described(&shape, bytes.len()));
    // What the shape does not tell: whether its code is valid and can be compiled. With everything granted it may need.
    let started = std::time::Instant::now();
    let cached = graceshut_wasm::compile(bytes, false, LIMIT).map_err(|e| format!("{}: {e}", file.display()))?;
    let ms = started.elapsed().as_secs_f64() * 1e3;
    println!("{} in {ms:.1} ms", if cached { "loaded from the cache" } else { "compiled" });
    Ok(())
}

/// Compiling takes milliseconds to seconds; more is a module out of all proportion.
const LIMIT: Duration = Duration::from_secs(600);

fn described(shape: &Shape, size: usize) -> String {
    let (what, entry) = match shape.entry {
        Entry::Run => ("core module", "run(reason: i32) -> i32"),
        Entry::Start => ("core module", "_start()"),
        Entry::Component => ("component", "run(reason) -> result<_, string>"),
    };
    let mut text = format!("{size} bytes, a {what}\n");
    let initialize = if shape.initialize { ", after _initialize()" } else { "" };
    let _ = writeln!(text, "begins with {entry}{initialize}");
    let _ = writeln!(text, "memory to begin with: {} KiB", shape.memory / 1024);
    let _ = writeln!(text, "exports: {}", shape.exports.join(", "));
    let mut imports: Vec<String> = match shape.entry {
        // A language's runtime imports a hundred functions; the interfaces say enough.
        Entry::Component => shape.imports.iter().map(|(interface, _)| interface.clone()).collect(),
        _ => shape.imports.iter().map(|(module, name)| format!("{module}.{name}")).collect(),
    };
    imports.dedup();
    let _ = writeln!(text, "imports: {}", if imports.is_empty() { "nothing".to_owned() } else { imports.join(", ") });
    let grants: Vec<&str> = shape
        .needs
        .iter()
        .map(|need| match *need {
            "clock" => "clock = true",
            "random" => "random = true",
            _ => "http = [\"PUT host:port\"]",
        })
        .collect();
    let _ = writeln!(text, "needs granted: {}", if grants.is_empty() { "nothing".to_owned() } else { grants.join(", ") });
    text
}

fn compile(file: &Path, fuel: bool) -> Result<(), String> {
    println!("{}: {}", file.display(), if compiled(file, fuel)? { "was in the cache" } else { "compiled" });
    Ok(())
}

/// Compiles into the cache; answers whether the code was there.
fn compiled(file: &Path, fuel: bool) -> Result<bool, String> {
    graceshut_wasm::compile(read(file)?, fuel, LIMIT).map_err(|e| format!("{}: {e}", file.display()))
}

/// A module with the grants of the command line.
fn granted(file: &Path, table: serde_json::Map<String, serde_json::Value>) -> Result<Wasm, String> {
    let mut table = table;
    table.insert("path".to_owned(), file.display().to_string().into());
    Wasm::from_json(&serde_json::Value::Object(table)).map_err(|e| e.to_string())
}
