//! What a language must supply: how to leave, and how its signal handlers coexist with ours.

use crate::engine::ExitPlan;
use crate::signal::Chain;

/// The contract a language fulfils. Rust and C use [`Native`]; a binding implements it once.
pub trait Host: Send + Sync {
    /// `"rust"`, `"c"`, `"python"`, `"node"`, ...
    fn language(&self) -> &str;

    /// The runtime's version, for the report.
    fn version(&self) -> String;

    /// Leaves the process through the host's own exit, so that its finalisers run. Called once, from a thread of
    /// graceshut, after the report is written and only when nobody waits in `wait`. May return at once and leave later:
    /// the watchdog ends what never leaves. `plan.code` is what to exit with; death by signal is done by the core as the
    /// last act, after the finalisers.
    fn exit(&self, plan: ExitPlan) {
        crate::runtime::exit_now(plan.code);
    }

    /// True when a program of this host usually calls `wait` in its main thread: it is given 50 ms to get there before
    /// [`exit`](Host::exit) is called.
    fn leaves_by_wait(&self) -> bool {
        true
    }

    /// True when the program has a handler of its own for `signo` that hears of the signal too: it may be stopping by itself, and
    /// with `leave = "auto"` is given until D to leave by itself before [`exit`](Host::exit) is called (spec 6.6). What a
    /// binding's own shim put in place does not count, nor does the language's default handler.
    ///
    /// With the default mapping HUP is left to a program that has one for it (spec 3.4).
    ///
    /// Asked when the plan is over after a signal, and for every HUP, on a thread of graceshut. Must not block nor enter the host: answer from
    /// what the shim has noted before. A binding may say it with [`Runtime::set_own_handler`](crate::Runtime::set_own_handler)
    /// instead; either is enough.
    fn has_own_handler(&self, signo: i32) -> bool {
        let _ = signo;
        false
    }

    /// True when a handler of the program's own hears of `signo` as things are now. A program that sends itself such a signal while it
    /// stops has not said that its own stop is over: without graceshut it would go on in that handler (spec 6.6). By default it has, as
    /// where the default action is back in place.
    ///
    /// Asked for every signal that the process sends itself during a shutdown; as [`has_own_handler`](Host::has_own_handler).
    fn hears_of(&self, signo: i32) -> bool {
        let _ = signo;
        false
    }

    /// True while the program does nothing but wait for the end by means of the binding's own, beside
    /// [`Runtime::wait`](crate::Runtime::wait): it will not leave by itself (spec 6.6). Asked once, when the plan is over after a
    /// signal; as [`has_own_handler`](Host::has_own_handler).
    fn is_waiting(&self) -> bool {
        false
    }

    /// True when the host is on its way out. Where it is not at D, though [`exit`](Host::exit) was called long before (its language's
    /// way of leaving was swallowed by the program, which goes on), it is cut off there, and the shutdown was not clean (spec 6.3).
    ///
    /// Asked once, at D, on a thread of graceshut; as [`has_own_handler`](Host::has_own_handler).
    fn is_leaving(&self) -> bool {
        true
    }

    /// True for a host that tells of its end by `host_end` before it is on its way out (a wrapper whose program ended):
    /// [`exit`](Host::exit) is called then as after any other trigger.
    fn waits_for_exit(&self) -> bool {
        false
    }

    /// The process is about to be left at once (a third signal), without [`exit`](Host::exit): what must not outlive it is ended
    /// here. Called from a thread of graceshut; must not block.
    fn leaving_at_once(&self) {}

    /// Whether a handler found in place is called after ours.
    fn chain(&self, signo: i32) -> Chain {
        let _ = signo;
        Chain::Never
    }

    /// True when libc's `exit` and the return from main are triggers and wait for the phases. False for a host that can run
    /// nothing any more by then (the JVM, whose threads stand at a safepoint): its binding says `host_end` before, and an
    /// exit without it is the host's way of leaving at once, with its own status.
    fn exit_is_trigger(&self) -> bool {
        true
    }

    /// True when nothing tells the core that somebody replaced a handler, so that it has to look (spec 3.5).
    fn must_poll(&self) -> bool {
        true
    }
}

/// What is known of the program's own handler for a signal (spec 6.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OwnHandler {
    /// It has none.
    #[default]
    None,
    /// It has one that hears of the signal too.
    Known,
    /// It may have one: the language tells no package who listens. The program is given its time as with `Known`; made to leave, it
    /// is not said to have been cut.
    Assumed,
}

/// A program of its own: Rust, C, C++.
#[derive(Clone, Copy, Debug)]
pub struct Native {
    /// The language's name in reports.
    pub language: &'static str,
}

impl Host for Native {
    fn language(&self) -> &str {
        self.language
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    /// A handler that the program set begins the program's own stop, and is called as it would be without graceshut.
    fn chain(&self, signo: i32) -> Chain {
        let _ = signo;
        Chain::UnlessItExits
    }

    fn has_own_handler(&self, signo: i32) -> bool {
        crate::signal::neighbour::another_hears(signo)
    }
}
