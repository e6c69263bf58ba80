//! `graceshut doctor`: what will go wrong when this is stopped, found before it is: in a live process, and in the files that
//! say how it is started and stopped.

mod files;
mod finding;
mod output;
mod pid;

use crate::terminal::Style;
use finding::{Finding, Level, RULES, rule_of};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Find what would cut a shutdown short: in a live process, or in deployment files.
#[derive(clap::Args, Clone, Debug)]
#[command(
    long_about = "Find what would cut a shutdown short: in a live process, or in deployment files.\n\n\
        With --pid it looks at one process, whether or not graceshut is in it: what it does with each signal, whether a shell or \
        npm stands in front of the program, whose handler is in force, how much grace it counts on, and which children the \
        signal does not reach. With --handlers it also finds out which library each handler lies in; for that the process is \
        stopped for about a millisecond, as by `strace -p`.\n\n\
        With FILEs it reads Dockerfiles, compose files, Kubernetes manifests, systemd units, supervisord and uWSGI \
        configurations and Procfiles. What a file is shows in its name and content. Each finding says where, why and what to \
        write instead. A comment `# graceshut: ignore=CODE` on the line or the one above silences a code there, --ignore \
        everywhere.",
    after_long_help = "Exit status:\n  \
          0  nothing found, or notes only\n  \
          1  at least one warning or error\n  \
          2  a file or process cannot be examined; the message says what to do\n\n\
        Examples:\n  \
          graceshut doctor Dockerfile compose.yaml deploy/*.yaml\n  \
          graceshut doctor --format sarif . > doctor.sarif\n  \
          graceshut doctor --pid 1\n  \
          sudo graceshut doctor --pid \"$(pgrep -of 'uvicorn app')\" --handlers"
)]
pub struct Args {
    /// Look at this process
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..), conflicts_with = "files")]
    pub pid: Option<i32>,

    /// With --pid: stop the process for a moment to see which library each handler lies in
    #[arg(long)]
    pub handlers: bool,

    /// Files to examine, or folders, of which every file of a known kind is
    #[arg(value_name = "FILE", required_unless_present_any = ["pid", "list"])]
    pub files: Vec<PathBuf>,

    /// How to print what was found
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "human")]
    pub format: Format,

    /// Do not report this code; may be given several times
    #[arg(long, value_name = "CODE", value_parser = known_code)]
    pub ignore: Vec<String>,

    /// Print every code with what it means
    #[arg(long)]
    pub list: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// One object.
    Json,
    /// For code hosts.
    Sarif,
}

fn known_code(text: &str) -> Result<String, String> {
    match rule_of(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("there is no code {text:?}; `graceshut doctor --list` names all")),
    }
}

/// Examines: 0, 1 for a warning or an error, 2 where something cannot be examined.
pub fn run(args: &Args) -> ExitCode {
    if args.list {
        let lines: String = RULES.iter().map(|r| format!("{:<22} {:<8} {}\n", r.code, r.level.word(), r.what)).collect();
        let _ = io::stdout().write_all(lines.as_bytes());
        return ExitCode::SUCCESS;
    }
    if args.handlers && args.pid.is_none() {
        complain("--handlers goes with --pid: graceshut doctor --pid N --handlers");
        return ExitCode::from(2);
    }
    let style = Style::of_stdout();
    let (text, findings, failed) = match args.pid {
        Some(pid) => match pid::Facts::of(pid, args.handlers) {
            Ok(facts) => {
                let findings = kept(pid::advice(&facts), args);
                (of_process(args, &facts, &findings, style), findings, false)
            }
            Err(message) => (String::new(), Vec::new(), complain(&message)),
        },
        None => {
            let (found, failures) = files::examine(&args.files);
            let findings = kept(found, args);
            let failed = failures.iter().fold(false, |_, message| complain(message));
            (of_files(args, &findings, style), findings, failed)
        }
    };
    let _ = io::stdout().write_all(text.as_bytes());
    match findings.iter().any(|f| f.level() > Level::Note) {
        _ if failed => ExitCode::from(2),
        true => ExitCode::from(1),
        false => ExitCode::SUCCESS,
    }
}

fn complain(message: &str) -> bool {
    let _ = writeln!(io::stderr(), "graceshut doctor: {message}");
    true
}

fn kept(findings: Vec<Finding>, args: &Args) -> Vec<Finding> {
    findings.into_iter().filter(|f| !args.ignore.iter().any(|c| c == f.code)).collect()
}

fn of_process(args: &Args, facts: &pid::Facts, findings: &[Finding], style: Style) -> String {
    match args.format {
        Format::Human => pid::page(facts, findings, style),
        Format::Sarif => output::sarif(findings),
        Format::Json => {
            format!("{:#}\n", json!({"graceshut_doctor": 1, "process": pid::json(facts), "findings": output::list(findings)}))
        }
    }
}

fn of_files(args: &Args, findings: &[Finding], style: Style) -> String {
    match args.format {
        Format::Human => output::human(findings, style),
        Format::Sarif => output::sarif(findings),
        Format::Json => format!("{:#}\n", json!({"graceshut_doctor": 1, "findings": output::list(findings)})),
    }
}
