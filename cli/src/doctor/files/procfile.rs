//! Procfiles: the command of each process type. The platform sends TERM to every process there is, so that wrappers do no harm.

use super::Sheet;
use super::command;
use super::place::Place;

/// Examines every process type.
pub fn check(sheet: &mut Sheet<'_>) {
    for (i, line) in sheet.text.lines().enumerate() {
        let Some((name, command)) = line.split_once(':') else { continue };
        if line.trim_start().starts_with('#')
            || name == "release"
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        {
            continue;
        }
        let place = Place { line: i + 1, grace: None, signal: None, exec_form: "PROGRAM", wrapper_is_fine: true };
        command::check_script(sheet, command.trim(), &place);
    }
}
