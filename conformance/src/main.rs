//! `make conformance`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use graceshut_conformance::languages::{self, Language};
use graceshut_conformance::normalise::Normalised;
use graceshut_conformance::run::Plan;
use graceshut_conformance::scenario::Scenario;
use graceshut_conformance::table;

const USAGE: &str = "graceshut-conformance [--root DIR] [--scenarios DIR] [--only NAME,...] [--languages NAME,...] [--jobs N]
                      [--out FILE] [--readme FILE] [--no-skip]";

struct Args {
    root: PathBuf,
    scenarios: PathBuf,
    only: Vec<String>,
    languages: Vec<String>,
    jobs: usize,
    out: PathBuf,
    readme: Option<PathBuf>,
    no_skip: bool,
}

fn names(text: &str) -> Vec<String> {
    text.split([',', ' ']).filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

impl Args {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args = Args {
            root: PathBuf::from("."),
            scenarios: PathBuf::new(),
            only: Vec::new(),
            languages: Vec::new(),
            jobs: 10,
            out: PathBuf::from("target/conformance.json"),
            readme: None,
            no_skip: false,
        };
        while let Some(word) = words.next() {
            if word == "--no-skip" {
                args.no_skip = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word}: its value is missing\n{USAGE}"))?;
            match word.as_str() {
                "--root" => args.root = value.into(),
                "--scenarios" => args.scenarios = value.into(),
                "--only" => args.only = names(&value),
                "--languages" => args.languages = names(&value),
                "--jobs" => args.jobs = value.parse().map_err(|_| format!("--jobs: {value:?} is no number"))?,
                "--out" => args.out = value.into(),
                "--readme" => args.readme = Some(value.into()),
                _ => return Err(format!("{word}: no such option\n{USAGE}")),
            }
        }
        args.root = args.root.canonicalize().map_err(|e| format!("--root: {e}"))?;
        if args.scenarios.as_os_str().is_empty() {
            args.scenarios = args.root.join("conformance/scenarios");
        }
        Ok(args)
    }
}

fn scenarios(folder: &Path, only: &[String]) -> Result<Vec<Scenario>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    let all = paths.iter().map(|p| Scenario::read(p)).collect::<Result<Vec<_>, _>>()?;
    let chosen: Vec<Scenario> =
        all.into_iter().filter(|s| only.is_empty() || only.iter().any(|o| s.name.contains(o.as_str()))).collect();
    if chosen.is_empty() { Err(format!("{}: no scenario there", folder.display())) } else { Ok(chosen) }
}

/// A language's name, and why it cannot be played here.
type Missing = (String, String);

/// The languages that are there and whose driver could be built, and why the others are not.
fn split(args: &Args) -> Result<(Vec<Language>, Vec<Missing>), String> {
    let all = languages::read(&args.root.join("conformance/languages.toml"), &args.languages)?;
    std::fs::create_dir_all(args.root.join("target/conformance")).map_err(|e| e.to_string())?;
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for language in all {
        match language.missing(&args.root) {
            Some(why) => missing.push((language.name.clone(), why)),
            None => {
                language.build(&args.root).map_err(|e| format!("the driver for {}: {e}", language.name))?;
                there.push(language);
            }
        }
    }
    Ok((there, missing))
}

fn run() -> Result<bool, String> {
    let args = Args::read(std::env::args().skip(1))?;
    let scenarios = scenarios(&args.scenarios, &args.only)?;
    let normalised = Normalised::read(&args.root.join("conformance/normalised.toml"))?;
    let (languages, missing) = split(&args)?;
    for (name, why) in &missing {
        println!("skipped: {name}: {why}");
    }
    let start = Instant::now();
    let plan = Plan {
        root: &args.root,
        languages: &languages,
        scenarios: &scenarios,
        normalised: &normalised,
        jobs: args.jobs.max(1),
    };
    let cells = plan.run();
    print!("{}", table::text(&cells, &scenarios, &languages));
    print!("{}", table::repeated(&cells, &scenarios, &languages));
    print!("{}", table::failures(&cells, &scenarios, &languages));
    let json = table::json(&cells, &scenarios, &languages, &missing);
    std::fs::write(args.root.join(&args.out), format!("{json:#}\n")).map_err(|e| format!("{}: {e}", args.out.display()))?;
    let (passed, failed, skipped) = table::counts(&cells);
    if let Some(readme) = args.readme.as_ref().filter(|_| failed == 0) {
        graceshut_conformance::readme::update(readme, &table::parity(&cells, &scenarios, &languages))?;
    }
    println!(
        "\nconformance: {} scenarios, {} languages, {:.0?}, written to {}",
        scenarios.len(),
        languages.len(),
        start.elapsed(),
        args.out.display()
    );
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    // A language without a driver in this tree is not built yet; one with a driver has to be playable where nothing may be skipped.
    let has_driver = |name: &str| args.root.join("conformance/drivers").join(name).exists();
    let nothing_missing = !args.no_skip || missing.iter().all(|(name, _)| !has_driver(name));
    if !nothing_missing {
        println!("and here nothing may be skipped");
    }
    Ok(failed == 0 && passed > 0 && nothing_missing)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(words) => {
            eprintln!("conformance: {words}");
            ExitCode::from(2)
        }
    }
}
