//! Names and numbers of signals. The numbers are the platform's own.

const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    // Other names of the same numbers; `name_of` finds the first.
    ("IOT", libc::SIGABRT),
    ("CLD", libc::SIGCHLD),
    ("POLL", libc::SIGIO),
];

const REAL_TIME: [&str; 31] = [
    "RTMIN", "RTMIN+1", "RTMIN+2", "RTMIN+3", "RTMIN+4", "RTMIN+5", "RTMIN+6", "RTMIN+7", "RTMIN+8", "RTMIN+9", "RTMIN+10",
    "RTMIN+11", "RTMIN+12", "RTMIN+13", "RTMIN+14", "RTMIN+15", "RTMIN+16", "RTMIN+17", "RTMIN+18", "RTMIN+19", "RTMIN+20",
    "RTMIN+21", "RTMIN+22", "RTMIN+23", "RTMIN+24", "RTMIN+25", "RTMIN+26", "RTMIN+27", "RTMIN+28", "RTMIN+29", "RTMIN+30",
];

/// `TERM` for 15, `RTMIN+2` for 36 (under glibc); `None` for what is no signal, and for those the C library keeps to itself.
#[must_use]
pub fn name_of(signo: i32) -> Option<&'static str> {
    if let Some((name, _)) = NAMES.iter().find(|(_, number)| *number == signo) {
        return Some(name);
    }
    let nth = usize::try_from(signo.checked_sub(libc::SIGRTMIN())?).ok()?;
    if signo > libc::SIGRTMAX() { None } else { REAL_TIME.get(nth).copied() }
}

/// 15 for `TERM`, `SIGTERM`, `sigterm` and `15`; also `RTMIN+2` and `RTMAX-1`. `None` for what is no signal.
#[must_use]
pub fn number_of(name: &str) -> Option<i32> {
    let upper = name.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        libc::SIGRTMIN().checked_add(offset(rest, '+')?)?
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        libc::SIGRTMAX().checked_sub(offset(rest, '-')?)?
    } else {
        digits(name)?
    };
    name_of(number).map(|_| number)
}

/// The number after `sign`; 0 when nothing follows.
fn offset(rest: &str, sign: char) -> Option<i32> {
    if rest.is_empty() { Some(0) } else { digits(rest.strip_prefix(sign)?) }
}

fn digits(text: &str) -> Option<i32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) { None } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::{name_of, number_of};

    #[test]
    fn names_and_numbers_agree() {
        for signo in 1..=64 {
            if let Some(name) = name_of(signo) {
                assert_eq!(number_of(name), Some(signo), "{name}");
                assert_eq!(number_of(&format!("SIG{name}")), Some(signo), "{name}");
                assert_eq!(number_of(&signo.to_string()), Some(signo), "{name}");
            }
        }
        assert_eq!(name_of(15), Some("TERM"));
        assert_eq!(number_of("sigint"), Some(2));
        assert_eq!(number_of("RTMIN+2"), Some(libc::SIGRTMIN() + 2));
        assert_eq!(number_of("RTMAX-1"), Some(libc::SIGRTMAX() - 1));
        assert_eq!(number_of("RTMAX"), Some(libc::SIGRTMAX()));
        assert_eq!(number_of("CLD"), Some(libc::SIGCHLD));
        assert_eq!(name_of(libc::SIGABRT), Some("ABRT"));
    }

    #[test]
    fn nonsense_has_no_number() {
        for bad in
            ["", "SIG", "TERMX", "0", "-15", "+15", "65", "99999999999", "RTMIN+", "RTMIN+31", "RTMIN-1", "RTMAX+1", "32"]
        {
            assert_eq!(number_of(bad), None, "{bad}");
        }
        for bad in [0, -1, 32, 33, 65, i32::MIN, i32::MAX] {
            assert_eq!(name_of(bad), None, "{bad}");
        }
    }
}
