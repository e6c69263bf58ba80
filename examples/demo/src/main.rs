//! `make demo`: one service, written in several languages, stopped under load by `graceshut verify`; their timelines side
//! by side, and the same as JSON. Fails when a request was lost or the languages differ.
//!
//! Every service also gets one WebAssembly hook, by configuration alone: the same file takes each of them out of a registry.
//!
//!     graceshut-demo --graceshut BIN --out FILE --hook WASM --service LANG=COMMAND... [--missing LANG=WHY...]

mod args;
mod compare;
mod registry;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match args::Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("graceshut-demo: {message}");
            return ExitCode::from(2);
        }
    };
    let registry = match registry::Registry::start() {
        Ok(registry) => registry,
        Err(e) => {
            eprintln!("graceshut-demo: no registry: {e}");
            return ExitCode::FAILURE;
        }
    };
    let mut results = Vec::new();
    for (language, command) in &args.services {
        println!("== {language}: {command}");
        match run::run(&args, &registry, language, command) {
            Ok(result) => results.push(result),
            Err(message) => {
                eprintln!("graceshut-demo: {language}: {message}");
                return ExitCode::FAILURE;
            }
        }
    }
    let mut failures = compare::differences(&results);
    let stays = args.services.iter().filter(|(language, _)| registry.times_left(language) != 1);
    failures.extend(stays.map(|(l, _)| format!("{l}: left the registry {} times, not once", registry.times_left(l))));
    failures.extend(results.iter().filter(|r| !r.passed()).map(|r| format!("{}: {}", r.language, r.failures())));
    for (language, why) in &args.missing {
        println!("skipped {language}: {why}");
        if std::env::var_os("CI").is_some_and(|v| v == "true") {
            failures.push(format!("{language} is missing, and this is CI: {why}"));
        }
    }
    if let Err(e) = run::write(&args.out, &results, &failures) {
        failures.push(format!("{}: {e}", args.out));
    }
    match run::side_by_side(&args) {
        Ok(table) => print!("\n{table}"),
        Err(message) => failures.push(message),
    }
    println!("\nthe same as JSON: {0}; as a page: graceshut report --html {0}", args.out);
    if failures.is_empty() && !results.is_empty() {
        println!("demo: {} services left in the same order, nothing lost", results.len());
        return ExitCode::SUCCESS;
    }
    for failure in &failures {
        println!("FAIL {failure}");
    }
    ExitCode::FAILURE
}
