//! The one error type. A kind says what a caller would do differently; the message names the culprit and the next step.

use std::fmt;

/// What went wrong, coarsely. The numbers are ABI: never reused, never renumbered; bindings map them to their own types.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A required pointer or argument was null / missing.
    Null = 1,
    /// A name or path is not valid UTF-8.
    NotUtf8 = 2,
    /// No phase of that name in the plan.
    UnknownPhase = 3,
    /// A time is negative, not a number, too small or too large.
    BadTime = 4,
    /// Another argument is out of its range.
    BadValue = 5,
    /// The configuration file or a `GRACESHUT_*` variable has an unknown key or a bad value.
    BadConfig = 6,
    /// The phases contradict each other: two of one name, a circle, a reserve above its cap.
    BadPlan = 7,
    /// The reserves do not fit into the grace.
    PlanDoesNotFit = 8,
    /// A second install asked for other options than the first.
    Disagree = 9,
    /// The runtime was uninstalled, or belongs to the parent process (after fork).
    Closed = 10,
    /// The phase is already over, or the shutdown has already finished.
    TooLate = 11,
    /// The hook's `after` closes a circle.
    Cycle = 12,
    /// This call is not allowed on this thread (for example `wait` inside a hook).
    WrongThread = 13,
    /// Nothing was installed yet.
    NotInstalled = 14,
    /// Another copy of the core in this process has an incompatible ABI.
    AbiMismatch = 15,
    /// The operating system refused something; the message has its words.
    Os = 16,
    /// The limit of a wait passed before what was waited for came.
    Timeout = 17,
    /// A hook of a kind that this build does not contain.
    Unsupported = 18,
    /// A bug in graceshut, contained: please report it.
    Internal = 99,
}

impl ErrorKind {
    /// Every kind, in the order of its number. One table feeds every binding.
    pub const ALL: &'static [ErrorKind] = &[
        ErrorKind::Null,
        ErrorKind::NotUtf8,
        ErrorKind::UnknownPhase,
        ErrorKind::BadTime,
        ErrorKind::BadValue,
        ErrorKind::BadConfig,
        ErrorKind::BadPlan,
        ErrorKind::PlanDoesNotFit,
        ErrorKind::Disagree,
        ErrorKind::Closed,
        ErrorKind::TooLate,
        ErrorKind::Cycle,
        ErrorKind::WrongThread,
        ErrorKind::NotInstalled,
        ErrorKind::AbiMismatch,
        ErrorKind::Os,
        ErrorKind::Timeout,
        ErrorKind::Unsupported,
        ErrorKind::Internal,
    ];

    /// The kind's name as every language spells it (in its own case): `unknown_phase`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Null => "null",
            ErrorKind::NotUtf8 => "not_utf8",
            ErrorKind::UnknownPhase => "unknown_phase",
            ErrorKind::BadTime => "bad_time",
            ErrorKind::BadValue => "bad_value",
            ErrorKind::BadConfig => "bad_config",
            ErrorKind::BadPlan => "bad_plan",
            ErrorKind::PlanDoesNotFit => "plan_does_not_fit",
            ErrorKind::Disagree => "disagree",
            ErrorKind::Closed => "closed",
            ErrorKind::TooLate => "too_late",
            ErrorKind::Cycle => "cycle",
            ErrorKind::WrongThread => "wrong_thread",
            ErrorKind::NotInstalled => "not_installed",
            ErrorKind::AbiMismatch => "abi_mismatch",
            ErrorKind::Os => "os",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Internal => "internal",
        }
    }

    /// The frozen number of this kind (0 is success and no kind).
    #[must_use]
    pub fn code(self) -> i32 {
        self as i32
    }
}

/// An error of graceshut: a [`kind`](Error::kind) for programs, a message for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// Makes an error; `message` names the culprit and the next step.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into() }
    }

    /// An operating-system error: what was tried, and the system's own words.
    #[must_use]
    pub fn os(what: &str, error: &std::io::Error) -> Error {
        Error::new(ErrorKind::Os, format!("{what}: {error}"))
    }

    /// What a program decides by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What a person reads.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// `, did you mean "drain"?` for the candidate nearest to `given`, or nothing when none is near.
pub(crate) fn did_you_mean<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = candidates
        .into_iter()
        .map(|c| (strsim::osa_distance(given, c), c))
        .filter(|(distance, c)| *distance <= 1 + c.len().max(given.len()) / 3)
        .min();
    nearest.map_or_else(String::new, |(_, c)| format!(", did you mean \"{c}\"?"))
}
