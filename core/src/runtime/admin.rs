//! The admin endpoint's side of the runtime: opened at install, answered from the engine's state (spec 2.3, 7.4).

use std::sync::Arc;

use serde::Serialize;

use super::Shared;
use crate::admin::{Desk, Doorbell, Endpoint, Parent, Server, SocketFile, Stdin};
use crate::clock::{At, micros};
use crate::config::AdminAt;
use crate::engine::{Reason, ReasonKind};
use crate::error::Error;
use crate::inflight;
use crate::report::{HandlerInfo, ReasonInfo};

/// Hooks named in a status; more are counted.
const NAMED: usize = 64;

/// What an install keeps of its endpoint.
pub(super) struct Admin {
    doorbell: Doorbell,
    file: SocketFile,
    at: Option<String>,
}

/// The state, for programs.
#[derive(Serialize)]
struct Status {
    graceshut: u32,
    pid: u32,
    state: &'static str,
    /// The phase that runs.
    phase: Option<String>,
    ready: bool,
    /// A preStop has drained, and the signal is awaited.
    waiting_for_signal: bool,
    reason: Option<ReasonInfo>,
    /// Since the trigger.
    since_us: Option<u64>,
    /// Until D.
    remaining_us: Option<u64>,
    grace_us: u64,
    grace_origin: String,
    hooks: usize,
    running: Vec<Running>,
    in_flight: u64,
    handler: Vec<HandlerInfo>,
    outcome: Option<&'static str>,
    exit_code: Option<i32>,
}

#[derive(Serialize)]
struct Running {
    phase: String,
    name: String,
    remaining_us: Option<u64>,
}

struct FrontDesk(Arc<Shared>);

impl Desk for FrontDesk {
    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn is_ready(&self) -> bool {
        self.0.with_engine(|e| e.is_ready())
    }

    fn status(&self) -> String {
        self.0.status_json()
    }

    fn prestop(&self) {
        self.0.trigger(Reason::new(ReasonKind::Prestop, None), None, None);
    }

    fn is_past_prestop(&self) -> bool {
        self.0.with_engine(|e| e.is_past_prestop())
    }

    fn parent_died(&self) {
        self.0.trigger(Reason::new(ReasonKind::ParentDeath, None), None, None);
    }

    fn stdin_ended(&self) {
        self.0.trigger(Reason::new(ReasonKind::StdinEof, None), None, None);
    }
}

impl Shared {
    /// Opens what the configuration asks for; nothing is served before [`serve_admin`](Shared::serve_admin). `parents` is where
    /// the parent of a forked child listened: a child that cannot have the same address does without.
    pub(super) fn open_admin(&self, parents: Option<&AdminAt>) -> Result<Option<Server>, Error> {
        let config = &self.config;
        let warn = |warning: String| self.lock().warnings.push(warning);
        let endpoint = match Endpoint::open(&config.admin.value) {
            Ok(endpoint) => endpoint,
            Err((_, true)) if parents == Some(&config.admin.value) => {
                warn(format!("admin = \"{}\" is served by the parent process, and not by this one", config.admin.value));
                None
            }
            Err((e, _)) => return Err(e),
        };
        let parent = if config.parent_death.value { Parent::watch()? } else { None };
        if config.parent_death.value && parent.is_none() {
            warn("parent_death: this process has no parent that it can see".to_owned());
        }
        let stdin = if config.stdin_eof.value { Stdin::watch() } else { None };
        if config.stdin_eof.value && stdin.is_none() {
            warn("stdin_eof: stdin is closed".to_owned());
        }
        if endpoint.is_none() && parent.is_none() && stdin.is_none() {
            return Ok(None);
        }
        let (at, file) = (endpoint.as_ref().map(|e| e.at().to_owned()), endpoint.as_ref().map(Endpoint::file));
        let file = file.unwrap_or_default();
        let made = Server::new(endpoint, parent, stdin, config.admin_token.value.clone());
        let (server, doorbell) = made.inspect_err(|_| file.unlink())?;
        // Once per install.
        let _ = self.admin.set(Admin { doorbell, file, at });
        Ok(Some(server))
    }

    /// The thread's body.
    pub(super) fn serve_admin(self: Arc<Shared>, server: Server) {
        server.run(&FrontDesk(self));
    }

    /// Where the endpoint listens, as a client would name it.
    pub(super) fn admin_at(&self) -> Option<&str> {
        self.admin.get()?.at.as_deref()
    }

    /// Ends the thread's sleep, so that it sees that the runtime is closed.
    pub(super) fn ring_admin(&self) {
        if let Some(admin) = self.admin.get() {
            admin.doorbell.ring();
        }
    }

    /// Takes the socket file away.
    pub(super) fn unlink_admin(&self) {
        if let Some(admin) = self.admin.get() {
            admin.file.unlink();
        }
    }

    fn status_json(&self) -> String {
        // Before the lock: a look at the loader's list.
        let handler = self.handler_state();
        let core = self.lock();
        let e = &core.engine;
        let now = At::now();
        let left = |until: At| if until.is_never() { None } else { Some(micros(until - now)) };
        let name_of = |i: usize| e.plan().phases().get(i).map_or_else(String::new, |p| p.name.clone());
        let running = e.hook_ids().filter_map(|id| Some((e.hook_spec(id)?, e.hard_deadline(id)?))).take(NAMED);
        let finished = e.finished();
        let status = Status {
            graceshut: 1,
            pid: self.pid,
            state: match (finished, e.is_stopping()) {
                (Some(_), _) => "stopped",
                (None, true) => "stopping",
                (None, false) => "armed",
            },
            phase: e.current_phase().map(name_of),
            ready: e.is_ready(),
            waiting_for_signal: e.waits_after_prestop(),
            reason: e.reason().map(ReasonInfo::of),
            since_us: e.window().map(|(t0, _)| micros(now - t0)),
            remaining_us: e.deadline().and_then(left),
            grace_us: micros(self.config.grace.value),
            grace_origin: self.config.grace.origin.to_string(),
            hooks: e.hook_ids().count(),
            running: running
                .map(|(spec, hard)| Running { phase: name_of(spec.phase), name: spec.name.clone(), remaining_us: left(hard) })
                .collect(),
            in_flight: inflight::total(),
            handler,
            outcome: finished.map(|(outcome, _)| outcome.word()),
            exit_code: finished.map(|(_, exit)| exit.code),
        };
        drop(core);
        serde_json::to_string(&status).unwrap_or_default()
    }
}
