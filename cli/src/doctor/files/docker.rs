//! Dockerfiles: what becomes PID 1, and by which signal it is stopped.

use super::command;
use super::place::Place;
use super::{Sheet, script, shell};
use std::fs;

/// One instruction of the last stage.
struct Instruction {
    word: String,
    rest: String,
    line: usize,
}

/// Examines the last stage, which is what runs.
pub fn check(sheet: &mut Sheet<'_>) {
    let all = instructions(sheet.text);
    let from = all.iter().rposition(|i| i.word == "FROM").unwrap_or(0);
    let stage = &all[from..];
    let last = |word: &str| stage.iter().rev().find(|i| i.word == word);
    let signal = last("STOPSIGNAL");
    if let Some(i) = signal {
        stop_signal(sheet, i.line, &i.rest, "STOPSIGNAL SIGTERM");
    }
    let (entry, cmd) = (last("ENTRYPOINT"), last("CMD"));
    let signal = signal.map(|i| i.rest.clone());
    if let Some(i) = entry {
        form(sheet, i, signal.clone());
        let argv = exec_form(&i.rest);
        if let Some(argv) = &argv {
            entrypoint_script(sheet, argv, stage);
        }
        // A shell form entrypoint ignores CMD; one in exec form gets it as arguments.
        let Some(cmd) = cmd.filter(|_| argv.is_some()) else { return };
        match exec_form(&cmd.rest) {
            Some(words) => arguments(sheet, argv.unwrap_or_default(), words, cmd.line, signal),
            None => form(sheet, cmd, signal),
        }
    } else if let Some(i) = cmd {
        form(sheet, i, signal);
        if let Some(argv) = exec_form(&i.rest) {
            entrypoint_script(sheet, &argv, stage);
        }
    }
}

/// What ENTRYPOINT and CMD come to together.
fn arguments(sheet: &mut Sheet<'_>, entry: Vec<String>, cmd: Vec<String>, line: usize, signal: Option<String>) {
    let together: Vec<String> = entry.iter().cloned().chain(cmd.iter().cloned()).collect();
    let is_init = command::stripped(&together).len() < together.len();
    // A script that ends in exec "$@" runs the command; a program takes words as arguments.
    let is_script = entry.first().is_some_and(|e| e.ends_with(".sh") || e.contains("entrypoint"));
    match (is_init, is_script) {
        (true, _) => command::check(sheet, &together, &place(line, signal)),
        (_, true) => command::check(sheet, &cmd, &place(line, signal)),
        _ => {}
    }
}

fn place(line: usize, signal: Option<String>) -> Place {
    Place { line, grace: None, signal, exec_form: "CMD [WORDS]", wrapper_is_fine: false }
}

/// An ENTRYPOINT or CMD on its own.
fn form(sheet: &mut Sheet<'_>, i: &Instruction, signal: Option<String>) {
    if let Some(argv) = exec_form(&i.rest) {
        command::check(sheet, &argv, &place(i.line, signal));
        return;
    }
    match shell::last(&i.rest) {
        shell::Last::Itself => {}
        shell::Last::Exec(argv) => command::check(sheet, &argv, &place(i.line, signal)),
        shell::Last::Behind(argv) => {
            let words: Vec<String> = argv.iter().map(|w| format!("\"{w}\"")).collect();
            let only = shell::commands(&i.rest).len() == 1 && !i.rest.contains('$');
            let fix =
                if only { format!("{} [{}]", i.word, words.join(", ")) } else { format!("{} {}", i.word, with_exec(&i.rest)) };
            sheet.say(
                "shell-form",
                i.line,
                format!("{} in shell form runs `/bin/sh -c …`: the shell is PID 1, gets TERM and does not pass it on", i.word),
                fix,
            );
            command::check(sheet, &argv, &place(i.line, signal));
        }
    }
}

/// The line with exec before its last command.
fn with_exec(line: &str) -> String {
    let last = shell::commands(line).pop().unwrap_or_default();
    match line.rfind(&last) {
        Some(at) => format!("{}exec {last}", &line[..at]),
        None => format!("exec {line}"),
    }
}

/// `["a", "b"]`.
fn exec_form(rest: &str) -> Option<Vec<String>> {
    serde_json::from_str(rest.trim()).ok()
}

/// The script that is copied in and becomes the entrypoint, if it lies beside the Dockerfile.
fn entrypoint_script(sheet: &mut Sheet<'_>, argv: &[String], stage: &[Instruction]) {
    let Some(target) = command::stripped(argv).first() else { return };
    let base = target.rsplit('/').next().unwrap_or(target).to_owned();
    let copies = stage.iter().filter(|i| matches!(i.word.as_str(), "COPY" | "ADD") && !i.rest.contains("--from"));
    let sources = copies.flat_map(|i| {
        let words = exec_form(&i.rest).unwrap_or_else(|| shell::words(&i.rest));
        words.into_iter().filter(|w| !w.starts_with("--")).collect::<Vec<_>>()
    });
    let Some(folder) = sheet.path.parent() else { return };
    let mut candidates: Vec<std::path::PathBuf> = Vec::new();
    for source in sources {
        let path = folder.join(source.trim_start_matches('/'));
        candidates.push(if source.ends_with(&base) { path } else { path.join(&base) });
    }
    let read = |p: &std::path::PathBuf| {
        fs::read_to_string(p).ok().filter(|t| t.starts_with("#!") && t.lines().next().is_some_and(|l| l.contains("sh")))
    };
    let Some((path, text)) = candidates.into_iter().find_map(|p| read(&p).map(|t| (p, t))) else { return };
    let mut inner =
        Sheet { file: path.display().to_string().replace("/./", "/"), path: &path, text: &text, findings: Vec::new() };
    script::check(&mut inner);
    sheet.findings.extend(inner.findings);
}

/// A stop signal that can be caught and exists.
pub fn stop_signal(sheet: &mut Sheet<'_>, line: usize, text: &str, fix: &str) {
    let text = text.trim();
    if text.contains('$') {
        return;
    }
    match crate::signals::parse(text) {
        Ok(libc::SIGKILL | libc::SIGSTOP) => {
            sheet.say("stop-signal", line, format!("{text} cannot be caught: nothing is shut down, it is cut off"), fix)
        }
        Ok(_) => {}
        Err(_) => sheet.say("stop-signal", line, format!("{text} is no signal"), fix),
    }
}

/// Instructions with their continuation lines, without comments and here-documents.
fn instructions(text: &str) -> Vec<Instruction> {
    let escape =
        if text.lines().take_while(|l| l.starts_with('#')).any(|l| l.replace(' ', "").eq_ignore_ascii_case("#escape=`")) {
            '`'
        } else {
            '\\'
        };
    let mut all: Vec<Instruction> = Vec::new();
    let mut open = false;
    let mut here: Vec<String> = Vec::new();
    for (i, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if let Some(end) = here.first() {
            if line == end {
                here.remove(0);
            }
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (part, goes_on) = line.strip_suffix(escape).map_or((line, false), |p| (p.trim_end(), true));
        match all.last_mut().filter(|_| open) {
            Some(last) => {
                last.rest.push(' ');
                last.rest.push_str(part);
            }
            None => {
                let (word, rest) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
                all.push(Instruction { word: word.to_ascii_uppercase(), rest: rest.trim().to_owned(), line: i + 1 });
            }
        }
        open = goes_on;
        if let Some(last) = all.last().filter(|l| !goes_on && matches!(l.word.as_str(), "RUN" | "COPY" | "ADD")) {
            here = last
                .rest
                .split("<<")
                .skip(1)
                .map(|w| w.trim_start_matches('-').split_whitespace().next().unwrap_or("").trim_matches(['"', '\'']).to_owned())
                .filter(|w| !w.is_empty())
                .collect();
        }
    }
    all
}
