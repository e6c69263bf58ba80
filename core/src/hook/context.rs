//! What a hook knows while it runs (spec 8.3).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::completion::{HookResult, nap};
use crate::clock::At;
use crate::engine::{Event, HookId, Kind, Lane, Reason};
use crate::runtime::Shared;
use crate::wake::Wake;

/// How often progress becomes an event.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

pub(crate) enum Canceller {
    /// Known not to block: may run on the engine's thread.
    Inline(Box<dyn Fn() + Send>),
    /// Somebody's code: runs on a worker.
    Worker(Box<dyn FnOnce() + Send>),
}

pub(crate) struct Ctx {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: HookId,
    pub(crate) lane: Lane,
    /// The body says itself when it begins, also on the native lane.
    pub(crate) prepares: bool,
    pub(crate) phase_index: usize,
    name: String,
    phase: String,
    cancelled: AtomicBool,
    wake: Wake,
    on_cancel: Mutex<Vec<Canceller>>,
    on_kill: Mutex<Option<Box<dyn Fn() + Send>>>,
    killed: AtomicBool,
    progress_at: AtomicU64,
}

impl Ctx {
    pub(crate) fn new(
        shared: Arc<Shared>,
        id: HookId,
        kind: Kind,
        phase_index: usize,
        phase: String,
        name: String,
    ) -> Arc<Ctx> {
        Arc::new(Ctx {
            shared,
            id,
            lane: kind.lane,
            prepares: kind.prepares,
            phase_index,
            name,
            phase,
            cancelled: AtomicBool::new(false),
            wake: Wake::new(),
            on_cancel: Mutex::new(Vec::new()),
            on_kill: Mutex::new(None),
            killed: AtomicBool::new(false),
            progress_at: AtomicU64::new(0),
        })
    }

    /// The soft deadline: flag, wake, callbacks. Called by the engine's thread; whatever may block goes to a worker.
    pub(crate) fn cancel(self: &Arc<Self>) {
        self.cancelled.store(true, SeqCst);
        self.wake.notify();
        let cancellers = std::mem::take(&mut *self.on_cancel.lock().unwrap_or_else(PoisonError::into_inner));
        for canceller in cancellers {
            self.call(canceller);
        }
    }

    fn call(&self, canceller: Canceller) {
        match canceller {
            Canceller::Inline(f) => f(),
            Canceller::Worker(f) => self.shared.on_lane(self.lane, self.phase_index, f),
        }
    }

    /// The hard deadline of a hook that can be stopped for real.
    pub(crate) fn kill(&self) {
        let kill = self.on_kill.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: whoever comes later with what to do finds this set.
        self.killed.store(true, SeqCst);
        if let Some(kill) = &*kill {
            kill();
        }
        drop(kill);
        self.wake.notify();
    }
}

/// The context of one running hook. Cheap to clone; valid on any thread, also after the hook was abandoned.
#[derive(Clone)]
pub struct Context {
    pub(crate) inner: Arc<Ctx>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({}/{})", self.inner.phase, self.inner.name)
    }
}

impl Context {
    /// The hook's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The phase it runs in.
    #[must_use]
    pub fn phase(&self) -> &str {
        &self.inner.phase
    }

    /// Why the process stops: the first trigger.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.inner.shared.reason().unwrap_or_else(|| Reason::new(crate::engine::ReasonKind::Stop, None))
    }

    /// Time left until the hard deadline, zero when it has passed; `None` when there is no deadline.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.deadline();
        if deadline.is_never() { None } else { Some(deadline - At::now()) }
    }

    /// The hard deadline, in CLOCK_MONOTONIC.
    #[must_use]
    pub fn deadline(&self) -> At {
        self.inner.shared.with_engine(|e| e.hard_deadline(self.inner.id)).unwrap_or(At(0))
    }

    /// True from the soft deadline on: finish what cannot be left, and end.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.inner.cancelled.load(SeqCst)
    }

    /// Sleeps until the hook is cancelled, at most `limit`; answers whether it was.
    #[must_use]
    pub fn wait_cancelled(&self, limit: Duration) -> bool {
        let until = At::now().plus(limit);
        loop {
            let seen = self.inner.wake.seen();
            if self.cancelled() {
                return true;
            }
            if At::now() >= until {
                return false;
            }
            self.inner.wake.wait(seen, until);
        }
    }

    /// Sleeps for `d`; ends early with [`HookError::Cancelled`](super::HookError::Cancelled) when the hook is cancelled.
    ///
    /// # Errors
    /// `Cancelled`, so that `ctx.sleep(d)?` ends the hook in order.
    pub fn sleep(&self, d: Duration) -> HookResult {
        nap(self, d)
    }

    /// Calls `f` on a worker when the hook is cancelled; at once when it already is.
    pub fn on_cancel(&self, f: impl FnOnce() + Send + 'static) {
        self.add_canceller(Canceller::Worker(Box::new(f)));
    }

    /// As [`on_cancel`](Context::on_cancel) for an `f` that never blocks (an atomic store, a queue push, a kill):
    /// it may run on the engine's own thread, and so also while every worker is busy.
    pub fn on_cancel_inline(&self, f: impl Fn() + Send + 'static) {
        self.add_canceller(Canceller::Inline(Box::new(f)));
    }

    fn add_canceller(&self, canceller: Canceller) {
        let mut list = self.inner.on_cancel.lock().unwrap_or_else(PoisonError::into_inner);
        if self.cancelled() {
            drop(list);
            return self.inner.call(canceller);
        }
        list.push(canceller);
    }

    /// For kinds that can be stopped for real (`exec`, `wasm`): what the hard deadline does, on the engine's own thread. Must
    /// not block. The body then ends with [`HookError::Killed`](super::HookError::Killed) to say where it was.
    pub fn on_kill(&self, f: impl Fn() + Send + 'static) {
        let mut kill = self.inner.on_kill.lock().unwrap_or_else(PoisonError::into_inner);
        if self.inner.killed.load(SeqCst) {
            // The deadline came while the command was being started.
            f();
        }
        *kill = Some(Box::new(f));
    }

    /// Asks for `more` time before the soft deadline; answers what was granted (spec 5.8), never past what later phases keep.
    #[must_use = "less may be granted than was asked for"]
    pub fn extend(&self, more: Duration) -> Duration {
        let granted = self.inner.shared.with_engine(|e| e.extend(self.inner.id, more, At::now()));
        if !granted.is_zero() {
            self.inner.shared.wake_engine();
        }
        granted
    }

    /// Names of the hooks that were abandoned earlier and still run (spec 5.7).
    #[must_use]
    pub fn abandoned(&self) -> Vec<String> {
        self.inner.shared.with_engine(|e| e.still_running())
    }

    /// Says a line through the host's own logging.
    pub fn log(&self, message: &str) {
        self.inner.shared.events.say_log(&self.inner.phase, &self.inner.name, message);
    }

    /// Says how far the hook is: `done` of `total` (0: unknown). At most ten a second become events.
    pub fn progress(&self, done: u64, total: u64) {
        let now = At::now();
        let last = At(self.inner.progress_at.load(SeqCst));
        if (now - last >= PROGRESS_EVERY || done == total)
            && self.inner.progress_at.compare_exchange(last.0, now.0, SeqCst, SeqCst).is_ok()
        {
            self.inner.shared.events.say_progress(&self.inner.phase, &self.inner.name, done, total);
        }
    }

    /// The host's language, as the report has it.
    #[must_use]
    pub fn language(&self) -> &str {
        self.inner.shared.language()
    }

    /// The run's id, as the report has it: one install, one id.
    #[must_use]
    pub fn run_id(&self) -> &str {
        self.inner.shared.run_id()
    }

    /// For bodies of the host lane: says that the body really begins (the GIL is held, the loop has it); for wasm: its code
    /// is there.
    /// `false`: its time has passed, do not run it.
    #[must_use]
    pub fn begin(&self) -> bool {
        self.inner.shared.with_engine(|e| {
            let may = e.may_begin(self.inner.id);
            if may {
                e.handle(Event::Begun(self.inner.id), At::now());
            }
            may
        })
    }
}
