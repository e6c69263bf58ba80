//! uWSGI's own configuration.

use super::Sheet;
use super::ini::{self, Style};

/// Examines the `[uwsgi]` section.
pub fn check(sheet: &mut Sheet<'_>) {
    let (entries, sections) = ini::parse(sheet.text, Style::Indented);
    let Some((_, line)) = sections.iter().find(|(s, _)| s == "uwsgi") else { return };
    let set = |key: &str| {
        let found = entries.iter().rev().find(|e| e.section == "uwsgi" && e.key.replace('_', "-") == key);
        found.is_some_and(|e| !["false", "no", "0", "off"].contains(&e.value.as_str()))
    };
    if !set("die-on-term") && !set("hook-master-start") {
        sheet.say(
            "uwsgi-die-on-term",
            *line,
            "TERM makes uWSGI reload its workers instead of stop: it is killed at the end of the grace",
            "die-on-term = true",
        );
    }
}
