//! Where a value came from: the thing to change when the value is not the one that was wanted.

use std::fmt;
use std::path::PathBuf;

/// Where one value of the configuration came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// This environment variable.
    Environment(String),
    /// This configuration file.
    File(PathBuf),
    /// The program's own call.
    Code,
    /// Assumed from the platform of this name; what was configured there may differ.
    Platform(&'static str),
    /// The platform of this name said so.
    Told(&'static str),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Environment(variable) => write!(f, "environment {variable}"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Code => f.write_str("code"),
            Origin::Platform(name) => write!(f, "assumed for {name}"),
            Origin::Told(name) => write!(f, "told by {name}"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting<T> {
    /// What counts.
    pub value: T,
    /// Who said so.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// A value from `origin`.
    #[must_use]
    pub fn new(value: T, origin: Origin) -> Setting<T> {
        Setting { value, origin }
    }
}
