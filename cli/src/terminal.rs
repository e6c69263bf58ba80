//! What the terminal can show: colours, characters beyond ASCII, how wide it is. Plain when it is none.

use std::ffi::OsString;
use std::io::IsTerminal;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Escape sequences for colours.
    pub colour: bool,
    /// Block characters; else ASCII.
    pub blocks: bool,
    /// Columns.
    pub width: usize,
}

/// No colour, no block characters, 100 columns: what a pipe or a file gets, the same everywhere.
pub const PLAIN: Style = Style { colour: false, blocks: false, width: 100 };

impl Style {
    /// Standard output's.
    pub fn of_stdout() -> Style {
        if !std::io::stdout().is_terminal() {
            return PLAIN;
        }
        let width = columns().unwrap_or(100).clamp(40, 160);
        Style { colour: wants_colour(), blocks: speaks_utf8(&|name| std::env::var_os(name)), width }
    }

    /// `text` in the colour of this SGR code.
    pub fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Is standard output somewhere colours make sense? NO_COLOR (any non-empty value) says no.
pub fn wants_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
    !no_color && !dumb && std::io::stdout().is_terminal()
}

/// The first of the three that is set decides, as in every program.
fn speaks_utf8(var: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| var(name)).find(|v| !v.is_empty());
    locale.is_some_and(|v| {
        let v = v.to_string_lossy().to_ascii_lowercase();
        v.contains("utf-8") || v.contains("utf8")
    })
}

fn columns() -> Option<usize> {
    // SAFETY: all-zero is a valid winsize.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: `size` is writable and of the type this request fills in.
    let done = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_decides() {
        let env = |all: &'static str, lang: &'static str| {
            move |name: &str| match name {
                "LC_ALL" => Some(all.into()),
                "LANG" => Some(lang.into()),
                _ => None,
            }
        };
        assert!(speaks_utf8(&env("", "de_DE.UTF-8")));
        assert!(speaks_utf8(&env("C.utf8", "C")));
        assert!(!speaks_utf8(&env("C", "de_DE.UTF-8")));
        assert!(!speaks_utf8(&|_| None));
    }
}
