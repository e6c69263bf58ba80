//! The marked block of the root README that a run writes.

use std::path::Path;

/// Where the block begins and ends.
pub const BEGIN: &str = "<!-- conformance: begin (written by make conformance UPDATE=1) -->\n";
/// Its end.
pub const END: &str = "<!-- conformance: end -->";

/// The block's text.
#[must_use]
pub fn block(text: &str) -> Option<&str> {
    let from = text.find(BEGIN)? + BEGIN.len();
    let to = from + text[from..].find(END)?;
    Some(&text[from..to])
}

/// Puts `table` there.
///
/// # Errors
/// When the file or its marks are not there.
pub fn update(path: &Path, table: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let old = block(&text).ok_or_else(|| format!("{}: the marks of the block are not there", path.display()))?;
    let new = text.replacen(&format!("{BEGIN}{old}"), &format!("{BEGIN}{table}"), 1);
    std::fs::write(path, new).map_err(|e| format!("{}: {e}", path.display()))
}
