//! Text of others, made harmless.

/// Text of others made fit for one line of a terminal: no control characters, not longer than `limit`.
pub fn plain(text: &str, limit: usize) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    match text.char_indices().nth(limit) {
        Some((cut, _)) => text[..cut].chars().map(clean).chain(['…']).collect(),
        None => text.chars().map(clean).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_made_harmless() {
        assert_eq!(plain("a\x1b[31m\nb", 99), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(plain("äöü", 2), "äö…");
        assert_eq!(plain("äöü", 3), "äöü");
    }
}
