//! What can be asked for at `install`: the same names in code, in `graceshut.toml` and as `GRACESHUT_*` (spec 12).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::admin::{AdminAt, Token};
use crate::plan::PhasePatch;

/// Everything a program, a file or the environment can say. `None` and empty mean "not said here".
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Options {
    /// Wall time from the trigger until something outside kills the process.
    pub grace: Option<Duration>,
    /// The same for host end and `stop()`, where nothing outside waits (spec 2.7).
    pub grace_normal: Option<NormalGrace>,
    /// Part of the grace used before the trigger, outside graceshut (a preStop sleep).
    pub already_spent: Option<Duration>,
    /// How long readiness is red before work is refused (spec 4.2).
    pub announce_delay: Option<AnnounceDelay>,
    /// This process accepts connections; server adapters set it.
    pub serving: Option<bool>,
    /// What each signal does; signals not named keep the default map of spec 3.4.
    pub signals: Vec<SignalRule>,
    /// What a second signal does (spec 7.3).
    pub repeat: Option<Repeat>,
    /// How the process leaves when the plan is over (spec 6.4, 6.5).
    pub exit: Option<Exit>,
    /// Exit status of a clean shutdown after a signal (default 0; INT dies by INT unless this is set).
    pub exit_code_clean: Option<i32>,
    /// Exit status that replaces 0 when degraded (default 1).
    pub exit_code_degraded: Option<i32>,
    /// Exit status when forced (default 128 + signal, 70 without one).
    pub exit_code_forced: Option<i32>,
    /// Shortens the time the host's own exit may take.
    pub exit_cap: Option<Duration>,
    /// Whether a program that handles the signal itself may leave by itself until D (spec 6.6).
    pub leave: Option<Leave>,
    /// `false` is the only way to do without the hard end (spec 5.9).
    pub watchdog: Option<bool>,
    /// Most hook workers at a time (spec 5.6).
    pub max_workers: Option<u32>,
    /// Where the report goes.
    pub report: Option<ReportTo>,
    /// Ask systemd for more time when a hook extends beyond D (spec 5.8).
    pub systemd_extend: Option<bool>,
    /// Wait for work in flight in `drain` (default true).
    pub inflight: Option<bool>,
    /// Defer action on a trigger until `ready()`, at most 1 s (spec 2.5).
    pub hold: Option<bool>,
    /// Where the admin endpoint listens; nowhere by default.
    pub admin: Option<AdminAt>,
    /// What `/prestop` asks of peers that are neither on loopback nor of the same user.
    pub admin_token: Option<Token>,
    /// The end of the parent process is a trigger (spec 2.3).
    pub parent_death: Option<bool>,
    /// The end of stdin (a closed pipe or socket, a terminal hung up) is a trigger; nothing is ever read from it.
    pub stdin_eof: Option<bool>,
    /// Changes to the default plan and custom phases.
    pub phases: Vec<(String, PhasePatch)>,
    /// Hooks declared as data.
    pub hooks: Vec<HookDecl>,
}

/// `grace_normal`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NormalGrace {
    /// As the grace of a signal.
    SameAsGrace,
    /// This much.
    Limited(Duration),
    /// No deadline, and no watchdog, until a signal arrives.
    Unlimited,
}

/// `announce_delay`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnnounceDelay {
    /// 5 s for a serving process on Kubernetes after TERM, else none.
    Auto,
    /// This much, but never for INT or host end.
    Fixed(Duration),
}

/// What one signal does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalRule {
    /// The signal's number.
    pub signo: i32,
    /// What it does.
    pub action: Action,
    /// A grace of its own (a power failure, say).
    pub grace: Option<Duration>,
}

/// The actions of spec 3.4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Starts the shutdown.
    Stop,
    /// Runs the reload hooks.
    Reload,
    /// Says the state, as an event and a line on stderr.
    Status,
    /// Nothing.
    Ignore,
    /// The signal is not touched.
    Default,
}

/// The presets of spec 7.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Repeat {
    /// Second signal cuts to the reserves, third leaves at once.
    #[default]
    Expedite,
    /// Second signal leaves at once.
    Interactive,
    /// A repeated TERM is ignored.
    Orchestrated,
}

/// How the process leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Exit {
    /// Through the host's own exit, with the decided status.
    #[default]
    Host,
    /// As `Host`, but a clean shutdown dies by the signal that started it.
    Reraise,
    /// Never: `wait()` returns the report and the program does what it likes.
    Manual,
}

/// Who leaves first after a signal, the program or graceshut (spec 6.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Leave {
    /// `ByItself` where the program has a handler of its own for the signal and nothing waits in `wait`; else `AtOnce`.
    #[default]
    Auto,
    /// The host's exit is called as soon as the plan is over.
    AtOnce,
    /// The program leaves by itself; the host's exit is called at D, and not at all when the program has begun to leave.
    ByItself,
}

/// Where the report goes (spec 11.1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ReportTo {
    /// One human line on stderr (`"stderr"`).
    #[default]
    Line,
    /// The JSON object on stderr (`"stderr:json"`).
    StderrJson,
    /// The JSON object to a file; `%p` in the path is the pid.
    Path(PathBuf),
    /// The JSON object to an open descriptor (`"fd:3"`).
    Fd(i32),
    /// The JSON object to Kubernetes' termination log (`"termination-log"`).
    TerminationLog,
    /// Nowhere.
    None,
}

/// A hook declared in the configuration (spec 8.5): no code needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookDecl {
    /// The phase it belongs to.
    pub phase: String,
    /// Its name in reports; the kind's name when empty.
    pub name: String,
    /// Its own limit.
    pub timeout: Option<Duration>,
    /// Hooks of the same phase it waits for.
    pub after: Vec<String>,
    /// Keeps it out of the result.
    pub optional: bool,
    /// A child that is re-armed has it too (spec 10.2).
    pub inherit: bool,
    /// What it does.
    pub kind: DeclKind,
}

impl HookDecl {
    /// The name in reports: as given, else the kind's; for WebAssembly that of its file, without the ending.
    #[must_use]
    pub fn name_or_kind(&self) -> &str {
        match &self.kind {
            _ if !self.name.is_empty() => &self.name,
            DeclKind::Exec(_) => "exec",
            DeclKind::Http(_) => "http",
            DeclKind::Delay(_) => "delay",
            DeclKind::Inflight(_) => "inflight",
            DeclKind::Signal(_) => "signal",
            DeclKind::Wasm(spec) => {
                let path = spec.as_str().or_else(|| spec.get("path")?.as_str());
                path.and_then(|p| Path::new(p).file_stem()?.to_str()).unwrap_or("wasm")
            }
        }
    }
}

/// The kinds that need no code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeclKind {
    /// A command.
    Exec(ExecSpec),
    /// One HTTP request.
    Http(HttpSpec),
    /// A pause, cut like everything else.
    Delay(Duration),
    /// Waits until a group of work in flight is empty.
    Inflight(String),
    /// Sends a signal.
    Signal(SignalSpec),
    /// Runs WebAssembly: a path, or a table of path and grants, read by whoever runs it (`docs/wasm-hooks.md`).
    Wasm(serde_json::Value),
}

/// A command run as a hook, in a process group of its own; TERM at the soft deadline, KILL at the hard one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExecSpec {
    /// Program and arguments; the program is looked up in PATH.
    pub argv: Vec<String>,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
    /// Working folder; the process's own when `None`.
    pub dir: Option<PathBuf>,
}

/// One HTTP request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HttpSpec {
    /// `GET`, `PUT`, `POST`, `DELETE`, `PATCH` or `HEAD`; `POST` when empty.
    pub method: String,
    /// `http://…`, or `https://…` in builds with the `tls` feature.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Option<String>,
    /// Statuses that count as success besides 2xx (404 for a deregistration that already happened, say).
    pub accept: Vec<u16>,
}

/// A signal sent as a hook.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SignalSpec {
    /// The receiver; from a pidfile when `None`.
    pub pid: Option<i32>,
    /// A file with the receiver's pid, read when the hook runs.
    pub pidfile: Option<PathBuf>,
    /// The signal's number.
    pub signo: i32,
    /// Wait until the receiver is gone.
    pub wait: bool,
}
