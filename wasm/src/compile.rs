//! Compiling in the background (never at the signal): one thread for all hooks, there only while there is something to do.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graceshut::clock::At;
use graceshut::{Context, Error};
use wasmtime::Engine;

use crate::cache;
use crate::check::Shape;
use crate::link::{Compiled, Linked};

/// How often a hook that waits for its code looks whether its time has passed.
const LOOK: Duration = Duration::from_millis(50);

enum State {
    Compiling,
    Ready(Linked),
    Failed(String),
}

/// The code of one hook, from its registration on.
pub(crate) struct Code {
    engine: &'static Engine,
    bytes: Arc<[u8]>,
    pub(crate) shape: Shape,
    state: Mutex<State>,
    from_cache: AtomicBool,
    changed: Condvar,
}

struct Queue {
    jobs: VecDeque<Arc<Code>>,
    /// The process in which a thread works on them: a forked child has none.
    worker: Option<u32>,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { jobs: VecDeque::new(), worker: None });

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Code {
    /// Begins to compile.
    ///
    /// # Errors
    /// `Os` when no thread can be made.
    pub(crate) fn begin(engine: &'static Engine, bytes: Arc<[u8]>, shape: Shape) -> Result<Arc<Code>, Error> {
        let state = Mutex::new(State::Compiling);
        let code = Arc::new(Code { engine, bytes, shape, state, from_cache: AtomicBool::new(false), changed: Condvar::new() });
        let mut queue = queue();
        if queue.worker != Some(std::process::id()) {
            queue.jobs.clear();
            let made = std::thread::Builder::new().name("gs-wasm".to_owned()).spawn(work);
            made.map_err(|e| Error::os("cannot make the thread that compiles WebAssembly", &e))?;
            queue.worker = Some(std::process::id());
        }
        queue.jobs.push_back(Arc::clone(&code));
        Ok(code)
    }

    pub(crate) fn engine(&self) -> &'static Engine {
        self.engine
    }

    fn compile(&self) {
        let made = catch_unwind(AssertUnwindSafe(|| {
            let compiled = self.compiled()?;
            compiled.link(self.engine, &self.shape).map_err(|e| format!("cannot be linked: {e:#}"))
        }));
        let state = match made {
            Ok(Ok(pre)) => State::Ready(pre),
            Ok(Err(why)) => State::Failed(why),
            Err(_) => State::Failed("cannot be compiled: the compiler failed, please report it".to_owned()),
        };
        *self.lock() = state;
        self.changed.notify_all();
    }

    fn compiled(&self) -> Result<Compiled, String> {
        let (name, entry) = (cache::name(self.engine, &self.bytes), self.shape.entry);
        if let Some(compiled) = cache::load(self.engine, entry, &name) {
            self.from_cache.store(true, SeqCst);
            return Ok(compiled);
        }
        let made = Compiled::new(self.engine, entry, &self.bytes).map_err(|e| format!("cannot be compiled: {e:#}"))?;
        cache::store(&made, &name);
        Ok(made)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the code, as long as the hook has time. `None`: its time has passed.
    pub(crate) fn wait(&self, context: &Context) -> Option<Result<Linked, String>> {
        let mut state = self.lock();
        loop {
            match &*state {
                State::Ready(pre) => return Some(Ok(pre.clone())),
                State::Failed(why) => return Some(Err(why.clone())),
                State::Compiling => {}
            }
            if context.deadline() <= At::now() {
                return None;
            }
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until it is compiled, at most `limit`; for tools that run outside a shutdown. Answers whether it was cached,
    /// `None` when it is still being compiled.
    ///
    /// # Errors
    /// Why it cannot be compiled.
    pub(crate) fn finish(&self, limit: Duration) -> Result<Option<bool>, String> {
        let until = At::now().plus(limit);
        let mut state = self.lock();
        loop {
            match &*state {
                State::Ready(_) => return Ok(Some(self.from_cache.load(SeqCst))),
                State::Failed(why) => return Err(why.clone()),
                State::Compiling if At::now() >= until => return Ok(None),
                State::Compiling => {}
            }
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The thread's body.
fn work() {
    crate::threads::block_signals();
    loop {
        let job = {
            let mut queue = queue();
            let job = queue.jobs.pop_front();
            if job.is_none() {
                queue.worker = None;
            }
            job
        };
        let Some(code) = job else { return };
        code.compile();
    }
}
