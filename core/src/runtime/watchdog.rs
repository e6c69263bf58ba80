//! The hard end (spec 5.9, 6.5): one thread, one absolute deadline, one exit_group.
//!
//! Made at install. It reads a few words and calls nobody: no allocator, no lock, no log, no host. Whatever the host is
//! doing (GIL held, loop blocked, safepoint stalled, atexit hanging), the process is gone at D + margin/2.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::clock::At;
use crate::signal;
use crate::wake::Wake;

/// While there is a deadline it looks up this often: waking later than asked for is how a stopped process shows (spec 5.10).
const SLICE: Duration = Duration::from_millis(250);

/// What the watchdog reads.
#[derive(Debug)]
pub(crate) struct Watchdog {
    deadline: AtomicU64,
    code: AtomicI32,
    /// How late a wake-up has to be to mean that the whole process was held up (spec 5.10).
    late: AtomicU64,
    /// What such a hold-up leaves: the reserves and the margin.
    allowance: AtomicU64,
    stop: AtomicBool,
    wake: Wake,
}

impl Watchdog {
    pub(crate) const fn new() -> Watchdog {
        Watchdog {
            deadline: AtomicU64::new(u64::MAX),
            code: AtomicI32::new(70),
            late: AtomicU64::new(u64::MAX),
            allowance: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            wake: Wake::new(),
        }
    }

    /// Moves the hard end; [`notify`](Watchdog::notify) tells the thread. `late` and `allowance` as of spec 5.10.
    pub(crate) fn set(&self, deadline: At, late: Duration, allowance: Duration) {
        self.late.store(crate::clock::nanos(late), SeqCst);
        self.allowance.store(crate::clock::nanos(allowance), SeqCst);
        self.deadline.store(deadline.0, SeqCst);
    }

    /// After [`set`](Watchdog::set).
    pub(crate) fn notify(&self) {
        self.wake.notify();
    }

    /// The status it would leave with: the decided one as soon as there is one.
    pub(crate) fn set_code(&self, code: i32) {
        self.code.store(code, SeqCst);
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, SeqCst);
        self.wake.notify();
    }

    /// The thread's body.
    pub(crate) fn run(&self) {
        signal::block_all_but(None);
        let mut rebased_until = At(0);
        let mut asleep_until = At::NEVER;
        while !self.stop.load(SeqCst) {
            let seen = self.wake.seen();
            let deadline = At(self.deadline.load(SeqCst)).max(rebased_until);
            let now = At::now();
            if now < deadline {
                asleep_until = if deadline.is_never() { deadline } else { deadline.min(now.plus(SLICE)) };
                self.wake.wait(seen, asleep_until);
                continue;
            }
            // Up to a slice earlier than the engine would say so: then the two never disagree in the other direction.
            let late = Duration::from_nanos(self.late.load(SeqCst)).saturating_sub(SLICE);
            // A deadline nobody had told it of in time (stopped between storing and telling) is a hold-up as well.
            let held_up = now - asleep_until.min(deadline) > late;
            if held_up && rebased_until == At(0) {
                // SIGSTOP, freezer, suspend: the engine re-bases D too, and moves our deadline when it gets to run.
                rebased_until = now.plus(Duration::from_nanos(self.allowance.load(SeqCst)));
                continue;
            }
            leave(self.code.load(SeqCst));
        }
    }
}

/// exit_group, and nothing else: no atexit handler, no destructor, no flush.
pub(crate) fn leave(code: i32) -> ! {
    loop {
        // SAFETY: exit_group takes an integer and does not return.
        unsafe { libc::syscall(libc::SYS_exit_group, code) };
    }
}
