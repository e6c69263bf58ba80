//! The machine-readable record of one shutdown (spec 11.1): a fold over the engine's event list.
//!
//! The schema is `docs/report.schema.json`; keys come in schema order, hooks in registration order, times in microseconds.

mod fold;
mod line;
mod notify;
mod write;

pub(crate) use fold::{Facts, fold, unasked};
pub(crate) use line::rounded;
pub use line::{human_line, leave_line};
pub use notify::Notify;
pub(crate) use write::deliver;

use serde::{Deserialize, Serialize};

/// One shutdown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Schema version.
    pub graceshut: u32,
    /// Unique for this run.
    pub run_id: String,
    /// Who ran.
    pub host: HostInfo,
    /// The process.
    pub pid: u32,
    /// Wall-clock time of the trigger, microseconds since 1970.
    pub triggered_at_us: u64,
    /// Grace of the first trigger; null: none.
    pub grace_us: Option<u64>,
    /// Where the grace came from.
    pub grace_origin: String,
    /// Used before the trigger.
    pub already_spent_us: u64,
    /// Kept back for the report.
    pub margin_us: u64,
    /// B, from the trigger to D; null: no deadline.
    pub budget_us: Option<u64>,
    /// The first trigger.
    pub reason: ReasonInfo,
    /// All triggers.
    pub triggers: Vec<TriggerInfo>,
    /// The phases in order.
    pub phases: Vec<PhaseInfo>,
    /// Work in flight.
    pub in_flight: InFlightInfo,
    /// `clean`, `degraded` or `forced`.
    pub outcome: String,
    /// The decided exit status.
    pub exit_code: i32,
    /// The signal the process dies by as its last act, by name.
    pub exit_signal: Option<String>,
    /// From the trigger to the end of the last phase.
    pub used_us: u64,
    /// How late the engine's thread first acted on the trigger.
    pub scheduling_delay_us: u64,
    /// How late the process was found to be held up (SIGSTOP, suspend); null: it was not.
    pub rebased_us: Option<u64>,
    /// State of the signal handlers.
    pub handler: Vec<HandlerInfo>,
    /// What the configuration or registration left open.
    pub warnings: Vec<String>,
    /// Who left first. Reports of versions that did not tell are read, and written again, without.
    #[serde(default, skip_serializing_if = "LeaveInfo::is_untold")]
    pub leave: LeaveInfo,
}

/// The program that ran.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HostInfo {
    /// `rust`, `c`, `python`, `node`, ...
    pub language: String,
    /// Of the language runtime.
    pub version: String,
    /// Of graceshut.
    pub graceshut: String,
}

/// Why the shutdown began.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReasonInfo {
    /// `signal`, `stop`, `host_end` or `uncaught`.
    pub kind: String,
    /// The signal's name, for a signal.
    pub signal: Option<String>,
    /// Pid of the sender, when the kernel tells; 0 from another pid namespace.
    pub sender_pid: Option<i32>,
    /// Uid of the sender.
    pub sender_uid: Option<u32>,
    /// The words of `stop()` or of the error.
    pub message: Option<String>,
}

/// One trigger.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TriggerInfo {
    /// Its kind.
    pub kind: String,
    /// The signal's name.
    pub signal: Option<String>,
    /// When, from the first trigger.
    pub at_us: u64,
    /// `started`, `recorded`, `duplicate`, `expedited`, `left` or `ignored`.
    pub action: String,
}

/// One phase.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PhaseInfo {
    /// Its name.
    pub name: String,
    /// `ran` or `skipped`.
    pub state: String,
    /// When it began, from the trigger.
    pub start_us: u64,
    /// What it was given; null: no deadline.
    pub budget_us: Option<u64>,
    /// What it took.
    pub used_us: u64,
    /// What it left over; null: no deadline.
    pub slack_us: Option<u64>,
    /// Its hooks in registration order.
    pub hooks: Vec<HookInfo>,
    /// What it was promised whatever happened before it; 0 without a deadline.
    pub reserve_us: u64,
}

/// One hook.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HookInfo {
    /// Its name.
    pub name: String,
    /// `function`, `exec`, `http`, `delay`, `inflight`, `signal` or `wasm`.
    pub kind: String,
    /// `ok`, `failed`, `cancelled`, `abandoned`, `killed`, `skipped` or `not_started`.
    pub outcome: String,
    /// Why, for `skipped` and `not_started`.
    pub why: Option<String>,
    /// Ended ok after its soft deadline.
    pub late: bool,
    /// It panicked.
    pub panic: bool,
    /// Its outcome does not count.
    pub optional: bool,
    /// The error's own words; for a killed wasm hook where it was.
    pub message: Option<String>,
    /// When it was started, from the trigger; null: never.
    pub start_us: Option<u64>,
    /// What it was given (with extensions); null: no deadline or never started.
    pub budget_us: Option<u64>,
    /// What it took, until it ended or was left.
    pub used_us: u64,
}

/// Work in flight, all groups together.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct InFlightInfo {
    /// When `drain` began.
    pub at_drain_start: Option<u64>,
    /// When it was over.
    pub at_drain_end: Option<u64>,
}

/// Who left first when the plan was over (spec 6.6).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LeaveInfo {
    /// `at_once`, `by_itself` (the program leaves by itself until D), `made_to` (it had not left at D, or
    /// when a signal left at once) or `manual`.
    pub how: String,
    /// When the process began to leave, from the end of the last phase; null: not known when this was written.
    pub after_us: Option<u64>,
    /// Work in flight that its leaving cut off; null as above.
    pub in_flight: Option<u64>,
}

impl LeaveInfo {
    fn is_untold(&self) -> bool {
        self.how.is_empty()
    }
}

/// One managed signal's handler.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HandlerInfo {
    /// The signal's name.
    pub signal: String,
    /// `ours`, `ignored` (inherited as ignored, or ignored by the program since, and left so) or `replaced`.
    pub state: String,
    /// How often it had to be put back.
    pub repairs: u32,
    /// Another handler was in place while nobody looked: signals of that time may have been missed.
    #[serde(default)]
    pub missed: bool,
}

impl Report {
    /// The report as one JSON object in one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|e| format!("{{\"graceshut\":1,\"error\":\"{e}\"}}"))
    }
}
