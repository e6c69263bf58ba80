//! Installing: the only moment at which handlers and threads come into being (spec 2.1, 2.4, 2.5).

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::by_itself::ByItself;
use super::dispatch::Dispatch;
use super::events::Events;
use super::leave::Door;
use super::looks::Watching;
use super::reload::Reload;
use super::watchdog::Watchdog;
use super::workers::{Workers, join_all_but};
use super::{Core, Runtime, Shared, State, exit, join, reporter};
use crate::admin::Server;
use crate::clock::At;
use crate::config::{self, Action, Config, Exit, Options, Sources};
use crate::engine::{Engine, ExitRules, Settings};
use crate::error::{Error, ErrorKind};
use crate::hook::HookBuilder;
use crate::host::{Host, Native};
use crate::inflight;
use crate::plan::{ANNOUNCE, DRAIN};
use crate::process;
use crate::report::Notify;
use crate::signal::{self, Managed};
use crate::wake::Wake;

/// The living install of this process, leaked: a forked child or a late destructor may look at it at any time.
static CURRENT: AtomicPtr<Shared> = AtomicPtr::new(std::ptr::null_mut());
/// Pid of the process in which an install or uninstall is under way.
static BUSY: AtomicU32 = AtomicU32::new(0);
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Stacks of the threads that run nobody else's code.
const OWN_STACK: usize = 128 * 1024;
/// The stack of the thread that calls the host's exit; only what is touched costs memory.
const EXIT_STACK: usize = 4 * 1024 * 1024;
/// How long `uninstall` waits for threads to end.
const END_LIMIT: Duration = Duration::from_secs(1);
/// As [`END_LIMIT`], for the thread that calls event callbacks.
const EVENTS_LIMIT: Duration = Duration::from_millis(100);
/// How long a second `install` waits for a first one on another thread.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// Installs for a Rust program: signal handlers, threads, the default plan changed by `options`, file and environment.
///
/// Any thread, once; a second call with options that agree returns the same runtime. Blocks for the making of threads.
///
/// # Errors
/// `BadConfig`, `BadTime`, `BadPlan`, `PlanDoesNotFit`, `NotUtf8` from the configuration, `Disagree` naming the first
/// difference to an earlier install, `Os` when handlers or threads cannot be made (nothing stays installed then).
pub fn install(options: Options) -> Result<Runtime, Error> {
    Installer::new(Box::new(Native { language: "rust" })).install(options)
}

/// The runtime of this process, if one is installed.
#[must_use]
pub fn current() -> Option<Runtime> {
    current_shared().map(Runtime::of)
}

pub(super) fn current_shared() -> Option<Arc<Shared>> {
    let p = CURRENT.load(SeqCst);
    if p.is_null() {
        return None;
    }
    // SAFETY: a non-null CURRENT came from `Arc::into_raw` and its count is never given back.
    unsafe { Arc::increment_strong_count(p) };
    // SAFETY: the count taken above belongs to this new Arc.
    let shared = unsafe { Arc::from_raw(p) };
    (shared.is_open() && shared.pid == process::raw::pid()).then_some(shared)
}

/// The parent's install, in a forked child that has none of its own; only what never changes may be read.
fn inherited() -> Option<&'static Shared> {
    // SAFETY: a non-null CURRENT points to a leaked `Shared`.
    unsafe { CURRENT.load(SeqCst).as_ref() }.filter(|s| s.pid != process::raw::pid())
}

/// Installs on behalf of a language.
pub struct Installer {
    host: Box<dyn Host>,
    in_child: bool,
    mask: Option<libc::sigset_t>,
}

struct Busy;

impl Busy {
    fn take() -> Result<Busy, Error> {
        let (me, until) = (process::raw::pid(), At::now().plus(BUSY_LIMIT));
        loop {
            match BUSY.compare_exchange(0, me, SeqCst, SeqCst) {
                Ok(_) => return Ok(Busy),
                // A forked child inherits the word of an install that only its parent goes on with.
                Err(other) if other != me => drop(BUSY.compare_exchange(other, 0, SeqCst, SeqCst)),
                Err(_) if At::now() >= until => {
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        "another thread has been installing for 5 s; call install once",
                    ));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.store(0, SeqCst);
    }
}

impl Installer {
    /// For `host`.
    #[must_use]
    pub fn new(host: Box<dyn Host>) -> Installer {
        Installer { host, in_child: false, mask: None }
    }

    /// For a binding that re-arms a forked child by itself (spec 10.2): declared hooks whose policy is `parent` are left out,
    /// and the service manager, to which the parent is the service, is told nothing.
    #[must_use]
    pub fn in_child(self) -> Installer {
        Installer { in_child: true, ..self }
    }

    /// For a program that is itself about signals (an init, a wrapper): it takes every one on a thread of its own, with all of
    /// them blocked, and hands on what concerns the plan by [`Runtime::signal`]. No handler is installed, no thread of graceshut
    /// takes a signal, and programs that hooks start get `mask`, the one this program was started with. For the life of the
    /// process.
    #[must_use]
    pub fn signals_by_program(self, mask: libc::sigset_t) -> Installer {
        Installer { mask: Some(mask), ..self }
    }

    /// See [`install`].
    ///
    /// # Errors
    /// As [`install`].
    pub fn install(self, options: Options) -> Result<Runtime, Error> {
        let config = config::resolve(options, &Sources::from_process())?;
        let _busy = Busy::take()?;
        if let Some(shared) = current_shared() {
            return match shared.config.difference(&config) {
                None => Ok(Runtime::of(shared)),
                Some(what) => Err(Error::new(
                    ErrorKind::Disagree,
                    format!(
                        "graceshut is already installed with other options: {what}; install once, or with the same options"
                    ),
                )),
            };
        }
        let parents = inherited();
        if parents.is_some() {
            inflight::forget_all();
        }
        let shared = Shared::new(config, self.host, self.in_child);
        join::lead()?;
        let admin = shared.open_admin(parents.map(|p| &p.config.admin.value)).inspect_err(|_| join::resign())?;
        // A signal from here on is kept by the words and found by the engine's first look (spec 2.5).
        shared.arm(self.mask.is_none()).inspect_err(|_| {
            shared.unlink_admin();
            join::resign();
        })?;
        match &self.mask {
            Some(mask) => signal::leave_signals_to_program(mask),
            None if shared.host.language() == "rust" => signal::altstack::keep(),
            None => {}
        }
        // The plan's own hooks come before the engine's thread, which may find a signal at once: no phase is over yet.
        match shared.register_own_hooks(self.in_child).and_then(|()| shared.start_threads(admin)) {
            Ok(()) => {
                exit::register();
                CURRENT.store(Arc::into_raw(Arc::clone(&shared)).cast_mut(), SeqCst);
                Ok(Runtime::of(shared))
            }
            Err(e) => {
                shared.close();
                Err(e)
            }
        }
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        plan: config.plan.clone(),
        grace: config.grace.value,
        grace_normal: config.grace_normal.value,
        already_spent: config.already_spent.value,
        announce_delay: config.announce_delay.value,
        kubernetes: config.kubernetes,
        repeat: config.repeat.value,
        exit: ExitRules {
            exit: config.exit.value,
            clean: config.exit_code_clean.value,
            degraded: config.exit_code_degraded.value,
            forced: config.exit_code_forced.value,
        },
        systemd_extend: config.systemd_extend.value,
    }
}

/// Sends a signal again that was caught and not acted on when the handlers were given back.
fn resend(caught: &signal::Caught, armed: bool) {
    if armed {
        send_to_self(caught.signo);
    }
}

fn send_to_self(signo: i32) {
    let Ok(own) = i32::try_from(process::raw::pid()) else { return };
    // SAFETY: kill takes two integers.
    unsafe { libc::kill(own, signo) };
}

fn run_id(pid: u32) -> String {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{pid:x}-{:x}", wall.as_micros(), GENERATION.fetch_add(1, SeqCst))
}

impl Shared {
    fn new(config: Config, host: Box<dyn Host>, in_child: bool) -> Arc<Shared> {
        let pid = process::raw::pid();
        let mut engine = Engine::new(settings(&config), config.hold.value);
        engine.set_serving(config.serving.value);
        let limit = config.max_workers.value as usize;
        let notify = Notify::from_env(std::env::var_os("NOTIFY_SOCKET").filter(|_| !in_child).as_deref());
        // In manual mode graceshut never ends the process (spec 6.5).
        let watchdog_on = config.watchdog.value && config.exit.value != Exit::Manual;
        Arc::new(Shared {
            host,
            pid,
            generation: process::fork::generation(),
            run_id: run_id(pid),
            core: Mutex::new(Core { engine, slots: Vec::new(), waiting_for_zero: Vec::with_capacity(8), warnings: Vec::new() }),
            native: Workers::new("gs-hook", limit),
            host_lane: Workers::new("gs-host", limit),
            watchdog: Arc::new(Watchdog::new()),
            watchdog_on,
            door: Door::default(),
            by_itself: ByItself::default(),
            watching: Watching::default(),
            reload: Reload::default(),
            events: Events::new(notify),
            closed: AtomicBool::new(false),
            drained: Wake::new(),
            at_once: AtomicBool::new(false),
            threads: Mutex::new(Vec::with_capacity(4)),
            events_thread: Mutex::new(None),
            armed: Mutex::new(Vec::new()),
            admin: OnceLock::new(),
            config,
        })
    }

    fn arm(&self, by_handler: bool) -> Result<(), Error> {
        let managed: Vec<Managed> = self
            .config
            .signals
            .iter()
            .filter(|s| by_handler && s.action != Action::Default)
            .map(|s| Managed {
                signo: s.signo,
                chain: self.host.chain(s.signo),
                even_if_ignored: s.explicit || s.signo == libc::SIGTERM,
            })
            .collect();
        let armed = signal::arm(&managed)?;
        // One that is mapped to a reload or to the status is graceshut's: each of them counts.
        let handed_on = |s: &&config::SignalSetting| matches!(s.action, Action::Stop | Action::Ignore) || s.auto;
        let signals = || self.config.signals.iter().filter(|_| by_handler).filter(handed_on);
        // HUP without a word of the user's is acted on as soon as it comes: what it means is not known before.
        signal::hand_on::keep_blocked(signals().map(|s| s.signo), signals().filter(|s| !s.auto).map(|s| s.signo));
        for a in armed.iter().filter(|a| a.inherited_ignored && a.taken) {
            let name = signal::name_of(a.signo).unwrap_or("?");
            self.lock().warnings.push(format!("{name} was inherited as ignored and is handled all the same"));
        }
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = armed;
        inflight::set_word(inflight::RUNNING);
        Ok(())
    }

    fn start_threads(self: &Arc<Self>, admin: Option<Server>) -> Result<(), Error> {
        let watchdog = Arc::clone(&self.watchdog);
        if self.watchdog_on {
            self.spawn("gs-watchdog", OWN_STACK, Box::new(move || watchdog.run()))?;
        }
        let (dispatch, shared) = (Dispatch::new(Arc::clone(self)), Arc::clone(self));
        self.spawn("gs-engine", OWN_STACK, Box::new(move || dispatch.run()))?;
        // The host's exit runs here, and with it atexit handlers of any appetite.
        self.spawn("gs-report", EXIT_STACK, Box::new(move || reporter::run(&shared)))?;
        if let Some(server) = admin {
            let shared = Arc::clone(self);
            self.spawn("gs-admin", OWN_STACK, Box::new(move || shared.serve_admin(server)))?;
        }
        self.native.start()
    }

    fn spawn(&self, name: &str, stack: usize, f: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
        let thread = process::thread::spawn(name, stack, f)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// The hooks of the plan itself and those the configuration declares.
    fn register_own_hooks(self: &Arc<Self>, in_child: bool) -> Result<(), Error> {
        let hook = |phase, name| HookBuilder::new(Arc::clone(self), phase, name);
        if self.config.plan.index(ANNOUNCE).is_some() {
            hook(ANNOUNCE, "announce_delay").announce()?;
        }
        if self.config.inflight.value && self.config.plan.index(DRAIN).is_some() {
            hook(DRAIN, "inflight").all_in_flight()?;
        }
        for decl in self.config.hooks.iter().filter(|decl| decl.inherit || !in_child) {
            HookBuilder::declared(self, decl)?;
        }
        Ok(())
    }

    /// Handlers back, threads ended, handles closed (spec 2.1, 3.7).
    pub(super) fn close(self: &Arc<Self>) -> Vec<signal::Disarmed> {
        let armed = self.state() == State::Armed;
        let disarmed = signal::disarm();
        CURRENT.store(std::ptr::null_mut(), SeqCst);
        self.closed.store(true, SeqCst);
        self.watchdog.stop();
        self.ring_admin();
        self.unlink_admin();
        self.wake_engine();
        self.events.bell();
        self.door.shake();
        self.drained.notify();
        let until = At::now().plus(END_LIMIT);
        let own = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        join_all_but(|| 0, own, until);
        self.native.stop(until);
        self.host_lane.stop(until);
        let events = self.events_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It may be inside somebody's callback, or be the thread that calls this.
        join_all_but(|| 0, events.into_iter().collect(), At::now().plus(EVENTS_LIMIT));
        // A signal that was on its way: it came to a process without graceshut, and does what it does there (spec 2.1).
        signal::drain(&mut |caught| resend(&caught, armed));
        // One that the engine had taken in the instant before: what it began is cut off here, so it is sent again as well.
        let cut = {
            let core = self.lock();
            core.engine.reason().and_then(|r| r.signo).filter(|_| core.engine.finished().is_none())
        };
        if let Some(signo) = cut {
            send_to_self(signo);
        }
        // Bodies that never ran are dropped here, on the caller's thread and outside the lock.
        let slots = std::mem::take(&mut self.lock().slots);
        drop(slots);
        self.reload.forget_hooks();
        self.events.forget_subscribers();
        inflight::set_word(inflight::RUNNING);
        join::resign();
        disarmed
    }
}
