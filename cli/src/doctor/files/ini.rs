//! Files of `[section]` and `key = value`: systemd units, supervisord, uWSGI.

use super::Kind;

/// One `key = value`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The section it is in.
    pub section: String,
    /// As it is written, lower case for supervisord and uWSGI only where compared so.
    pub key: String,
    /// With continuation lines.
    pub value: String,
    /// Its line.
    pub line: usize,
}

/// How lines go on: systemd's by a backslash, supervisord's by being indented.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// systemd.
    Backslash,
    /// supervisord and uWSGI.
    Indented,
}

/// All entries, in order; and each section's line.
pub fn parse(text: &str, style: Style) -> (Vec<Entry>, Vec<(String, usize)>) {
    let (mut entries, mut sections): (Vec<Entry>, Vec<(String, usize)>) = (Vec::new(), Vec::new());
    let mut open = false;
    for (i, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let indented = style == Style::Indented && raw.starts_with([' ', '\t']);
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) if style == Style::Backslash => (part.trim_end(), true),
            _ => (line, false),
        };
        if let Some(last) = entries.last_mut().filter(|_| open || indented) {
            last.value.push(' ');
            last.value.push_str(part);
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
            sections.push((name.trim().to_owned(), i + 1));
        } else if let Some((key, value)) = part.split_once('=') {
            let section = sections.last().map_or(String::new(), |(s, _)| s.clone());
            let value = if style == Style::Indented { value.split(" ;").next().unwrap_or(value) } else { value };
            entries.push(Entry { section, key: key.trim().to_owned(), value: value.trim().to_owned(), line: i + 1 });
        }
        open = goes_on;
    }
    (entries, sections)
}

/// What kind of file its sections show it to be.
pub fn kind(text: &str) -> Option<Kind> {
    let sections = text.lines().filter_map(|l| l.trim().strip_prefix('[')?.split(']').next());
    for s in sections {
        if s.starts_with("program:") || s == "supervisord" || s.starts_with("fcgi-program:") {
            return Some(Kind::Supervisord);
        }
        if s == "uwsgi" {
            return Some(Kind::Uwsgi);
        }
        if s == "Service" {
            return Some(Kind::Systemd);
        }
    }
    None
}
