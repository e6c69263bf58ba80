//! A command line, wherever it stands: what is in front of the program, and what the program does when it is told to stop.

use super::place::Place;
use super::shell::{self, Last};
use super::{Sheet, servers};

/// Examines a command given as words.
pub fn check(sheet: &mut Sheet<'_>, argv: &[String], place: &Place) {
    let argv = stripped(argv);
    if let Some(script) = shell::script_of(argv) {
        check_script(sheet, script, place);
        return;
    }
    let Some(program) = argv.first() else { return };
    if let Some(manager) = package_manager(program) {
        if !place.wrapper_is_fine {
            let what = argv.iter().take(3).cloned().collect::<Vec<_>>().join(" ");
            sheet.say(
                "npm-wrapper",
                place.line,
                format!("`{what}` puts {manager} and a shell in front of the program: TERM reaches it late or not at all"),
                format!(
                    "start the program itself, as package.json does: {}",
                    place.exec_form.replace("PROGRAM", "node server.js").replace("WORDS", "\"node\", \"server.js\"")
                ),
            );
        }
        return;
    }
    servers::check(sheet, argv, place);
}

/// Examines a command given as a line for a shell.
pub fn check_script(sheet: &mut Sheet<'_>, script: &str, place: &Place) {
    match shell::last(script) {
        Last::Itself => {}
        Last::Exec(argv) => check(sheet, &argv, place),
        Last::Behind(argv) => {
            let inner = stripped(&argv);
            if !place.wrapper_is_fine && !inner.is_empty() {
                let program = inner.iter().take(3).cloned().collect::<Vec<_>>().join(" ");
                sheet.say(
                    "shell-no-exec",
                    place.line,
                    format!("the shell stays in front of `{program}` and gets the signal in its stead; the program is killed at the end of the grace"),
                    format!("put exec before it: `exec {program} …`, or leave the shell out"),
                );
            }
            check(sheet, &argv, place);
        }
    }
}

/// The command without what takes the place of itself by exec, or passes every signal on.
pub fn stripped(mut argv: &[String]) -> &[String] {
    loop {
        let Some(first) = argv.first() else { return argv };
        let base = first.rsplit('/').next().unwrap_or(first);
        let skip = match base {
            "exec" | "nohup" => 1,
            "env" => 1 + argv[1..].iter().take_while(|w| w.starts_with('-') || shell::is_assignment(w)).count(),
            "tini" | "tini-static" | "dumb-init" | "catatonit" => after_options(argv, 1),
            "graceshut" if argv.get(1).is_some_and(|w| w == "run") => after_options(argv, 2),
            "poetry" | "pipenv" | "uv" | "hatch" | "pdm" if argv.get(1).is_some_and(|w| w == "run") => after_options(argv, 2),
            "bundle" if argv.get(1).is_some_and(|w| w == "exec") => 2,
            _ if shell::is_assignment(first) => 1,
            _ => return argv,
        };
        argv = argv.get(skip.min(argv.len())..).unwrap_or_default();
    }
}

/// Behind `--`, or behind the options (of which `-e N`, `-r A:B`, `-p S` and `-s` are known).
fn after_options(argv: &[String], from: usize) -> usize {
    if let Some(at) = argv.iter().position(|w| w == "--") {
        return at + 1;
    }
    let mut at = from;
    while let Some(word) = argv.get(at).filter(|w| w.starts_with('-')) {
        at += if ["-e", "-r", "-p"].contains(&word.as_str()) { 2 } else { 1 };
    }
    at
}

fn package_manager(program: &str) -> Option<&'static str> {
    let base = program.rsplit('/').next().unwrap_or(program);
    ["npm", "yarn", "pnpm", "npx"].into_iter().find(|m| *m == base)
}
