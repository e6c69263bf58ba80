//! Signals by name and number, as core spells them, with the words a command line wants.

/// Reads `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3`.
pub fn parse(text: &str) -> Result<i32, String> {
    graceshut::signal_number(text).ok_or_else(|| format!("no such signal: {text:?}; write it like TERM, SIGINT or 15"))
}

/// `TERM` for 15; `RTMIN+n` for a real-time signal; the number where there is no name.
pub fn name(signal: i32) -> String {
    graceshut::signal_name(signal).map_or_else(|| signal.to_string(), str::to_owned)
}
