//! The face of an install: what a program, or a binding on its behalf, calls.

use std::fmt;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::events::{EventView, Subscriber};
use super::{Shared, exit};
use crate::clock::At;
use crate::config::{Config, HookDecl};
use crate::engine::{Event, ExitPlan, HookId, Lane, Reason, ReasonKind, Removal};
use crate::error::{Error, ErrorKind};
use crate::hook::{HookBuilder, HookHandle, HookResult};
use crate::host::OwnHandler;
use crate::inflight::{self, InFlight};
use crate::plan::Preview;
use crate::report::Report;
use crate::signal::{self, Chain, Disarmed};

/// The least grace there is (spec 5.3).
const LEAST_GRACE: Duration = Duration::from_millis(200);
/// How long a host that ends waits for the engine to look at a signal that came before.
const SIGNAL_LIMIT: Duration = Duration::from_millis(20);
/// `si_code` of a signal that no process sent; libc has the name for some platforms only.
const SI_KERNEL: i32 = 0x80;
/// Warnings a binding may add to the report.
const MOST_WARNINGS: usize = 64;
const MOST_GRACE: Duration = Duration::from_secs(366 * 86_400);

/// A handle to the one runtime of this process. Cheap to clone; any thread.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

/// Where the process is in its life (spec 2.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Uninstalled, or a forked child that has not installed yet.
    Idle,
    /// Waiting for a trigger.
    Armed,
    /// In this phase (empty while a held install keeps the first one back, and while a preStop waits for the signal).
    Stopping(String),
    /// Every phase is over.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Idle => f.write_str("idle"),
            State::Armed => f.write_str("armed"),
            State::Stopping(phase) => write!(f, "stopping({phase})"),
            State::Stopped => f.write_str("stopped"),
        }
    }
}

/// A shutdown that is over.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The report, already written where it belongs.
    pub report: Arc<Report>,
    /// How the process is to leave. Returning `exit.code` from main is enough.
    pub exit: ExitPlan,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runtime({})", self.state())
    }
}

impl Runtime {
    pub(super) fn of(shared: Arc<Shared>) -> Runtime {
        Runtime { shared }
    }

    /// Begins the registration of a hook named `name` in `phase` (spec 8.1).
    pub fn hook(&self, phase: &str, name: &str) -> HookBuilder {
        HookBuilder::new(Arc::clone(&self.shared), phase, name)
    }

    /// Registers a hook that needs no code, as the configuration would (spec 8.5).
    ///
    /// # Errors
    /// As the registering methods of [`HookBuilder`].
    pub fn declare(&self, hook: &HookDecl) -> Result<HookHandle, Error> {
        HookBuilder::declared(&self.shared, hook)
    }

    /// Takes the hook with this number out (spec 8.1).
    ///
    /// # Errors
    /// `Closed`.
    pub fn remove(&self, id: u32) -> Result<Removal, Error> {
        self.shared.remove(HookId(id))
    }

    /// Registers a reload hook: runs on a worker for each reload, one reload at a time (spec 3.6).
    ///
    /// # Errors
    /// `Closed`, `BadValue` for an empty name, `Os` when no worker can be made.
    pub fn on_reload(&self, name: &str, f: impl Fn() -> HookResult + Send + Sync + 'static) -> Result<(), Error> {
        self.shared.add_reload(name, Lane::Native, Arc::new(f))
    }

    /// As [`on_reload`](Runtime::on_reload), on the workers that may enter a host.
    ///
    /// # Errors
    /// As [`on_reload`](Runtime::on_reload).
    pub fn on_reload_in_host(&self, name: &str, f: impl Fn() -> HookResult + Send + Sync + 'static) -> Result<(), Error> {
        self.shared.add_reload(name, Lane::Host, Arc::new(f))
    }

    /// Ends a held install (spec 2.5). Never blocks.
    ///
    /// # Errors
    /// `Closed`.
    pub fn ready(&self) -> Result<(), Error> {
        self.shared.check_open()?;
        self.shared.with_engine(|e| e.ready(At::now()));
        self.shared.wake_engine();
        self.shared.events.notify("READY=1");
        Ok(())
    }

    /// Tells that this process accepts connections (spec 4.2).
    pub fn set_serving(&self, serving: bool) {
        self.shared.with_engine(|e| e.set_serving(serving));
    }

    /// Starts the shutdown, or shortens the one under way. Never blocks; inside a hook it is recorded (spec 8.6).
    ///
    /// # Errors
    /// `Closed`; `BadTime` for a grace under 200 ms or over a year.
    pub fn stop(&self, reason: &str, grace: Option<Duration>) -> Result<(), Error> {
        if let Some(g) = grace
            && !(LEAST_GRACE..=MOST_GRACE).contains(&g)
        {
            let message = format!("a grace of {} is not between 200ms and a year", crate::plan::format_duration(g));
            return Err(Error::new(ErrorKind::BadTime, message));
        }
        self.shared.check_open()?;
        let message = (!reason.is_empty()).then(|| reason.to_owned());
        self.shared.trigger(Reason::new(ReasonKind::Stop, message), grace, None);
        Ok(())
    }

    /// A signal that the program took itself (see [`Installer::signals_by_program`](crate::Installer::signals_by_program)): does
    /// what the configuration maps it to, nothing where it does not. `sender` is pid and uid, where the kernel told. Never blocks;
    /// when it returns, [`state`](Runtime::state) is that after the signal.
    ///
    /// # Errors
    /// `Closed`.
    pub fn signal(&self, signo: i32, sender: Option<(i32, u32)>) -> Result<(), Error> {
        self.shared.check_open()?;
        let (pid, uid) = sender.unwrap_or((0, 0));
        let code = if sender.is_some() { libc::SI_USER } else { SI_KERNEL };
        super::dispatch::on_caught(&self.shared, signal::Caught { signo, at: At::now(), code, pid, uid });
        self.shared.wake_engine();
        Ok(())
    }

    /// As the admin endpoint's `/prestop`: readiness turns red, `announce` and `drain` run, then the plan waits for the
    /// signal, at latest until D less what the later phases are promised (spec 7.4). Never blocks, cannot be undone; nothing
    /// new happens where a shutdown is under way.
    ///
    /// # Errors
    /// `Closed`.
    pub fn prestop(&self) -> Result<(), Error> {
        self.shared.check_open()?;
        self.shared.trigger(Reason::new(ReasonKind::Prestop, None), None, None);
        Ok(())
    }

    /// Blocks until announce and drain of a preStop are over, or the whole shutdown is; true then, false when `limit` passed
    /// first. At once true where another trigger began the shutdown.
    ///
    /// # Errors
    /// `WrongThread` inside a hook; `Closed`.
    pub fn wait_drained(&self, limit: Option<Duration>) -> Result<bool, Error> {
        if exit::is_inside_hook() {
            return Err(Error::new(ErrorKind::WrongThread, "wait_drained inside a hook would wait for itself"));
        }
        let until = limit.map_or(At::NEVER, |l| At::now().plus(l));
        loop {
            let seen = self.shared.drained.seen();
            self.shared.check_open()?;
            if self.shared.with_engine(|e| e.is_past_prestop()) {
                return Ok(true);
            }
            if At::now() >= until {
                return Ok(false);
            }
            self.shared.drained.wait(seen, until);
        }
    }

    /// For bindings: the host ends by itself, about to leave with `code`; `error` says that it is an uncaught one.
    /// Never blocks; [`wait`](Runtime::wait) for the phases.
    ///
    /// # Errors
    /// `Closed`.
    pub fn host_end(&self, error: Option<&str>, code: i32) -> Result<(), Error> {
        self.shared.check_open()?;
        let reason = match error {
            Some(message) => Reason::new(ReasonKind::Uncaught, Some(message.to_owned())),
            None => Reason::new(ReasonKind::HostEnd, None),
        };
        self.shared.trigger(reason, None, Some(code));
        Ok(())
    }

    /// For bindings: a handler of the program's own has heard the signal that started the shutdown, and the program now ends with 0,
    /// or with a status that is not known yet. [`host_end`](Runtime::host_end) with 0 says it too. Before the plan is over; never
    /// blocks.
    pub fn host_deals_with_it(&self) {
        self.shared.with_engine(|e| e.host_deals_with_it());
    }

    /// For bindings: the host leaves by itself with `code`, which it will no longer tell when it calls the C library's exit. Blocks
    /// until the report is written, and answers the way out that counts now: the program's 0 stays where it has handled the signal
    /// after whose plan it leaves (spec 6.4), and any other status of a program that leaves after the plan (spec 6.5).
    ///
    /// # Errors
    /// `WrongThread` inside a hook, `Closed`.
    pub fn host_leaves(&self, code: i32) -> Result<ExitPlan, Error> {
        let first = self.wait(None)?.exit;
        if self.shared.with_engine(|e| e.host_came_late()) {
            self.shared.host_leaves(code);
        }
        let plan = self.shared.with_engine(|e| e.finished()).map_or(first, |(_, plan)| plan);
        // A status that the program chose after its shutdown is kept (spec 6.5).
        let is_kept = code != 0 && self.shared.with_engine(|e| e.host_came_late());
        Ok(if is_kept { ExitPlan { code, die_by: None } } else { plan })
    }

    /// For bindings: the host can run nothing any more; its hooks that have not begun are skipped, and its work in flight is given
    /// up (spec 2.6, 6.3).
    pub fn host_closed(&self) {
        let in_flight = if self.shared.config.inflight.value { inflight::total() } else { 0 };
        if self.shared.with_engine(|e| e.give_up(in_flight)) {
            let _ = self.warn(&format!("the host ended with {in_flight} still in flight")); // closed: then there is no report
        }
        self.shared.engine_event(Event::HostClosed);
        self.shared.wake_engine();
    }

    /// Runs the reload hooks as a signal mapped to `reload` would.
    ///
    /// # Errors
    /// `Closed`.
    pub fn reload(&self) -> Result<(), Error> {
        self.shared.check_open()?;
        self.shared.request_reload();
        Ok(())
    }

    /// Blocks until every phase is over and the report is written, at most `limit`. Whoever waits here is the one who
    /// leaves: return `exit.code` from main.
    ///
    /// # Errors
    /// `WrongThread` inside a hook, `Closed`, `Timeout` when `limit` passed first.
    pub fn wait(&self, limit: Option<Duration>) -> Result<Finished, Error> {
        self.wait_until(limit, false)?.ok_or_else(|| Error::new(ErrorKind::Timeout, "the shutdown is not over yet"))
    }

    /// As [`wait`](Runtime::wait), but returns `None` when a signal handler ran on this thread or `limit` passed: a host
    /// that has to look at its own signals does so and calls again.
    ///
    /// # Errors
    /// As [`wait`](Runtime::wait), without `Timeout`.
    pub fn wait_interruptible(&self, limit: Option<Duration>) -> Result<Option<Finished>, Error> {
        self.wait_until(limit, true)
    }

    fn wait_until(&self, limit: Option<Duration>, interruptible: bool) -> Result<Option<Finished>, Error> {
        if exit::is_inside_hook() {
            return Err(Error::new(ErrorKind::WrongThread, "wait inside a hook would wait for itself; use ctx.remaining()"));
        }
        self.shared.check_open()?;
        let until = limit.map_or(At::NEVER, |l| At::now().plus(l));
        let shared = &self.shared;
        if shared.door.wait(until, interruptible, || shared.closed.load(SeqCst)) {
            if shared.leaves() {
                exit::waited();
            }
            return Ok(shared.door.finished().cloned());
        }
        shared.check_open().map(|()| None)
    }

    /// The report, once the shutdown is over.
    #[must_use]
    pub fn report(&self) -> Option<Arc<Report>> {
        self.shared.door.finished().map(|f| Arc::clone(&f.report))
    }

    /// The decided exit, once the shutdown is over.
    #[must_use]
    pub fn exit_plan(&self) -> Option<ExitPlan> {
        self.shared.door.finished().map(|f| f.exit)
    }

    /// For bindings whose exit does not pass through libc's: dies by the signal, and does not return, when that is how the
    /// process is to end (spec 6.4). Returns otherwise, also before the shutdown is over and in manual mode.
    pub fn die_if_decided(&self) {
        if self.shared.is_open() && self.shared.door.is_open() && self.shared.leaves() {
            self.shared.host_leaves(0);
        }
        if let Some(signo) = self.exit_plan().and_then(|plan| plan.die_by)
            && self.shared.leaves()
            && self.shared.check_open().is_ok()
        {
            signal::die_by(signo);
        }
    }

    /// Where the process is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// The first trigger, once there is one.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.shared.reason()
    }

    /// The schedule, best and worst case, before anything happens (spec 5.4).
    #[must_use]
    pub fn plan(&self) -> Preview {
        let c = &self.shared.config;
        let hooks = self.shared.with_engine(|e| (0..e.plan().phases().len()).map(|i| e.hooks_in(i)).collect::<Vec<_>>());
        Preview::of(&c.plan, c.grace.value, c.margin, c.budget, &hooks)
    }

    /// The effective configuration; its `Display` names the origin of each value (spec 12.2).
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The state of every managed signal's handler, as the kernel has it now.
    #[must_use]
    pub fn handlers(&self) -> Vec<crate::report::HandlerInfo> {
        self.shared.handler_state()
    }

    /// For benchmarks: when the engine's thread first acted on the trigger.
    #[doc(hidden)]
    #[must_use]
    pub fn first_action(&self) -> Option<At> {
        let budgeted = |r: &&crate::engine::Record| matches!(r.what, crate::engine::What::Budgeted { .. });
        self.shared.with_engine(|e| e.records().iter().find(budgeted).map(|r| r.at))
    }

    /// The state in one line, for people.
    #[must_use]
    pub fn status(&self) -> String {
        self.shared.status_line()
    }

    /// Where the admin endpoint listens, as a client would name it (the port or pid filled in); `None` without one.
    #[must_use]
    pub fn admin_address(&self) -> Option<String> {
        self.shared.admin_at().map(str::to_owned)
    }

    /// Work in flight without a group name.
    #[must_use]
    pub fn inflight(&self) -> InFlight {
        InFlight::default_group()
    }

    /// Calls `f` for every event, on a thread of its own, one at a time (spec 11.2). Made with the first callback.
    ///
    /// # Errors
    /// `Closed`, `Os` when the thread cannot be made.
    pub fn on_event(&self, f: impl Fn(&EventView) + Send + Sync + 'static) -> Result<(), Error> {
        self.shared.check_open()?;
        self.shared.subscribe(Box::new(f))
    }

    /// For bindings: a sentence for the report's `warnings`. The same one is kept once, and at most 64 are.
    ///
    /// # Errors
    /// `Closed`, `BadValue` for an empty one.
    pub fn warn(&self, message: &str) -> Result<(), Error> {
        self.shared.check_open()?;
        if message.is_empty() {
            return Err(Error::new(ErrorKind::BadValue, "a warning without words"));
        }
        let warnings = &mut self.shared.lock().warnings;
        if warnings.len() < MOST_WARNINGS && !warnings.iter().any(|w| w == message) {
            warnings.push(message.to_owned());
        }
        Ok(())
    }

    /// For bindings: a library was loaded or a server started, which may have taken signals. Looks for other handlers in the moments
    /// that follow, as after a registration, where the host has to look at all (spec 3.5). Any thread; never blocks.
    pub fn look_soon(&self) {
        if self.shared.is_open() && self.shared.watching.ask() {
            self.shared.wake_engine();
        }
    }

    /// For bindings: whether the program has a handler of its own for `signo` that hears of the signal too. As
    /// [`Host::has_own_handler`](crate::Host::has_own_handler) (either is enough), for bindings that are told of changes or that
    /// cannot ask; the last call for a signal counts. Any thread, at any time before the plan is over; never blocks (spec 6.6).
    ///
    /// # Errors
    /// `Closed`, `BadValue` for what is no signal's number.
    pub fn set_own_handler(&self, signo: i32, has: OwnHandler) -> Result<(), Error> {
        self.shared.check_open()?;
        self.shared.by_itself.set_own_handler(signo, has)
    }

    /// For bindings that wait for the program themselves, because a thread of theirs always stands in `wait`: the program was given
    /// its time and is made to leave now. Writes the report once more; once, after the plan. Any thread; blocks as long as the
    /// report takes (spec 6.6).
    ///
    /// # Errors
    /// `Closed`.
    pub fn made_to_leave(&self) -> Result<(), Error> {
        self.shared.check_open()?;
        self.shared.made_to_leave();
        Ok(())
    }

    /// For bindings whose shim is told that somebody set another handler: puts ours on top again, chaining to what is there.
    ///
    /// # Errors
    /// `Closed`, `BadValue` for a signal that is not managed, `Os`.
    pub fn rearm(&self, signo: i32, chain: Chain) -> Result<(), Error> {
        self.shared.check_open()?;
        signal::rearm(signo, chain)
    }

    /// Ends the install: handlers back (where the kernel still holds ours), threads ended, this handle and its hooks
    /// closed (spec 2.1, 3.7). For manual mode and tests; a shutdown under way cannot be undone.
    ///
    /// # Errors
    /// `Closed`; `TooLate` while stopping (unless in manual mode and over); `WrongThread` inside a hook.
    pub fn uninstall(&self) -> Result<Vec<Disarmed>, Error> {
        if exit::is_inside_hook() {
            return Err(Error::new(ErrorKind::WrongThread, "uninstall inside a hook; call it after wait"));
        }
        self.shared.check_open()?;
        match self.state() {
            State::Stopping(_) => Err(Error::new(ErrorKind::TooLate, "a shutdown is under way; wait for it first")),
            State::Stopped if self.shared.leaves() => Err(Error::new(ErrorKind::TooLate, "the process is leaving")),
            _ => Ok(self.shared.close()),
        }
    }
}

impl Shared {
    pub(super) fn state(&self) -> State {
        if !self.is_open() {
            return State::Idle;
        }
        let core = self.lock();
        if core.engine.finished().is_some() {
            return State::Stopped;
        }
        if !core.engine.is_stopping() {
            return State::Armed;
        }
        let phase = core.engine.current_phase().and_then(|i| core.engine.plan().phases().get(i));
        State::Stopping(phase.map_or_else(String::new, |p| p.name.clone()))
    }

    pub(super) fn trigger(&self, reason: Reason, grace: Option<Duration>, host_code: Option<i32>) {
        if matches!(reason.kind, ReasonKind::HostEnd | ReasonKind::Uncaught) {
            self.let_a_signal_be_first();
            if self.door.is_finished() {
                // It leaves by itself (spec 6.6).
                self.it_leaves();
            }
        }
        if reason.kind == ReasonKind::HostEnd && host_code == Some(0) {
            let started_by = self.with_engine(|e| e.started_by());
            if started_by.is_some_and(|signo| self.has_own_handler(signo)) {
                self.with_engine(|e| e.host_deals_with_it());
            }
        }
        self.reload.stop_wins();
        self.engine_event(Event::Trigger { reason, at: At::now(), grace, host_code });
        self.wake_engine();
    }

    /// A program that ends because of a signal (its own listener calls exit) does so in the same instant as the engine's
    /// thread learns of it: the signal came first and is the reason (spec 2.2). One that is not mapped to stop costs the limit.
    fn let_a_signal_be_first(&self) {
        if !signal::pending() {
            return;
        }
        let limit = At::now().plus(SIGNAL_LIMIT);
        while self.state() == State::Armed && At::now() < limit {
            self.wake_engine();
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn subscribe(self: &Arc<Self>, f: Subscriber) -> Result<(), Error> {
        if !self.events.subscribe(f) {
            return Ok(());
        }
        let shared = Arc::clone(self);
        let thread = crate::process::thread::spawn("gs-events", 0, Box::new(move || shared.deliver_events()))?;
        *self.events_thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    fn deliver_events(&self) {
        signal::block_all_but(None);
        while !self.closed.load(SeqCst) {
            let seen = self.events.wake.seen();
            while let Some(event) = self.events.next() {
                for f in self.events.subscribers() {
                    // A callback that panics loses this event, not the thread.
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(&event)));
                }
            }
            self.events.wake.wait(seen, At::NEVER);
        }
    }
}
