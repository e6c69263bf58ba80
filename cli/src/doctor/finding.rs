//! What doctor finds, and every code it knows: the list in docs/doctor.md is tested against this one.

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing; does not change the exit status.
    Note,
    /// Work can be lost, or a stop takes longer than it has to.
    Warning,
    /// A graceful shutdown cannot work like this.
    Error,
}

impl Level {
    /// The word, also SARIF's.
    pub fn word(self) -> &'static str {
        match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One thing doctor looks for.
#[derive(Debug)]
pub struct Rule {
    /// The code it can be silenced by.
    pub code: &'static str,
    /// How bad.
    pub level: Level,
    /// In a sentence.
    pub what: &'static str,
}

const fn rule(code: &'static str, level: Level, what: &'static str) -> Rule {
    Rule { code, level, what }
}

use Level::{Error, Note, Warning};

/// Every code.
pub const RULES: &[Rule] = &[
    rule("shell-form", Error, "CMD or ENTRYPOINT in shell form: a shell is PID 1 and passes no signal on"),
    rule("shell-no-exec", Error, "a shell starts the program without exec, stays in front of it and passes no signal on"),
    rule("script-no-exec", Error, "the entrypoint script starts the program without exec"),
    rule("npm-wrapper", Warning, "npm, yarn, pnpm or npx stands between the signal and the program"),
    rule("stop-signal", Error, "the stop signal cannot be caught, or is none"),
    rule("nginx-fast-stop", Warning, "TERM makes nginx drop requests; QUIT is its graceful stop"),
    rule("pid1-no-init", Note, "an interpreter as PID 1: the kernel drops TERM unless the program handles it"),
    rule("dev-server", Warning, "a development server or reloader in front of the program"),
    rule("gunicorn-grace", Warning, "gunicorn's --graceful-timeout is not below the time it is given"),
    rule("uvicorn-unbounded", Warning, "uvicorn waits for open connections without a limit"),
    rule("uvicorn-grace", Warning, "uvicorn's --timeout-graceful-shutdown is not below the time it is given"),
    rule("celery-grace", Warning, "celery's warm shutdown has no limit, and the time it is given was never thought about"),
    rule("uwsgi-die-on-term", Error, "TERM makes uWSGI reload instead of stop"),
    rule("plan-grace", Error, "graceshut counts on more grace than the platform gives"),
    rule("grace-zero", Error, "no time at all between the signal and KILL"),
    rule("kube-prestop-grace", Error, "preStop uses up the grace period, of which it is a part"),
    rule("kube-prestop-sleep", Error, "preStop runs sleep (or a shell) in an image that has none"),
    rule("kube-readiness", Warning, "a container that takes traffic has no readinessProbe"),
    rule("kube-no-delay", Warning, "traffic still comes when the pod is told to stop, and nothing waits for it"),
    rule(
        "kube-sidecar-order",
        Warning,
        "a proxy or telemetry sidecar is stopped at the same time as the program that needs it",
    ),
    rule("systemd-kill-mode", Warning, "KillMode leaves processes behind"),
    rule("systemd-send-sigkill", Warning, "nothing ends a service that hangs"),
    rule("systemd-stop-kill", Error, "ExecStop kills without asking"),
    rule("systemd-notify-access", Warning, "notifications come from a process that systemd does not listen to"),
    rule("systemd-type-notify", Note, "the program can say when it is ready and stopping, and is not asked to"),
    rule("supervisord-group", Error, "supervisord signals a shell or npm, and not the program behind it"),
    rule("supervisord-orphans", Warning, "KILL ends the parent, and its workers stay"),
    rule("pid-stopped", Warning, "the process is stopped: signals wait until it goes on"),
    rule("pid-zombie", Warning, "the process has ended, and its parent has not asked how"),
    rule("pid-term-pid1", Error, "PID 1 without a handler for TERM: the kernel drops the signal"),
    rule("pid-term-default", Warning, "TERM ends the process at once"),
    rule("pid-term-ignored", Error, "TERM is ignored"),
    rule("pid-term-blocked", Note, "TERM is blocked in every thread"),
    rule("pid-term-pending", Error, "TERM was sent, and nobody takes it"),
    rule("pid-shell", Error, "a shell stands between the signal and the program"),
    rule("pid-npm", Warning, "npm, yarn or pnpm stands between the signal and the program"),
    rule("pid-handler-replaced", Error, "another handler stands where graceshut's was"),
    rule("pid-handler-foreign", Warning, "a library's handler stands where the language runtime's belongs"),
    rule("pid-children", Note, "the signal does not reach its children"),
    rule("pid-grace", Error, "the process counts on more grace than the platform usually gives"),
];

/// The rule of a code.
pub fn rule_of(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|r| r.code == code)
}

/// Something found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// See [`RULES`].
    pub code: &'static str,
    /// The file, as it was named; empty for a process.
    pub file: String,
    /// From 1; 0 for a process.
    pub line: usize,
    /// Why it matters, here.
    pub why: String,
    /// Exactly what to write instead.
    pub fix: String,
}

impl Finding {
    /// Its level, from its code.
    pub fn level(&self) -> Level {
        rule_of(self.code).map_or(Level::Warning, |r| r.level)
    }
}
