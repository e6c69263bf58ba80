//! How far the shutdown has come, for whoever waits for it: 1 announced, 2 draining, 3 over.
//!
//! The shared word of `inflight` is the truth for 1 and 2 and can be read at any time; waiting needs somebody to ring, which
//! the events do. They may come a moment before the word changes, hence a level of our own beside it.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use graceshut::EventView;
use graceshut::clock::At;
use graceshut::wake::Wake;

/// Over: every phase is done.
pub(crate) const STOPPED: u32 = 3;
/// The word is looked at at least this often, should an event be lost (a full queue).
const LOOK: Duration = Duration::from_secs(1);

/// One install's level.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    level: AtomicU32,
    wake: Wake,
}

impl Flags {
    /// What an event says about it.
    pub(crate) fn hear(&self, event: &EventView, word: u32) {
        let level = match event.event {
            "finished" => STOPPED,
            "trigger" => 1,
            _ => 0,
        };
        let level = level.max(word);
        if self.level.fetch_max(level, SeqCst) < level {
            self.wake.notify();
        }
    }

    pub(crate) fn level(&self, word: u32) -> u32 {
        self.level.load(SeqCst).max(word)
    }

    /// Nobody needs to wait any longer: the install is over.
    pub(crate) fn shake(&self) {
        self.wake.notify();
    }

    /// Waits until `reached` says so or `until` passes; ends early, with `false`, when a signal handler ran on this thread.
    pub(crate) fn wait(&self, until: At, reached: impl Fn() -> bool) -> bool {
        let seen = self.wake.seen();
        if reached() || At::now() >= until {
            return reached();
        }
        self.wake.wait(seen, until.min(At::now().plus(LOOK)));
        reached()
    }
}
