//! The engine in a real process: threads, clock, handlers, exit. The only room with threads.
//!
//! | thread | made | signals | may block |
//! |---|---|---|---|
//! | `gs-engine` | install | managed ones unblocked | on the wake word only |
//! | `gs-watchdog` | install | all blocked | on its deadline only |
//! | `gs-report` | install | all blocked | on writing the report |
//! | `gs-hook` | install (one), kept ones at registration, more when needed | the host's mask | yes |
//! | `gs-admin` | install, where asked for | all blocked | in `poll` |
//! | `gs-events` | with the first event callback | all blocked | in that callback |
//!
//! One lock guards the engine and the bodies. It is held for a state change, never across a call into anybody's code.

mod admin;
mod api;
mod by_itself;
mod dispatch;
mod events;
mod exit;
mod install;
mod join;
mod last_word;
mod leave;
mod looks;
mod reload;
mod reporter;
mod watchdog;
mod workers;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use api::{Finished, Runtime, State};
pub use events::EventView;
pub use exit::exit_now;
pub(crate) use exit::is_inside_hook;
pub use install::{Installer, current, install};

use crate::clock::At;
use crate::config::Config;
use crate::engine::{Engine, Event, HookId, HookSpec, Kind, Lane, Reason, Removal};
use crate::error::{Error, ErrorKind};
use crate::hook::{Body, Ctx};
use crate::host::Host;
use crate::process;
use crate::signal;
use crate::wake::Wake;
use by_itself::ByItself;
use leave::Door;
use reload::Reload;
use watchdog::Watchdog;
use workers::{Job, Workers};

/// A hook's body and context, until it is started.
struct Slot {
    body: Option<Body>,
    ctx: Arc<Ctx>,
}

/// What the one lock guards.
pub(crate) struct Core {
    engine: Engine,
    slots: Vec<Option<Slot>>,
    /// In-flight hooks that were started and wait for zero.
    waiting_for_zero: Vec<(HookId, Option<crate::inflight::InFlight>)>,
    warnings: Vec<String>,
}

/// One install.
pub(crate) struct Shared {
    config: Config,
    host: Box<dyn Host>,
    pid: u32,
    generation: u32,
    run_id: String,
    core: Mutex<Core>,
    native: Arc<Workers>,
    host_lane: Arc<Workers>,
    watchdog: Arc<Watchdog>,
    watchdog_on: bool,
    door: Door,
    by_itself: ByItself,
    watching: looks::Watching,
    reload: Reload,
    pub(crate) events: events::Events,
    closed: AtomicBool,
    /// Wakes who waits for a preStop's drain.
    drained: Wake,
    /// Leave without the host's finalisers.
    at_once: AtomicBool,
    /// Threads that run nobody else's code; `uninstall` waits for their end.
    threads: Mutex<Vec<JoinHandle<()>>>,
    events_thread: Mutex<Option<JoinHandle<()>>>,
    armed: Mutex<Vec<signal::Armed>>,
    admin: OnceLock<admin::Admin>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while this install is the living one of this process; a forked child never touches the parent's locks.
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(SeqCst) && self.generation == process::fork::generation()
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_open() && self.pid == process::raw::pid() {
            return Ok(());
        }
        let why = if self.closed.load(SeqCst) {
            "this runtime was uninstalled"
        } else {
            "this runtime belongs to the parent process"
        };
        Err(Error::new(ErrorKind::Closed, format!("{why}; call install again")))
    }

    /// Runs `f` on the engine under the lock. In a forked child, where the lock may never be released, answers the default.
    pub(crate) fn with_engine<T: Default>(&self, f: impl FnOnce(&mut Engine) -> T) -> T {
        if !self.is_open() {
            return T::default();
        }
        f(&mut self.lock().engine)
    }

    /// Tells the engine something and wakes its thread if that left work to do.
    pub(crate) fn engine_event(&self, event: Event) {
        if !self.is_open() {
            return;
        }
        let wake = {
            let mut core = self.lock();
            let before = core.engine.next_deadline();
            core.engine.handle(event, At::now());
            core.engine.has_commands() || core.engine.next_deadline() < before
        };
        if wake {
            self.wake_engine();
        }
        self.events.bell_if_heard();
    }

    pub(crate) fn wake_engine(&self) {
        signal::wake().notify();
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        self.with_engine(|e| e.reason().cloned())
    }

    pub(crate) fn language(&self) -> &str {
        self.host.language()
    }

    pub(crate) fn run_id(&self) -> &str {
        &self.run_id
    }

    fn pool(&self, lane: Lane) -> &Arc<Workers> {
        if lane == Lane::Host { &self.host_lane } else { &self.native }
    }

    /// Runs `f` on a worker of that lane.
    pub(crate) fn on_lane(&self, lane: Lane, phase: usize, f: Box<dyn FnOnce() + Send>) {
        let pool = self.pool(lane);
        pool.add(phase, Job::Call(f));
        pool.ring();
        // Should nobody be free, the engine's thread makes one more.
        self.wake_engine();
    }

    #[allow(clippy::too_many_arguments)] // the fields of a registration, said once, by the builder
    pub(crate) fn register(
        this: &Arc<Shared>,
        phase: &str,
        name: &str,
        timeout: Option<Duration>,
        after: Vec<String>,
        optional: bool,
        kind: Kind,
        body: Body,
    ) -> Result<HookId, Error> {
        this.check_open()?;
        let index = this.config.plan.find(phase)?;
        if kind.lane != Lane::Engine {
            this.pool(kind.lane).expect_hook(index)?;
        }
        let (id, wake) = {
            let mut core = this.lock();
            let before = core.engine.next_deadline();
            // The slot first: a hook registered into the running phase is started within `register`.
            let next = HookId(u32::try_from(core.slots.len()).map_err(|_| Error::new(ErrorKind::BadValue, "too many hooks"))?);
            let ctx = Ctx::new(Arc::clone(this), next, kind, index, phase.to_owned(), name.to_owned());
            core.slots.push(Some(Slot { body: Some(body), ctx }));
            let spec = HookSpec { phase: index, name: name.to_owned(), timeout, after, optional, kind };
            match core.engine.register(spec, At::now()) {
                Ok(id) => (id, core.engine.has_commands() || core.engine.next_deadline() < before),
                Err(e) => {
                    // What the user gave is dropped outside the lock: its destructor is somebody's code.
                    let refused = core.slots.pop();
                    drop(core);
                    drop(refused);
                    return Err(e);
                }
            }
        };
        if wake || this.watching.ask() {
            this.wake_engine();
        }
        Ok(id)
    }

    pub(crate) fn remove(&self, id: HookId) -> Result<Removal, Error> {
        self.check_open()?;
        let (removal, slot) = {
            let mut core = self.lock();
            let removal = core.engine.remove(id, At::now());
            let slot =
                if removal == Removal::Removed { core.slots.get_mut(id.0 as usize).and_then(Option::take) } else { None };
            (removal, slot)
        };
        drop(slot);
        self.wake_engine();
        Ok(removal)
    }
}
