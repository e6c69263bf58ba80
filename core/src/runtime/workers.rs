//! Threads that run hooks (spec 5.6, 8.7): a hook that blocks its thread delays nobody else.
//!
//! One worker exists from install on. Another is made whenever jobs wait and none was taken for 1 ms. One more is kept for
//! each phase that has hooks, made when its first hook is registered, and takes jobs only from that phase on: so a later
//! phase can run although every other worker hangs and threads can no longer be made.
//!
//! Invariants:
//! 1. A job and its place in the queue are set aside at registration: handing it over allocates nothing.
//! 2. A worker that was rung for is not counted as idle any more, so that two jobs never count on one worker.
//! 3. Nobody's code runs under the lock, and a panic in it costs the job, not the worker.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::At;
use crate::error::Error;
use crate::hook::{Body, Context};
use crate::signal;

/// What a worker does.
pub(crate) enum Job {
    /// One hook's body.
    Hook(Body, Context),
    /// A reload hook, a cancellation's callback.
    Call(Box<dyn FnOnce() + Send>),
}

impl Job {
    fn run(self) {
        match self {
            Job::Hook(body, context) => super::dispatch::run_hook(body, context),
            Job::Call(f) => f(),
        }
    }
}

/// What a hook's thread has of stack, whatever RUST_MIN_STACK says: a guest of graceshut-wasm runs on it and is stopped at 512 KiB.
const STACK: usize = 2 << 20;
/// Jobs wait this long before another worker is made.
const PATIENCE: Duration = Duration::from_millis(1);
/// Where threads cannot be made, the next try comes this much later.
const RETRY: Duration = Duration::from_millis(20);
/// Places beside those of the hooks: reloads and cancellations.
const SPARE: usize = 64;

struct Kept {
    phase: usize,
    idle: bool,
    bell: Arc<Condvar>,
}

struct State {
    jobs: VecDeque<Job>,
    /// Hooks registered so far.
    hooks: usize,
    phase: usize,
    general: usize,
    general_idle: usize,
    /// Rung for, and not awake yet.
    general_rung: usize,
    kept: Vec<Kept>,
    /// Jobs handed over and not yet rung for.
    unannounced: usize,
    /// Workers inside a job.
    busy: usize,
    taken: At,
    stop: bool,
    threads: Vec<JoinHandle<()>>,
}

/// One pool. The core has two: for bodies that need no host, and for bodies that enter it first.
pub(crate) struct Workers {
    name: &'static str,
    limit: usize,
    state: Mutex<State>,
    bell: Condvar,
}

impl Workers {
    pub(crate) fn new(name: &'static str, limit: usize) -> Arc<Workers> {
        let state = State {
            jobs: VecDeque::with_capacity(SPARE),
            hooks: 0,
            phase: 0,
            general: 0,
            general_idle: 0,
            general_rung: 0,
            kept: Vec::new(),
            unannounced: 0,
            busy: 0,
            taken: At(0),
            stop: false,
            threads: Vec::with_capacity(8),
        };
        Arc::new(Workers { name, limit, state: Mutex::new(state), bell: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the worker that is always there.
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), Error> {
        if self.lock().general == 0 { self.add_general() } else { Ok(()) }
    }

    fn add_general(self: &Arc<Self>) -> Result<(), Error> {
        self.lock().general += 1;
        self.spawn(None).inspect_err(|_| self.lock().general -= 1)
    }

    fn spawn(self: &Arc<Self>, kept: Option<(usize, Arc<Condvar>)>) -> Result<(), Error> {
        let pool = Arc::clone(self);
        let thread = crate::process::thread::spawn(self.name, STACK, Box::new(move || pool.work(kept.as_ref())))?;
        self.lock().threads.push(thread);
        Ok(())
    }

    /// Sets room aside for one hook more in `phase`, and keeps a worker for that phase.
    ///
    /// # Errors
    /// `Os` when there is no worker at all and none can be made. A kept one that cannot be made is no error: its phase shares.
    pub(crate) fn expect_hook(self: &Arc<Self>, phase: usize) -> Result<(), Error> {
        let bell = {
            let mut state = self.lock();
            state.hooks += 1;
            let want = state.hooks + SPARE;
            if state.jobs.capacity() < want {
                let more = want.max(2 * state.jobs.capacity()) - state.jobs.len();
                state.jobs.reserve(more);
            }
            if state.general > 0 && state.kept.iter().any(|k| k.phase == phase) {
                return Ok(());
            }
            let bell = Arc::new(Condvar::new());
            if !state.kept.iter().any(|k| k.phase == phase) {
                state.kept.push(Kept { phase, idle: false, bell: Arc::clone(&bell) });
            }
            bell
        };
        self.start()?;
        if self.spawn(Some((phase, bell))).is_err() {
            self.lock().kept.retain(|k| k.phase != phase);
        }
        Ok(())
    }

    /// Hands a job over for `phase`; [`ring`](Workers::ring) wakes who is to take it. Allocates nothing for a hook.
    pub(crate) fn add(&self, phase: usize, job: Job) {
        let mut state = self.lock();
        state.phase = state.phase.max(phase);
        if state.jobs.is_empty() {
            state.taken = At::now();
        }
        state.jobs.push_back(job);
        state.unannounced += 1;
    }

    /// Wakes as many idle workers as jobs were added.
    pub(crate) fn ring(&self) {
        let mut state = self.lock();
        let new = std::mem::take(&mut state.unannounced).min(state.jobs.len());
        let general = new.min(state.general_idle);
        state.general_idle -= general; // invariant 2
        state.general_rung += general;
        let current = state.phase;
        for kept in state.kept.iter_mut().filter(|k| k.idle && k.phase <= current).take(new - general) {
            kept.idle = false; // invariant 2
            kept.bell.notify_one();
        }
        drop(state);
        (0..general).for_each(|_| self.bell.notify_one());
    }

    /// When [`grow`](Workers::grow) has to be called: jobs wait and nobody takes them.
    pub(crate) fn grow_at(&self) -> At {
        let state = self.lock();
        if state.jobs.is_empty() || state.general >= self.limit { At::NEVER } else { state.taken.plus(PATIENCE) }
    }

    /// Makes one more worker if jobs have waited for 1 ms. Where threads cannot be made, asks again a little later.
    pub(crate) fn grow(self: &Arc<Self>, now: At) {
        if self.grow_at() > now {
            return;
        }
        self.lock().taken = now;
        if self.add_general().is_err() {
            // EAGAIN: jobs wait for a free worker. Trying again costs nothing and may succeed.
            self.lock().taken = now.plus(RETRY);
        }
    }

    /// Jobs nobody took: dropped, so that what they own is released. Workers end when they are free; the idle ones have
    /// ended when this returns, or `until` is past.
    pub(crate) fn stop(&self, until: At) {
        let (jobs, threads) = {
            let mut state = self.lock();
            state.stop = true;
            for kept in &state.kept {
                kept.bell.notify_all();
            }
            (std::mem::take(&mut state.jobs), std::mem::take(&mut state.threads))
        };
        self.bell.notify_all();
        drop(jobs);
        join_all_but(|| self.lock().busy, threads, until);
    }

    fn work(&self, kept: Option<&(usize, Arc<Condvar>)>) {
        // Idle it takes no signal that the program has blocked, and that would end the process here.
        signal::block_all_but(None);
        while let Some(job) = self.next(kept) {
            // The host's own mask: programs a hook starts inherit it (spec 10.3).
            if !signal::taken_elsewhere() {
                signal::set_hook_mask();
            }
            // Invariant 3. A hook's own panic was caught before; this one comes from a destructor or a callback.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
            signal::block_all_but(None);
            self.lock().busy -= 1;
        }
    }

    fn next(&self, kept: Option<&(usize, Arc<Condvar>)>) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            let may = kept.is_none_or(|(phase, _)| *phase <= state.phase);
            if may && let Some(job) = state.jobs.pop_front() {
                state.taken = At::now();
                state.busy += 1;
                return Some(job);
            }
            state = match kept {
                None => {
                    state.general_idle += 1;
                    let mut state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                    // Rung for, or awake by itself: either way the two counts come to the same.
                    if state.general_rung > 0 {
                        state.general_rung -= 1
                    } else {
                        state.general_idle -= 1
                    }
                    state
                }
                Some((phase, bell)) => {
                    set_idle(&mut state, *phase, true);
                    let mut state = bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                    set_idle(&mut state, *phase, false);
                    state
                }
            };
        }
    }
}

fn set_idle(state: &mut State, phase: usize, idle: bool) {
    if let Some(k) = state.kept.iter_mut().find(|k| k.phase == phase) {
        k.idle = idle;
    }
}

/// Joins the threads that end by themselves, until at most `busy()` are left or `until` is past; lets the others go.
pub(super) fn join_all_but(busy: impl Fn() -> usize, mut threads: Vec<JoinHandle<()>>, until: At) {
    loop {
        let (ended, left): (Vec<_>, Vec<_>) = threads.into_iter().partition(JoinHandle::is_finished);
        for thread in ended {
            // Its body is over, so this takes microseconds; a panic in it was caught and has nothing to say.
            let _ = thread.join();
        }
        threads = left;
        if threads.len() <= busy() || At::now() >= until {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
