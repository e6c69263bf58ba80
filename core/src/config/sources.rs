//! Everything outside the program's own call that has a say: read once, at `install`, and replaceable in tests.

use std::ffi::OsString;
use std::path::PathBuf;

use super::platform::Surroundings;

/// Where [`resolve`](super::resolve()) looks besides the options it is given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    /// The environment; only `GRACESHUT_*` are read.
    pub vars: Vec<(OsString, OsString)>,
    /// The working directory: there `graceshut.toml` is looked for, and relative paths begin. `None` looks for no file that
    /// was not named.
    pub dir: Option<PathBuf>,
    /// The platform.
    pub around: Surroundings,
}

impl Sources {
    /// The environment, working directory and platform of this process. Reads the environment through the standard library:
    /// call it while no other thread changes the environment from C.
    #[must_use]
    pub fn from_process() -> Sources {
        let around = Surroundings::detect(&|name| std::env::var_os(name), &|path| path.exists());
        Sources { vars: std::env::vars_os().collect(), dir: std::env::current_dir().ok(), around }
    }

    /// Nothing: only the options and the defaults count.
    #[must_use]
    pub fn none() -> Sources {
        Sources::default()
    }
}
