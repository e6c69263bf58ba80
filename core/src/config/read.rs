//! The one walker from a table of keys to [`Options`]: the same for `graceshut.toml`, for what a binding was called with, and
//! for the environment.

use serde_json::Value;

use super::options::{AnnounceDelay, NormalGrace, Options};
use super::time::NumberUnit;
use super::walk::{Item, Source};
use crate::error::{Error, ErrorKind};

/// The keys with one value, which the environment knows too.
pub(super) const SCALARS: &[&str] = &[
    "grace",
    "grace_normal",
    "already_spent",
    "announce_delay",
    "serving",
    "repeat",
    "exit",
    "exit_code_clean",
    "exit_code_degraded",
    "exit_code_forced",
    "exit_cap",
    "leave",
    "watchdog",
    "max_workers",
    "report",
    "systemd_extend",
    "inflight",
    "hold",
    "admin",
    "admin_token",
    "parent_death",
    "stdin_eof",
];

/// `process` is for `graceshut run` (process.rs).
const TABLES: &[&str] = &["signals", "phases", "hook", "process"];

/// Turns an object of keys into [`Options`]. `unit` says what a bare number means where a time is asked for, `source` is
/// named in errors. A key that is absent stays unsaid; null is refused.
///
/// # Errors
/// [`ErrorKind::BadTime`] for a time that is negative, not a number, infinite or above 366 days;
/// [`ErrorKind::Unsupported`] for what this build cannot do;
/// [`ErrorKind::BadConfig`] for everything else: an unknown key or word, a wrong type, a number out of range.
/// Every message names the key, its value, its source and the nearest valid one.
#[allow(clippy::field_reassign_with_default, reason = "said inside")]
pub fn read(value: &Value, unit: NumberUnit, source: &Source) -> Result<Options, Error> {
    let root = Item::root(value, unit, source);
    let known: Vec<&str> = SCALARS.iter().chain(TABLES).copied().collect();
    if value.get("journal").is_some() {
        let place = source.label("journal");
        return Err(Error::new(ErrorKind::Unsupported, format!("{place}: this build keeps no journal; remove the key")));
    }
    let t = root.table(&known)?;
    // One by one into one value: what an early return has to clean up is then the same everywhere.
    let mut o = Options::default();
    o.grace = t.opt("grace", Item::time)?;
    o.grace_normal = t.opt("grace_normal", Item::grace_normal)?;
    o.already_spent = t.opt("already_spent", Item::time)?;
    o.announce_delay = t.opt("announce_delay", Item::announce_delay)?;
    o.serving = t.opt("serving", Item::boolean)?;
    o.signals = t.opt("signals", Item::signals)?.unwrap_or_default();
    o.repeat = t.opt("repeat", |i| i.word(super::words::REPEATS))?;
    o.exit = t.opt("exit", |i| i.word(super::words::EXITS))?;
    o.exit_code_clean = t.opt("exit_code_clean", Item::exit_code)?;
    o.exit_code_degraded = t.opt("exit_code_degraded", Item::exit_code)?;
    o.exit_code_forced = t.opt("exit_code_forced", Item::exit_code)?;
    o.exit_cap = t.opt("exit_cap", Item::time)?;
    o.leave = t.opt("leave", |i| i.word(super::words::LEAVES))?;
    o.watchdog = t.opt("watchdog", Item::boolean)?;
    o.max_workers = t.opt("max_workers", |i| Ok(i.integer(1..=1024)? as u32))?;
    o.report = t.opt("report", Item::report)?;
    o.systemd_extend = t.opt("systemd_extend", Item::boolean)?;
    o.inflight = t.opt("inflight", Item::boolean)?;
    o.hold = t.opt("hold", Item::boolean)?;
    o.admin = t.opt("admin", Item::admin)?;
    o.admin_token = t.opt("admin_token", Item::token)?;
    o.parent_death = t.opt("parent_death", Item::boolean)?;
    o.stdin_eof = t.opt("stdin_eof", Item::boolean)?;
    o.phases = t.opt("phases", Item::phases)?.unwrap_or_default();
    o.hooks = t.opt("hook", Item::hooks)?.unwrap_or_default();
    Ok(o)
}

impl Item<'_> {
    fn exit_code(&self) -> Result<i32, Error> {
        // The range makes the cast exact.
        Ok(self.integer(0..=255)? as i32)
    }

    fn grace_normal(&self) -> Result<NormalGrace, Error> {
        match self.value().as_str() {
            Some("none") => Ok(NormalGrace::Unlimited),
            Some("grace") => Ok(NormalGrace::SameAsGrace),
            Some(_) => {
                let also = |e: Error| {
                    Error::new(e.kind(), format!("{e}; also \"none\" (no deadline) and \"grace\" (as for a signal)"))
                };
                self.time().map(NormalGrace::Limited).map_err(also)
            }
            None => self.time().map(NormalGrace::Limited),
        }
    }

    fn announce_delay(&self) -> Result<AnnounceDelay, Error> {
        match self.value().as_str() {
            Some("auto") => Ok(AnnounceDelay::Auto),
            Some(_) => {
                let also = |e: Error| Error::new(e.kind(), format!("{e}; also \"auto\""));
                self.time().map(AnnounceDelay::Fixed).map_err(also)
            }
            None => self.time().map(AnnounceDelay::Fixed),
        }
    }
}
