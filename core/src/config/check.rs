//! What a program says directly in Rust has not passed through [`read`](super::read()): the same ranges, checked here.

use std::time::Duration;

use super::options::{AnnounceDelay, DeclKind, HookDecl, NormalGrace, Options, ReportTo};
use super::signame;
use super::time::LONGEST;
use crate::error::{Error, ErrorKind};
use crate::plan::format_duration;

/// Refuses values out of range in `o`.
///
/// # Errors
/// [`ErrorKind::BadTime`] for a time above 366 days, else [`ErrorKind::BadConfig`]; the message names key and value.
pub(super) fn options(o: &Options) -> Result<(), Error> {
    time("grace", o.grace)?;
    time("already_spent", o.already_spent)?;
    time("exit_cap", o.exit_cap)?;
    if let Some(NormalGrace::Limited(d)) = o.grace_normal {
        time("grace_normal", Some(d))?;
    }
    if let Some(AnnounceDelay::Fixed(d)) = o.announce_delay {
        time("announce_delay", Some(d))?;
    }
    for (key, code) in [
        ("exit_code_clean", o.exit_code_clean),
        ("exit_code_degraded", o.exit_code_degraded),
        ("exit_code_forced", o.exit_code_forced),
    ] {
        if let Some(code) = code.filter(|c| !(0..=255).contains(c)) {
            return Err(bad(format!("{key} = {code}: an exit status lies between 0 and 255")));
        }
    }
    if let Some(n) = o.max_workers.filter(|n| !(1..=1024).contains(n)) {
        return Err(bad(format!("max_workers = {n}: the number of workers lies between 1 and 1024")));
    }
    match &o.report {
        Some(ReportTo::Fd(fd)) if *fd < 0 => return Err(bad(format!("report = fd:{fd}: a descriptor is never negative"))),
        Some(ReportTo::Path(p)) if p.as_os_str().is_empty() => {
            return Err(bad("report: the path is empty; name a file".to_owned()));
        }
        _ => {}
    }
    signals(o)?;
    o.hooks.iter().enumerate().try_for_each(|(i, h)| hook(&format!("hook[{i}]"), h))
}

fn signals(o: &Options) -> Result<(), Error> {
    for (i, rule) in o.signals.iter().enumerate() {
        let key = format!("signals.{}", signame::name_of(rule.signo));
        if let Some(why) = signame::refusal(rule.signo) {
            return Err(bad(format!("{key}: {why}")));
        }
        if o.signals[..i].iter().any(|r| r.signo == rule.signo) {
            return Err(bad(format!("{key} is given twice; keep one")));
        }
        time(&format!("{key}.grace"), rule.grace)?;
    }
    Ok(())
}

fn hook(key: &str, h: &HookDecl) -> Result<(), Error> {
    time(&format!("{key}.timeout"), h.timeout)?;
    if h.timeout == Some(Duration::ZERO) {
        return Err(Error::new(
            ErrorKind::BadTime,
            format!("{key}.timeout = 0s: this has to be longer than zero; leave it out for no limit"),
        ));
    }
    match &h.kind {
        DeclKind::Exec(e) if e.argv.first().is_none_or(String::is_empty) => {
            Err(bad(format!("{key}.exec: the command is empty; its first word is the program")))
        }
        DeclKind::Exec(e) if e.argv.iter().any(|a| a.contains('\0')) => {
            Err(bad(format!("{key}.exec: an argument must not hold a NUL character")))
        }
        DeclKind::Http(r) if r.url.is_empty() => Err(bad(format!("{key}.http: the url is missing"))),
        DeclKind::Delay(d) => time(&format!("{key}.delay"), Some(*d)),
        DeclKind::Signal(s) if s.pid.is_some() == s.pidfile.is_some() => {
            Err(bad(format!("{key}.signal: say who gets it, by either pid or pidfile")))
        }
        DeclKind::Signal(s) if s.pid.is_some_and(|pid| pid < 1) => Err(bad(format!("{key}.signal: a pid is above zero"))),
        DeclKind::Signal(s) if !(1..=libc::SIGRTMAX()).contains(&s.signo) => {
            Err(bad(format!("{key}.signal: {} is no signal; signals are numbered from 1 to {}", s.signo, libc::SIGRTMAX())))
        }
        _ => Ok(()),
    }
}

fn time(key: &str, d: Option<Duration>) -> Result<(), Error> {
    match d {
        Some(d) if d > LONGEST => {
            Err(Error::new(ErrorKind::BadTime, format!("{key} = {}: a time lies between 0 and 366 days", format_duration(d))))
        }
        _ => Ok(()),
    }
}

fn bad(message: String) -> Error {
    Error::new(ErrorKind::BadConfig, message)
}
