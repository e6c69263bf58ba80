//! Asking the loader without ever waiting for a lock that a fork left behind.
//!
//! glibc does not renew the loader's locks in a fork child (measured with 2.36; JuliaLang/julia#57035): if another thread of the
//! parent was inside `dl_iterate_phdr`, `dlopen` or `dlclose` at that moment, the child's first use of the loader hangs for ever.
//! So the first walk in each process, and every `dlopen` (`pin`), is made on a thread of its own, with a limit.
//!
//! The walk's lock is short: when it does not come back, it is lost, nothing can be unloaded in this process any more, and
//! what is known from before the fork has to do. When it does, it stays sound until the next fork (the answer is kept in
//! wiped memory). `dlopen`'s lock is long, held while a library's constructor runs; there, late is not lost.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::wiped::{Wiped, Zeroed};
use crate::clock::At;
use crate::wake::Wake;

pub(super) const LIMIT: Duration = Duration::from_millis(250);

const UNKNOWN: u32 = 0;
const SOUND: u32 = 1;
const HELD: u32 = 2;

struct Word(AtomicU32);

// SAFETY: one atomic integer; zero is UNKNOWN.
unsafe impl Zeroed for Word {}

static LOCKS: Wiped<Word> = Wiped::new();

/// True when the loader answers in this process. At most a quarter of a second the first time, an atomic load afterwards.
pub(super) fn loader_answers() -> bool {
    let Ok(word) = LOCKS.map() else { return true };
    match word.0.load(Ordering::SeqCst) {
        SOUND => true,
        HELD => false,
        _ => {
            let answers = within(LIMIT, move || {
                super::objects::touch();
                // Also when it came too late for whoever asked.
                word.0.store(SOUND, Ordering::SeqCst);
            });
            if !answers {
                let _ = word.0.compare_exchange(UNKNOWN, HELD, Ordering::SeqCst, Ordering::SeqCst);
            }
            word.0.load(Ordering::SeqCst) == SOUND
        }
    }
}

/// Runs `f` on a thread with every signal blocked; false when it did not end within the limit (it goes on). Without a thread to
/// be had, on this one.
pub(super) fn within(limit: Duration, f: impl FnOnce() + Send + 'static) -> bool {
    let job = Arc::new(Mutex::new(Some(f)));
    let done = Arc::new((AtomicBool::new(false), Wake::new()));
    let run = {
        let (job, done) = (Arc::clone(&job), Arc::clone(&done));
        move || {
            take_and_run(&job);
            done.0.store(true, Ordering::SeqCst);
            done.1.notify();
        }
    };
    if super::thread::spawn("gs-loader", 256 * 1024, Box::new(run)).is_err() {
        take_and_run(&job);
        return true;
    }
    let until = At::now().plus(limit);
    loop {
        let seen = done.1.seen();
        if done.0.load(Ordering::SeqCst) {
            return true;
        }
        if At::now() >= until {
            return false;
        }
        done.1.wait(seen, until);
    }
}

fn take_and_run<F: FnOnce()>(job: &Mutex<Option<F>>) {
    let f = job.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(f) = f {
        f();
    }
}
