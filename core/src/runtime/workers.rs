//! Threads that run hooks (spec 5.6, 8.7): a hook that blocks its thread delays nobody else.
//!
//! One worker exists from install on. Another is made whenever jobs wait and none was taken for 1 ms. One more is kept for
//! each phase that has hooks, made when its first hook is registered, and takes jobs only from that phase on: so a later
//! phase can run although every other worker hangs and threads can no longer be made.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::At;
use crate::error::Error;
use crate::signal;

/// A job: one hook's body and all it needs.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Jobs wait this long before another worker is made.
const PATIENCE: Duration = Duration::from_millis(1);

struct Kept {
    phase: usize,
    idle: bool,
    bell: Arc<Condvar>,
}

struct State {
    jobs: VecDeque<Job>,
    phase: usize,
    general: usize,
    general_idle: usize,
    kept: Vec<Kept>,
    taken: At,
    stop: bool,
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
            jobs: VecDeque::with_capacity(64),
            phase: 0,
            general: 0,
            general_idle: 0,
            kept: Vec::new(),
            taken: At(0),
            stop: false,
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
        let pool = Arc::clone(self);
        let made = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || pool.work(None));
        made.map(drop).map_err(|e| {
            self.lock().general -= 1;
            Error::os("cannot make a hook worker thread", &e)
        })
    }

    /// Keeps a worker for `phase`, and room for one job more. A failure is no error: the phase then shares.
    pub(crate) fn keep_for(self: &Arc<Self>, phase: usize) {
        let bell = Arc::new(Condvar::new());
        {
            let mut state = self.lock();
            state.jobs.reserve(1);
            if state.kept.iter().any(|k| k.phase == phase) {
                return;
            }
            state.kept.push(Kept { phase, idle: false, bell: Arc::clone(&bell) });
        }
        let pool = Arc::clone(self);
        let made = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || pool.work(Some((phase, bell))));
        if made.is_err() {
            self.lock().kept.retain(|k| k.phase != phase);
        }
    }

    /// Hands jobs over for `phase`, in order.
    pub(crate) fn push(&self, phase: usize, jobs: impl Iterator<Item = Job>) {
        let mut state = self.lock();
        state.phase = state.phase.max(phase);
        if state.jobs.is_empty() {
            state.taken = At::now();
        }
        let before = state.jobs.len();
        state.jobs.extend(jobs);
        let new = state.jobs.len() - before;
        let general = new.min(state.general_idle);
        for _ in 0..general {
            self.bell.notify_one();
        }
        let current = state.phase;
        for kept in state.kept.iter().filter(|k| k.idle && k.phase <= current).take(new - general) {
            kept.bell.notify_one();
        }
    }

    /// When [`grow`](Workers::grow) has to be called: jobs wait and nobody takes them.
    pub(crate) fn grow_at(&self) -> At {
        let state = self.lock();
        if state.jobs.is_empty() || state.general >= self.limit + state.phase { At::NEVER } else { state.taken.plus(PATIENCE) }
    }

    /// Makes one more worker if jobs have waited for 1 ms. Where threads cannot be made, asks again a little later.
    pub(crate) fn grow(self: &Arc<Self>, now: At) {
        if self.grow_at() > now {
            return;
        }
        self.lock().taken = now;
        if self.add_general().is_err() {
            // EAGAIN: jobs wait for a free worker. Trying again 20 ms later costs nothing and may succeed.
            self.lock().taken = now.plus(Duration::from_millis(20));
        }
    }

    /// Jobs nobody took: dropped, so that what they own is released. Workers end when they are free.
    pub(crate) fn stop(&self) {
        let jobs = {
            let mut state = self.lock();
            state.stop = true;
            for kept in &state.kept {
                kept.bell.notify_all();
            }
            std::mem::take(&mut state.jobs)
        };
        self.bell.notify_all();
        drop(jobs);
    }

    fn work(&self, kept: Option<(usize, Arc<Condvar>)>) {
        // The host's own mask: programs a hook starts inherit it (spec 10.3).
        signal::set_host_mask();
        while let Some(job) = self.next(kept.as_ref()) {
            job();
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
                return Some(job);
            }
            state = match kept {
                None => {
                    state.general_idle += 1;
                    let mut state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.general_idle -= 1;
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
