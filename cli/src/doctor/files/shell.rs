//! As much of a shell's language as it takes to see what a command line starts last, and whether by exec.

/// What a shell does with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// The last command takes the shell's place.
    Exec(Vec<String>),
    /// The shell stays in front of it.
    Behind(Vec<String>),
    /// The script traps signals, or waits for what it started: it looks after them itself.
    Itself,
}

/// The words of one command; text that cannot be split (an open quote) as it stands.
pub fn words(line: &str) -> Vec<String> {
    shlex::split(line).unwrap_or_else(|| line.split_whitespace().map(str::to_owned).collect())
}

/// The commands of a line, between `&&`, `||`, `;`, `|` and `&`.
pub fn commands(line: &str) -> Vec<String> {
    let (mut all, mut now) = (Vec::new(), String::new());
    let (mut quote, mut escaped, mut depth) = (None, false, 0_usize);
    let mut before = ' ';
    for c in line.chars() {
        let plain = quote.is_none() && !escaped;
        match c {
            '\\' if !escaped && quote != Some('\'') => escaped = true,
            '\'' | '"' if plain => quote = Some(c),
            c if quote == Some(c) && !escaped => quote = None,
            _ => escaped = false,
        }
        match c {
            '(' | '{' if plain => depth += usize::from(c == '(' || before == '$'),
            ')' | '}' if plain => depth = depth.saturating_sub(1),
            _ => {}
        }
        // `2>&1` and `&>` are no separators.
        let separates = matches!(c, ';' | '|' | '\n') || (c == '&' && before != '>');
        if plain && depth == 0 && separates {
            all.push(std::mem::take(&mut now));
        } else {
            now.push(c);
        }
        before = c;
    }
    all.push(now);
    all.iter().map(|s| s.trim().to_owned()).filter(|s| !s.is_empty() && !s.starts_with('>')).collect()
}

/// What a shell given this script by `-c` (or in a Dockerfile's shell form) runs last.
pub fn last(script: &str) -> Last {
    let all = commands(script);
    let word = |c: &String| words(c).first().cloned().unwrap_or_default();
    if all.iter().any(|c| word(c) == "trap") || all.last().is_some_and(|c| word(c) == "wait") {
        return Last::Itself;
    }
    let mut argv = all.last().map(|c| words(c)).unwrap_or_default();
    // Assignments come before the command.
    while argv.first().is_some_and(|w| is_assignment(w)) {
        argv.remove(0);
    }
    if argv.first().is_some_and(|w| w == "exec") {
        argv.remove(0);
        return Last::Exec(argv);
    }
    Last::Behind(argv)
}

/// `NAME=value`.
pub fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(n, _)| !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// `sh -c SCRIPT`, `bash -lc SCRIPT`, with or without a folder: the script.
pub fn script_of(argv: &[String]) -> Option<&str> {
    let shell = argv.first()?.rsplit('/').next()?;
    if !["sh", "bash", "dash", "ash", "zsh"].contains(&shell) {
        return None;
    }
    let at = argv.iter().position(|w| w.starts_with('-') && !w.starts_with("--") && w.ends_with('c'))?;
    argv.get(at + 1).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn commands_are_told_apart() {
        assert_eq!(commands("a && b 'c; d' || e 2>&1 ; f"), ["a", "b 'c; d'", "e 2>&1", "f"]);
        assert_eq!(commands("x $(a; b) | y &"), ["x $(a; b)", "y"]);
        assert_eq!(commands("a \\; b"), ["a \\; b"]);
    }

    #[test]
    fn what_runs_last() {
        assert_eq!(last("migrate && exec gunicorn app"), Last::Exec(argv(&["gunicorn", "app"])));
        assert_eq!(last("PORT=1 node server.js"), Last::Behind(argv(&["node", "server.js"])));
        assert_eq!(last("trap 'kill $p' TERM; node x & p=$!; wait"), Last::Itself);
        assert_eq!(script_of(&argv(&["/bin/bash", "-lc", "x y"])), Some("x y"));
        assert_eq!(script_of(&argv(&["node", "-c", "x"])), None);
    }
}
