//! Names and numbers of signals on Linux.

const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ABRT", libc::SIGABRT),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("TERM", libc::SIGTERM),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("PWR", libc::SIGPWR),
];

/// The number of a signal without SIG before its name.
#[must_use]
pub fn number(name: &str) -> Option<i32> {
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, s)| *s)
}

/// The name of a number.
#[must_use]
pub fn name(number: i32) -> Option<&'static str> {
    NAMES.iter().find(|(_, s)| *s == number).map(|(n, _)| *n)
}
