//! Reload hooks (spec 3.6): one reload at a time, reloads arriving meanwhile coalesce to one more, a stop wins.

use std::sync::{Arc, Mutex, PoisonError};

use super::Shared;
use crate::engine::Lane;
use crate::error::{Error, ErrorKind};
use crate::hook::{HookResult, panic_message};

type ReloadHook = (String, Lane, Arc<dyn Fn() -> HookResult + Send + Sync>);

#[derive(Default)]
struct State {
    hooks: Vec<ReloadHook>,
    running: bool,
    again: bool,
    stopped: bool,
}

/// The reload hooks and whether one runs.
#[derive(Default)]
pub(crate) struct Reload {
    state: Mutex<State>,
}

impl Reload {
    pub(super) fn has_hooks(&self) -> bool {
        !self.state.lock().unwrap_or_else(PoisonError::into_inner).hooks.is_empty()
    }

    /// Lets go of the hooks, for `uninstall`: what they own is released, outside the lock.
    pub(super) fn forget_hooks(&self) {
        self.stop_wins();
        let hooks = std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).hooks);
        drop(hooks);
    }

    /// From now on no reload begins.
    pub(super) fn stop_wins(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.stopped, state.again) = (true, false);
    }

    /// A stop came: hooks of this reload that have not begun stay where they are.
    fn is_stopped(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped
    }

    /// The hooks to run, when a reload may begin now.
    fn begin(&self) -> Option<Vec<ReloadHook>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.stopped {
            return None;
        }
        if state.running {
            state.again = true;
            return None;
        }
        state.running = true;
        Some(state.hooks.clone())
    }

    /// True when another one was asked for meanwhile.
    fn end(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = false;
        std::mem::take(&mut state.again)
    }
}

impl Shared {
    pub(super) fn add_reload(&self, name: &str, lane: Lane, f: Arc<dyn Fn() -> HookResult + Send + Sync>) -> Result<(), Error> {
        self.check_open()?;
        if name.is_empty() {
            return Err(Error::new(ErrorKind::BadValue, "a reload hook needs a name"));
        }
        self.pool(lane).start()?;
        self.reload.state.lock().unwrap_or_else(PoisonError::into_inner).hooks.push((name.to_owned(), lane, f));
        Ok(())
    }

    /// Runs the reload hooks in registration order, on workers of their lanes, one after another.
    pub(super) fn request_reload(self: &Arc<Self>) {
        if let Some(hooks) = self.reload.begin() {
            self.events.say_reload("begun", None);
            self.next_reload(hooks.into_iter());
        }
    }

    fn next_reload(self: &Arc<Self>, mut hooks: std::vec::IntoIter<ReloadHook>) {
        let next = if self.reload.is_stopped() { None } else { hooks.next() };
        let Some((name, lane, f)) = next else {
            self.events.say_reload("done", None);
            if self.reload.end() {
                self.request_reload();
            }
            return;
        };
        let shared = Arc::clone(self);
        let job = Box::new(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f()));
            let error = match result {
                Ok(Ok(())) => None,
                Ok(Err(e)) => Some(e.to_string()),
                Err(panic) => Some(panic_message(&*panic)),
            };
            if let Some(error) = error {
                shared.events.say_reload(&name, Some(&error));
            }
            shared.next_reload(hooks);
        });
        self.on_lane(lane, 0, job);
    }
}
