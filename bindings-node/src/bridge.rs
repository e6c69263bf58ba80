//! From any thread to the loop: one threadsafe function that never keeps the loop alive, and what waits for an answer.
//!
//! Costs: one boxed message and one futex for a post. Locks are held for a map operation, never across a call.

use std::collections::HashMap;
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
}

impl Message {
    fn args(self) -> Args {
        match self {
            Message::Hook(id) => (0, id, 0, String::new()),
            Message::Cancel(id) => (1, id, 0, String::new()),
            Message::Event(json) => (2, 0, 0, json),
            Message::Finished(code) => (3, code.cast_unsigned(), 0, String::new()),
            Message::Leave(code) => (5, code.cast_unsigned(), 0, String::new()),
            Message::Reload { hook, call } => (4, hook, call, String::new()),
        }
        .into()
    }
}

#[derive(Default)]
struct Bridge {
    post: Option<Arc<Loop>>,
    /// Hooks handed to the loop that have not ended, by JavaScript's number.
    running: HashMap<u32, Completion>,
    /// Contexts of hooks that began, kept for the install: a hook may ask after it was abandoned.
    contexts: HashMap<u32, Context>,
    reloads: HashMap<u32, SyncSender<Option<String>>>,
    next_call: u32,
}

static BRIDGE: Mutex<Option<Bridge>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Bridge>> {
    BRIDGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the threadsafe function. Loop thread, once an install; it is weak: it keeps no idle process alive (C27).
pub(crate) fn open(post: &Function<'_, Args, ()>) -> napi::Result<()> {
    let tsfn = post
        .build_threadsafe_function::<Message>()
        .weak::<true>()
        .callee_handled::<false>()
        .build_callback(|ctx| Ok(ctx.value.args()))?;
    let old = lock().replace(Bridge { post: Some(Arc::new(tsfn)), ..Bridge::default() });
    drop(old);
    Ok(())
}

/// Nothing is posted from here on; reload hooks that wait for an answer fail. Any thread.
pub(crate) fn close() {
    let old = lock().take();
    // What JavaScript still runs stays its own affair: no completion is dropped into a runtime that may be closing.
    if let Some(Bridge { running, .. }) = old {
        for (_, completion) in running {
            completion.finish(Err(HookError::failed("the JavaScript environment ended")));
        }
    }
}

/// Posts without blocking. Messages to a loop that has ended are dropped. Any thread.
pub(crate) fn post(message: Message) {
    let post = lock().as_ref().and_then(|b| b.post.clone());
    if let Some(post) = post {
        // Closing is the only failure, and it means that nobody is there to hear.
        let _ = post.call(message, ThreadsafeFunctionCallMode::NonBlocking);
    }
}

/// Hands hook `id` over to the loop. On a `gs-host` worker; never blocks.
pub(crate) fn hand_over(id: u32, context: &Context, completion: Completion) {
    {
        let mut bridge = lock();
        let Some(b) = bridge.as_mut() else {
            drop(bridge);
            return completion.finish(Err(HookError::failed("the JavaScript environment has ended")));
        };
        b.contexts.insert(id, context.clone());
        b.running.insert(id, completion);
    }
    context.on_cancel_inline(move || post(Message::Cancel(id)));
    post(Message::Hook(id));
}

/// The context of a hook that was handed over.
pub(crate) fn context(id: u32) -> Option<Context> {
    lock().as_ref().and_then(|b| b.contexts.get(&id).cloned())
}

/// Takes the right to end hook `id`; `None` when it was used already.
pub(crate) fn completion(id: u32) -> Option<Completion> {
    lock().as_mut().and_then(|b| b.running.remove(&id))
}

/// Notes that a reload worker waits for an answer; its number.
pub(crate) fn expect(answer: SyncSender<Option<String>>) -> Option<u32> {
    let mut bridge = lock();
    let b = bridge.as_mut()?;
    b.next_call = b.next_call.wrapping_add(1);
    b.reloads.insert(b.next_call, answer);
    Some(b.next_call)
}

/// Whoever waits for the answer to reload `call`.
pub(crate) fn expected(call: u32) -> Option<SyncSender<Option<String>>> {
    lock().as_mut().and_then(|b| b.reloads.remove(&call))
}
