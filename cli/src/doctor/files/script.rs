//! Entrypoint scripts: whether the program takes the shell's place.

use super::Sheet;
use super::shell;

/// These start nothing that could be signalled.
const HARMLESS: &[&str] = &[
    "echo", "printf", "exit", "export", "set", "unset", "true", "false", ":", "return", "cd", "mkdir", "chown", "chmod", "cp",
    "mv", "rm", "ln", "sleep", "shift", "source", ".", "umask", "ulimit", "wait", "trap", "touch", "cat", "sed", "test", "[",
    "[[", "local", "readonly", "kill", "done", "fi", "esac", "}", ";;",
];

/// Examines a script that is a file of its own.
pub fn check(sheet: &mut Sheet<'_>) {
    if let Some((line, command)) = without_exec(sheet.text) {
        sheet.say("script-no-exec", line, why(&command), format!("write `exec {command}`"));
    }
}

/// Why that matters.
pub fn why(command: &str) -> String {
    format!("the script starts `{command}` without exec: the shell stays in front of it and does not pass TERM on")
}

/// The last command of the script and its line, when it starts a program and the shell stays; `None` where exec is used, or the
/// script looks after signals itself.
pub fn without_exec(text: &str) -> Option<(usize, String)> {
    let mut last = None;
    let mut here: Option<String> = None;
    let mut joined: Option<(usize, String)> = None;
    let mut in_function = false;
    for (i, raw) in text.lines().enumerate() {
        if let Some(end) = &here {
            if raw.trim() == end {
                here = None;
            }
            continue;
        }
        let line = without_comment(raw).trim().to_owned();
        let (at, mut line) = match joined.take() {
            Some((at, before)) => (at, format!("{before} {line}")),
            None => (i + 1, line),
        };
        if let Some(open) = line.strip_suffix('\\') {
            joined = Some((at, open.trim_end().to_owned()));
            continue;
        }
        if let Some((before, word)) = line.split_once("<<") {
            let word = word.trim_start_matches(['-', '<']).split_whitespace().next().unwrap_or_default();
            here = (!word.is_empty() && !line.contains("<<<")).then(|| word.trim_matches(['\'', '"']).to_owned());
            line = before.trim().to_owned();
        }
        // A function is not run where it stands.
        if line.ends_with("() {") || line.starts_with("function ") {
            in_function = true;
        } else if in_function && line == "}" {
            in_function = false;
            continue;
        }
        for command in shell::commands(&line) {
            let words = shell::words(&command);
            let Some(words) = significant(&words) else { continue };
            if words.first().is_some_and(|w| w == "trap") {
                return None;
            }
            // `exec 2>&1` only redirects.
            if words.first().is_some_and(|w| w == "exec") && words.iter().skip(1).all(|w| is_redirection(w)) {
                continue;
            }
            if !in_function {
                last = Some((at, words.to_vec(), command.clone()));
            }
        }
    }
    let (at, words, command) = last?;
    let program = words.first()?;
    let base = program.rsplit('/').next().unwrap_or(program);
    let starts = base != "exec" && !HARMLESS.contains(&base) && !shell::is_assignment(program);
    starts.then(|| (at, crate::verify::plain(&command, 80)))
}

/// `2>&1`, `>file`.
fn is_redirection(word: &str) -> bool {
    word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&').starts_with(['>', '<'])
}

/// A command behind the words of control flow.
fn significant(words: &[String]) -> Option<&[String]> {
    let skipped = words
        .iter()
        .take_while(|w| ["if", "then", "else", "elif", "do", "while", "until", "!", "{", "("].contains(&w.as_str()))
        .count();
    let rest = words.get(skipped..)?;
    // The pattern of a case: `start)`.
    let rest = if rest.first().is_some_and(|w| w.ends_with(')') && !w.contains('(')) { rest.get(1..)? } else { rest };
    let keyword = rest.first().is_none_or(|w| ["for", "case", "fi", "done", "esac", "in", "function"].contains(&w.as_str()));
    let function = rest.first().is_some_and(|w| w.ends_with("()")) || rest.get(1).is_some_and(|w| w == "()");
    (!keyword && !function).then_some(rest)
}

/// A `#` that begins a word begins a comment.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (i, c) in line.char_indices() {
        match c {
            '#' if quote.is_none() && before.is_whitespace() => return &line[..i],
            '\'' | '"' if quote.is_none() => quote = Some(c),
            c if quote == Some(c) => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_command_counts() {
        let found = |text: &str| without_exec(text);
        assert_eq!(found("#!/bin/sh\nset -e\nmigrate\npython app.py # run\n"), Some((4, "python app.py".into())));
        assert_eq!(found("#!/bin/sh\nset -e\nexec \"$@\"\n"), None);
        assert_eq!(found("#!/bin/sh\n\"$@\"\n"), Some((2, "\"$@\"".into())));
        assert_eq!(found("if [ \"$1\" = x ]; then\n  exec a\nfi\nexec b\n"), None);
        assert_eq!(found("trap 'kill $p' TERM\nnode a &\np=$!\nwait $p\n"), None);
        assert_eq!(found("node a \\\n  --port 1\n"), Some((1, "node a --port 1".into())));
        assert_eq!(found("cat <<EOF\nnode x\nEOF\necho done\n"), None);
        assert_eq!(found("run() {\n  node x\n}\necho ready\n"), None);
        assert_eq!(found("case $1 in\n  x) exec a ;;\nesac\nb c\n"), Some((4, "b c".into())));
        assert_eq!(found("if x; then\n  exec a\nelse\n  exec b\nfi\n"), None);
        assert_eq!(found("exec 2>&1\nnode x\n"), Some((2, "node x".into())));
    }
}
