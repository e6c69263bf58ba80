//! What the configuration says about signals: a name for every number, and which of them nobody can manage.

use crate::error::did_you_mean;
use crate::signal::name;

/// The name without `SIG`: `TERM`, `RTMIN+3`; the number where there is none.
pub(super) fn name_of(signo: i32) -> String {
    name::name_of(signo).map_or_else(|| signo.to_string(), str::to_owned)
}

/// Why `text` is no signal, with the nearest name.
pub(super) fn unknown(text: &str) -> String {
    let (upper, last) = (text.to_ascii_uppercase(), libc::SIGRTMAX());
    if let Some(why) = text.parse().ok().and_then(reserved) {
        return why;
    }
    let hint = did_you_mean(upper.strip_prefix("SIG").unwrap_or(&upper), (1..=last).filter_map(name::name_of));
    format!("there is no signal \"{text}\"{hint} (write a name such as TERM, SIGHUP or RTMIN+1, or a number from 1 to {last})")
}

fn reserved(signo: i32) -> Option<String> {
    let ours = signo > libc::SIGSYS && signo < libc::SIGRTMIN();
    ours.then(|| format!("signal {signo} belongs to the C library's threads; use RTMIN and above"))
}

/// Why the signal cannot be managed, or `None` when it can.
pub(super) fn refusal(signo: i32) -> Option<String> {
    let name = name_of(signo);
    match signo {
        libc::SIGKILL | libc::SIGSTOP => Some(format!("the kernel lets no process handle {name}; remove it")),
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL => Some(format!(
            "{name} reports a fault of the very instruction it interrupts and belongs to the host's crash handling; remove it"
        )),
        n if n < 1 || n > libc::SIGRTMAX() => {
            Some(format!("{n} is no signal; signals are numbered from 1 to {}", libc::SIGRTMAX()))
        }
        n => reserved(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_manage_is_refused() {
        assert!(unknown("SIGTREM").contains("\"TERM\""));
        assert!(unknown("33").contains("C library"));
        for n in [9, 19, 11, 7, 8, 4, 32, 33, 0, -3, 65] {
            assert!(refusal(n).is_some(), "{n}");
        }
        for n in [1, 2, 15, 30, 34, 64] {
            assert_eq!(refusal(n), None, "{n}");
        }
    }
}
