//! From any thread to the loops: one threadsafe function for each environment (the main thread's, and those of worker threads
//! that joined) that never keeps a loop alive, and what waits for an answer.
//!
//! Costs: one boxed message and one futex for a post. Locks are held for a map operation, never across a call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graceshut::{Completion, Context, HookError};
use napi::Status;
use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};

/// What JavaScript's dispatcher is called with: kind, two numbers, text.
pub(crate) type Args = FnArgs<(u32, u32, u32, String)>;
type Loop = ThreadsafeFunction<Message, (), Args, Status, false, true, 0>;

/// A message to the loop. The numbers of the kinds are those of `lib/dispatch.js`.
#[derive(Debug)]
pub(crate) enum Message {
    /// Hook `0` may begin: JavaScript asks `begin` first.
    Hook(u32),
    /// The soft deadline of hook `0`.
    Cancel(u32),
    /// An event, as JSON.
    Event(String),
    /// Every phase is over, the report is written and every event was posted; leave with this status.
    Finished(i32),
    /// The core wants to leave with this status; `Finished` follows unless events were too many to be kept.
    Leave(i32),
    /// Run reload hook `hook`, and answer `call`.
    Reload { hook: u32, call: u32 },
    /// The main thread uninstalled: for worker threads.
    Closed,
}

impl Message {
    fn args(self) -> Args {
        match self {
            Message::Hook(id) => (0, id, 0, String::new()),
            Message::Cancel(id) => (1, id, 0, String::new()),
            Message::Event(json) => (2, 0, 0, json),
            Message::Finished(code) => (3, code.cast_unsigned(), 0, String::new()),
            Message::Leave(code) => {
                TAKEN.store(true, SeqCst);
                (5, code.cast_unsigned(), 0, String::new())
            }
            Message::Reload { hook, call } => (4, hook, call, String::new()),
            Message::Closed => (6, 0, 0, String::new()),
        }
        .into()
    }
}

/// The main thread's loop has taken [`Message::Leave`], or is gone.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the main thread has heard that it is to leave.
pub(crate) fn is_leaving() -> bool {
    TAKEN.load(SeqCst)
}

/// The environment of the main thread.
pub(crate) const MAIN: u32 = 0;

static NEXT_ENV: AtomicU32 = AtomicU32::new(MAIN + 1);
static NEXT_HOOK: AtomicU32 = AtomicU32::new(1);

/// One JavaScript environment.
struct Environment {
    post: Arc<Loop>,
    /// What it registered, by the core's numbers. The main thread's are not kept: they live as long as the install.
    hooks: Vec<u32>,
    /// Units of each group it has in flight, as the environment itself counts them.
    ledgers: HashMap<String, Ledger>,
}

/// A counter that one worker thread writes and its end reads.
pub(crate) type Ledger = Arc<AtomicU32>;

#[derive(Default)]
struct Bridge {
    loops: HashMap<u32, Environment>,
    /// Hooks handed to a loop that have not ended, by JavaScript's number, and whose they are.
    running: HashMap<u32, (u32, Completion)>,
    /// Contexts of hooks that began, kept for the install: a hook may ask after it was abandoned.
    contexts: HashMap<u32, Context>,
    reloads: HashMap<u32, (u32, SyncSender<Option<String>>)>,
    next_call: u32,
}

static BRIDGE: Mutex<Option<Bridge>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Bridge>> {
    BRIDGE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn build(post: &Function<'_, Args, ()>) -> napi::Result<Environment> {
    let tsfn = post
        .build_threadsafe_function::<Message>()
        .weak::<true>()
        .callee_handled::<false>()
        .build_callback(|ctx| Ok(ctx.value.args()))?;
    Ok(Environment { post: Arc::new(tsfn), hooks: Vec::new(), ledgers: HashMap::new() })
}

/// A number for a hook, unlike that of any other environment.
pub(crate) fn hook_number() -> u32 {
    NEXT_HOOK.fetch_add(1, SeqCst)
}

/// Makes the main thread's threadsafe function, once an install; it is weak: it keeps no idle process alive (C27).
pub(crate) fn open(post: &Function<'_, Args, ()>) -> napi::Result<()> {
    let main = build(post)?;
    TAKEN.store(false, SeqCst);
    let old = lock().replace(Bridge { loops: HashMap::from([(MAIN, main)]), ..Bridge::default() });
    drop(old);
    Ok(())
}

/// As [`open`] for a worker thread; its number, or `None` when nothing is installed.
pub(crate) fn join(post: &Function<'_, Args, ()>) -> napi::Result<Option<u32>> {
    let worker = build(post)?;
    let mut bridge = lock();
    let Some(b) = bridge.as_mut() else { return Ok(None) };
    let env = NEXT_ENV.fetch_add(1, SeqCst);
    b.loops.insert(env, worker);
    Ok(Some(env))
}

/// What a worker thread leaves behind.
pub(crate) struct Remains {
    /// The core's numbers of its hooks.
    pub(crate) hooks: Vec<u32>,
    /// Work in flight that nobody will end.
    pub(crate) in_flight: Vec<(String, u32)>,
    running: Vec<Completion>,
    reloads: Vec<SyncSender<Option<String>>>,
}

impl Remains {
    /// Ends what the worker was running, after its other hooks were taken out.
    pub(crate) fn end(self) {
        for completion in self.running {
            completion.finish(Err(HookError::failed("the worker thread of this hook has ended")));
        }
        drop(self.reloads);
    }
}

/// Nothing is posted to `env` from here on. On its thread, as it ends.
pub(crate) fn part(env: u32) -> Option<Remains> {
    let mut bridge = lock();
    let b = bridge.as_mut()?;
    let gone = b.loops.remove(&env)?;
    let mine: Vec<u32> = b.running.iter().filter(|(_, (of, _))| *of == env).map(|(id, _)| *id).collect();
    let running = mine.into_iter().filter_map(|id| b.running.remove(&id)).map(|(_, completion)| completion).collect();
    let calls: Vec<u32> = b.reloads.iter().filter(|(_, (of, _))| *of == env).map(|(call, _)| *call).collect();
    let reloads = calls.into_iter().filter_map(|call| b.reloads.remove(&call)).map(|(_, answer)| answer).collect();
    let in_flight = gone.ledgers.iter().map(|(name, n)| (name.clone(), n.load(SeqCst))).collect();
    drop(bridge);
    Some(Remains { hooks: gone.hooks, in_flight, running, reloads })
}

/// Notes that `env` registered the core's hook `id`, so that it goes with its environment.
pub(crate) fn owns(env: u32, id: u32) {
    if env != MAIN
        && let Some(of) = lock().as_mut().and_then(|b| b.loops.get_mut(&env))
    {
        of.hooks.push(id);
    }
}

/// The ledger of `env` for a group.
pub(crate) fn ledger(env: u32, group: &str) -> Option<Ledger> {
    let mut bridge = lock();
    let of = bridge.as_mut()?.loops.get_mut(&env)?;
    Some(Arc::clone(of.ledgers.entry(group.to_owned()).or_default()))
}

/// Nothing is posted from here on; reload hooks that wait for an answer fail. Any thread.
pub(crate) fn close() {
    for env in envs() {
        if env != MAIN {
            post(env, Message::Closed);
        }
    }
    let old = lock().take();
    // What JavaScript still runs stays its own affair: no completion is dropped into a runtime that may be closing.
    if let Some(Bridge { running, .. }) = old {
        for (_, (_, completion)) in running {
            completion.finish(Err(HookError::failed("the JavaScript environment ended")));
        }
    }
}

fn envs() -> Vec<u32> {
    lock().as_ref().map(|b| b.loops.keys().copied().collect()).unwrap_or_default()
}

/// Posts to one loop without blocking. Messages to a loop that has ended are dropped. Any thread.
pub(crate) fn post(env: u32, message: Message) {
    let post = lock().as_ref().and_then(|b| b.loops.get(&env)).map(|l| Arc::clone(&l.post));
    if let Some(post) = post {
        // Closing is the only failure, and it means that nobody is there to hear.
        let _ = post.call(message, ThreadsafeFunctionCallMode::NonBlocking);
    }
}

/// Tells the main thread to leave. Where its environment has ended, which was a worker's that loaded the addon by itself, nothing will
/// ever hear of it.
pub(crate) fn tell_to_leave(code: i32) {
    let post = lock().as_ref().and_then(|b| b.loops.get(&MAIN)).map(|l| Arc::clone(&l.post));
    let told = post.is_some_and(|post| post.call(Message::Leave(code), ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok);
    if !told {
        TAKEN.store(true, SeqCst);
    }
}

/// Posts to every loop.
pub(crate) fn post_all(message: impl Fn() -> Message) {
    for env in envs() {
        post(env, message());
    }
}

/// Hands hook `id` over to its loop. On a `gs-host` worker; never blocks.
pub(crate) fn hand_over(env: u32, id: u32, context: &Context, completion: Completion) {
    {
        let mut bridge = lock();
        let Some(b) = bridge.as_mut().filter(|b| b.loops.contains_key(&env)) else {
            drop(bridge);
            return completion.finish(Err(HookError::failed("the JavaScript environment has ended")));
        };
        b.contexts.insert(id, context.clone());
        b.running.insert(id, (env, completion));
    }
    context.on_cancel_inline(move || post(env, Message::Cancel(id)));
    post(env, Message::Hook(id));
}

/// The context of a hook that was handed over.
pub(crate) fn context(id: u32) -> Option<Context> {
    lock().as_ref().and_then(|b| b.contexts.get(&id).cloned())
}

/// Takes the right to end hook `id`; `None` when it was used already.
pub(crate) fn completion(id: u32) -> Option<Completion> {
    lock().as_mut().and_then(|b| b.running.remove(&id)).map(|(_, completion)| completion)
}

/// Notes that a reload worker waits for an answer of `env`; its number.
pub(crate) fn expect(env: u32, answer: SyncSender<Option<String>>) -> Option<u32> {
    let mut bridge = lock();
    let b = bridge.as_mut().filter(|b| b.loops.contains_key(&env))?;
    b.next_call = b.next_call.wrapping_add(1);
    b.reloads.insert(b.next_call, (env, answer));
    Some(b.next_call)
}

/// Whoever waits for the answer to reload `call`.
pub(crate) fn expected(call: u32) -> Option<SyncSender<Option<String>>> {
    lock().as_mut().and_then(|b| b.reloads.remove(&call)).map(|(_, answer)| answer)
}
