//! What is said while it happens (spec 11.2): to callbacks on a thread of their own, and to systemd.
//!
//! Subscribers are views of the engine's event list, plus what is only of the moment (progress, log lines). A callback
//! that hangs (it may need the GIL) delays the later callbacks and nothing else; what it misses beyond a bound is dropped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::clock::{At, micros};
use crate::plan::format_duration;
use crate::report::{Notify, rounded};
use crate::signal::Replaced;
use crate::wake::Wake;

/// Events waiting for a callback; more are dropped and counted.
const QUEUE: usize = 4096;

/// One event, as a callback gets it.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct EventView {
    /// `trigger`, `phase_start`, `phase_end`, `hook_start`, `hook_cancel`, `hook_end`, `deadline`, `progress`, `log`,
    /// `reload`, `handler`, `status`, `prestop_wait`, `finished`.
    pub event: &'static str,
    /// Microseconds since the trigger; 0 before it.
    pub at_us: u64,
    /// The phase, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The hook, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// The outcome or action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Budget, or progress done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// Progress total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl EventView {
    /// The event as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A callback for events. Called on the `gs-events` thread, one event at a time; may block, delays only later events.
pub(crate) type Subscriber = Box<dyn Fn(&EventView) + Send + Sync>;

/// The subscribers and what waits for them.
pub(crate) struct Events {
    pub(super) wake: Wake,
    queue: Mutex<VecDeque<EventView>>,
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
    /// Somebody listens: a callback.
    heard: AtomicBool,
    /// Somebody asked for the state in one line.
    status_asked: AtomicBool,
    /// Lines for stderr.
    lines: Mutex<VecDeque<String>>,
    /// T0 once there is one, for events that are of the moment; 0 before.
    t0: AtomicU64,
    notify: Option<Notify>,
}

impl Events {
    pub(super) fn new(notify: Option<Notify>) -> Events {
        Events {
            wake: Wake::new(),
            queue: Mutex::new(VecDeque::with_capacity(64)),
            subscribers: Mutex::new(Vec::new()),
            heard: AtomicBool::new(false),
            status_asked: AtomicBool::new(false),
            lines: Mutex::new(VecDeque::new()),
            t0: AtomicU64::new(0),
            notify,
        }
    }

    /// There may be new records.
    pub(super) fn bell(&self) {
        self.wake.notify();
    }

    /// As `bell`, where somebody wants to hear of each record at once.
    pub(super) fn bell_if_heard(&self) {
        if self.tells_systemd() || self.listened_to() {
            self.wake.notify();
        }
    }

    pub(super) fn tells_systemd(&self) -> bool {
        self.notify.is_some()
    }

    pub(super) fn listened_to(&self) -> bool {
        self.heard.load(SeqCst)
    }

    /// Adds a callback; true for the first.
    pub(super) fn subscribe(&self, f: Subscriber) -> bool {
        let mut list = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(Arc::new(f));
        self.heard.store(true, SeqCst);
        list.len() == 1
    }

    /// Lets go of the callbacks, for `uninstall`: what they own is released, outside the lock.
    pub(super) fn forget_subscribers(&self) {
        self.heard.store(false, SeqCst);
        let list = std::mem::take(&mut *self.subscribers.lock().unwrap_or_else(PoisonError::into_inner));
        drop(list);
    }

    pub(super) fn subscribers(&self) -> Vec<Arc<Subscriber>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_t0(&self, t0: At) {
        self.t0.store(t0.0, SeqCst);
    }

    /// Microseconds since the trigger, 0 before it.
    fn now_us(&self) -> u64 {
        match self.t0.load(SeqCst) {
            0 => 0,
            t0 => micros(At::now() - At(t0)),
        }
    }

    /// An event of the moment.
    fn moment(&self, event: &'static str) -> EventView {
        EventView { event, at_us: self.now_us(), ..EventView::default() }
    }

    pub(super) fn say(&self, event: EventView) {
        if !self.listened_to() {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() < QUEUE {
            queue.push_back(event);
        }
        drop(queue);
        self.wake.notify();
    }

    pub(super) fn next(&self) -> Option<EventView> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(crate) fn say_log(&self, phase: &str, hook: &str, message: &str) {
        if !self.listened_to() {
            return;
        }
        let message: String = message.chars().take(8192).collect();
        let (phase, hook) = (Some(phase.to_owned()), Some(hook.to_owned()));
        self.say(EventView { phase, hook, message: Some(message), ..self.moment("log") });
    }

    pub(crate) fn say_progress(&self, phase: &str, hook: &str, done: u64, total: u64) {
        let (phase, hook) = (Some(phase.to_owned()), Some(hook.to_owned()));
        self.say(EventView { phase, hook, value: Some(done), total: Some(total), ..self.moment("progress") });
    }

    /// `unseen`: for how long nobody had looked.
    pub(super) fn say_replaced(&self, replaced: &Replaced, unseen: Duration) {
        let name = crate::signal::name_of(replaced.signo).unwrap_or("?");
        let by = replaced.by.as_deref().unwrap_or("code of no library");
        let outcome = match (replaced.ignored, replaced.repaired) {
            (true, _) => "ignored",
            (_, true) => "repaired",
            _ => "replaced",
        };
        let missed = if replaced.repaired { "; signals of that time may have been missed" } else { "" };
        let ago = format_duration(rounded(unseen));
        let message = Some(if replaced.ignored {
            format!("the program ignores {name}, since at most {ago}")
        } else {
            format!("the handler of {name} was replaced by {by}, at most {ago} ago{missed}")
        });
        let value = u64::try_from(replaced.signo).ok();
        self.say(EventView { outcome: Some(outcome.to_owned()), message, value, ..self.moment("handler") });
    }

    pub(super) fn say_reload(&self, what: &str, error: Option<&str>) {
        let message = error.map(str::to_owned);
        let outcome = Some(if error.is_some() { "failed" } else { what }.to_owned());
        let hook = error.map(|_| what.to_owned());
        self.say(EventView { hook, outcome, message, ..self.moment("reload") });
    }

    pub(super) fn say_left(&self, count: u64) {
        let message = Some(format!("{count} still in flight when drain could wait no longer"));
        self.say(EventView { message, value: Some(count), ..self.moment("log") });
    }

    /// Leaves a line for stderr to the report's thread: stderr may be stuck.
    pub(super) fn ask_to_say(&self, line: String) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push_back(line);
        self.wake.notify();
    }

    pub(super) fn next_line(&self) -> Option<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The `status` action: the report's thread says it.
    pub(super) fn ask_status(&self) {
        self.status_asked.store(true, SeqCst);
        self.wake.notify();
    }

    pub(super) fn status_was_asked(&self) -> bool {
        self.status_asked.swap(false, SeqCst)
    }

    /// Says the state as an event, and as a line on stderr.
    pub(super) fn say_status(&self, line: &str) {
        self.say(EventView { message: Some(line.to_owned()), ..self.moment("status") });
        let limit = At::now().plus(Duration::from_millis(10));
        // Nobody to tell if stderr is gone.
        let _ = crate::report::deliver(&crate::config::ReportTo::Line, line, "", limit);
    }

    /// A datagram that never blocks, so it may be sent by the engine's thread.
    pub(super) fn extend_timeout(&self, d: Duration) {
        if let Some(notify) = &self.notify {
            notify.send(&format!("EXTEND_TIMEOUT_USEC={}", micros(d)));
        }
    }

    pub(super) fn notify(&self, lines: &str) {
        if let Some(notify) = &self.notify {
            notify.send(lines);
        }
    }
}
