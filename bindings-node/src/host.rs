//! What Node is to the core: where it leaves, and when its own handlers are called after ours (embedding C24).

use graceshut::{Chain, ExitPlan, Host};

use crate::bridge;

/// One install's view of Node.
#[derive(Debug)]
pub(crate) struct Node {
    /// `process.version`.
    pub(crate) version: String,
    /// Signals that have a listener at install: libuv's handler is in place for them and is chained to. For all others the
    /// handler found is Node's initial one, which ends the process and must not be called.
    pub(crate) listened: Vec<i32>,
}

impl Host for Node {
    fn language(&self) -> &str {
        "node"
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    /// Posted, not called: only the loop's thread may exit, so that 'exit' listeners run. A blocked loop never gets to it;
    /// the watchdog ends the process then.
    fn exit(&self, plan: ExitPlan) {
        bridge::tell_to_leave(plan.code);
    }

    /// A loop that is blocked has not heard of it.
    fn is_leaving(&self) -> bool {
        bridge::is_leaving()
    }

    fn leaves_by_wait(&self) -> bool {
        false
    }

    fn chain(&self, signo: i32) -> Chain {
        if self.listened.contains(&signo) { Chain::Always } else { Chain::Never }
    }

    /// The shim in `lib/signals.js` is told of every listener added and removed.
    fn must_poll(&self) -> bool {
        false
    }
}
