//! Where a command line stands, and what the file says of its stop.

use std::time::Duration;

/// The time between the signal and KILL, where the command stands.
#[derive(Clone, Debug)]
pub struct Grace {
    /// What is left for the program.
    pub time: Duration,
    /// Where that comes from: `stop_grace_period`, `terminationGracePeriodSeconds less preStop`.
    pub origin: String,
    /// Somebody wrote it down; else it is the platform's usual one.
    pub said: bool,
    /// What to write to raise it, up to the value.
    pub setting: &'static str,
    /// How the platform writes a time.
    pub unit: fn(Duration) -> String,
}

/// Where a command line stands.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its line.
    pub line: usize,
    /// The grace there; `None` where the file does not say.
    pub grace: Option<Grace>,
    /// The signal that stops it, if the file says.
    pub signal: Option<String>,
    /// How to write the program without a shell there.
    pub exec_form: &'static str,
    /// A signal goes to every process there is, or npm is the platform's own way: a wrapper does no harm.
    pub wrapper_is_fine: bool,
}
