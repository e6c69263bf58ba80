//! The words of the configuration and what they stand for: one table each, for reading and for printing.

use std::path::PathBuf;

use super::options::{Action, Exit, Leave, Repeat, ReportTo};
use super::walk::Item;
use crate::error::{Error, did_you_mean};
use crate::plan::{OnFailure, Order};

pub(super) const ACTIONS: &[(&str, Action)] = &[
    ("stop", Action::Stop),
    ("reload", Action::Reload),
    ("status", Action::Status),
    ("ignore", Action::Ignore),
    ("default", Action::Default),
];

pub(super) const REPEATS: &[(&str, Repeat)] =
    &[("expedite", Repeat::Expedite), ("interactive", Repeat::Interactive), ("orchestrated", Repeat::Orchestrated)];

pub(super) const EXITS: &[(&str, Exit)] = &[("host", Exit::Host), ("reraise", Exit::Reraise), ("manual", Exit::Manual)];

pub(super) const LEAVES: &[(&str, Leave)] =
    &[("auto", Leave::Auto), ("at_once", Leave::AtOnce), ("by_itself", Leave::ByItself)];

pub(super) const ORDERS: &[(&str, Order)] = &[("concurrent", Order::Concurrent), ("serial", Order::Serial)];

pub(super) const FAILURES: &[(&str, OnFailure)] =
    &[("continue", OnFailure::Continue), ("skip_to_reserved", OnFailure::SkipToReserved)];

/// The word for `value`.
pub(super) fn word<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, v)| v == value).map_or("?", |(w, _)| w)
}

const REPORT_WORDS: &[&str] = &["stderr", "stderr:json", "termination-log", "none", "fd:3"];

impl Item<'_> {
    /// Reads where the report goes. A path holds a `/` or a `.`, so that a mistyped word does not become a file.
    pub(super) fn report(&self) -> Result<ReportTo, Error> {
        let text = self.text()?;
        match text {
            "stderr" => return Ok(ReportTo::Line),
            "stderr:json" => return Ok(ReportTo::StderrJson),
            "termination-log" => return Ok(ReportTo::TerminationLog),
            "none" => return Ok(ReportTo::None),
            _ => {}
        }
        if let Some(digits) = text.strip_prefix("fd:") {
            let fd = digits.parse().ok().filter(|fd: &i32| *fd >= 0 && digits.bytes().all(|b| b.is_ascii_digit()));
            return fd.map(ReportTo::Fd).ok_or_else(|| self.bad("write the number of an open descriptor, as in \"fd:3\""));
        }
        if text.contains('/') || text.contains('.') {
            return Ok(ReportTo::Path(PathBuf::from(text)));
        }
        let hint = did_you_mean(text, REPORT_WORDS.iter().copied());
        Err(self.bad(format_args!(
            "unknown word{hint} (\"{}\" or a path is wanted here; write \"./{text}\" for a file)",
            REPORT_WORDS.join("\", \"")
        )))
    }
}

/// The text form of where the report goes.
pub(super) fn report_text(to: &ReportTo) -> String {
    match to {
        ReportTo::Line => "stderr".to_owned(),
        ReportTo::StderrJson => "stderr:json".to_owned(),
        ReportTo::Path(path) => path.display().to_string(),
        ReportTo::Fd(fd) => format!("fd:{fd}"),
        ReportTo::TerminationLog => "termination-log".to_owned(),
        ReportTo::None => "none".to_owned(),
    }
}
