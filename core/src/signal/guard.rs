//! How far a chain of handlers may go: who is inside a chained handler, on which thread, and how deep (embedding A11).
//!
//! A foreign handler usually saved *ours* as its previous and calls it. The [`Guard`] tells such a call back from a new signal.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Most threads that may be inside a chained handler at a time; on more, chaining is left out (the signal is recorded).
const THREADS: usize = 128;
/// Most chained handlers that may interrupt each other on one thread.
const NESTED: u32 = 4;
/// Nesting older than this is a handler that jumped away (longjmp) and never came back.
const STALE_NS: u64 = 100_000_000;

struct Entry {
    /// The thread; 0 is free. The other fields belong to that thread alone.
    tid: AtomicU32,
    /// Levels of the stack in use.
    depth: AtomicU32,
    nested: AtomicU32,
    /// The context the kernel made for this signal: handlers hand it on, so a call with the same one is a call back.
    ctx: AtomicUsize,
    info: AtomicUsize,
    /// Where on the stack our handler was.
    frame: AtomicUsize,
    since: AtomicU64,
}

/// Who is inside a chained handler: a table keyed by thread, because thread-local storage may be allocated at first use
/// (A11). Zero is empty.
pub(super) struct Guard {
    entries: [Entry; THREADS],
}

/// One call of our handler, as the guard sees it.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub tid: u32,
    /// The kernel's context, or 0 when what came in its place cannot be it.
    pub ctx: usize,
    pub info: usize,
    pub frame: usize,
    pub now: u64,
    /// The first level of the stack that is meant: 1 is the top, more where we are called through an older entry.
    pub depth: u32,
}

/// What to do about chaining.
pub(super) enum Entered<'a> {
    /// A new signal: record it and call the top.
    New(Ticket<'a>),
    /// A chained handler led back to us: go on at this depth, record nothing. With the kernel's info and context, which the
    /// handler may not have handed on.
    Back { ticket: Ticket<'a>, depth: u32, info: usize, ctx: usize },
    /// Record it, but chain no further.
    Stop,
}

#[derive(Clone, Copy)]
struct Values {
    depth: u32,
    nested: u32,
    ctx: usize,
    info: usize,
    frame: usize,
    since: u64,
}

/// To be given back with [`Ticket::leave`] (no `Drop`: a host handler may jump over us).
pub(super) struct Ticket<'a> {
    entry: &'a Entry,
    before: Option<Values>,
}

impl Guard {
    pub(super) fn enter(&self, call: Call) -> Entered<'_> {
        let new =
            |nested| Values { depth: call.depth, nested, ctx: call.ctx, info: call.info, frame: call.frame, since: call.now };
        // Only this thread writes its own tid, so a miss is a miss.
        let Some(entry) = self.entries.iter().find(|e| e.tid.load(Ordering::Relaxed) == call.tid) else {
            for entry in &self.entries {
                if entry.tid.compare_exchange(0, call.tid, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    entry.fill(new(0));
                    return Entered::New(Ticket { entry, before: None });
                }
            }
            return Entered::Stop;
        };
        let before = entry.values();
        let ticket = Ticket { entry, before: Some(before) };
        // The kernel enters us at a fixed distance from the context it made; a call back has the context but not the
        // distance. Without a context to compare, deeper on the stack is taken for a call back.
        let back = if call.ctx == 0 { call.frame < before.frame } else { call.ctx == before.ctx && call.frame != before.frame };
        if back {
            let depth = before.depth.saturating_add(1).max(call.depth);
            entry.fill(Values { depth, ..before });
            return Entered::Back { ticket, depth, info: before.info, ctx: before.ctx };
        }
        let stale = call.frame >= before.frame || call.now.saturating_sub(before.since) > STALE_NS;
        let nested = if stale { 0 } else { before.nested.saturating_add(1) };
        if nested >= NESTED {
            return Entered::Stop;
        }
        entry.fill(new(nested));
        Entered::New(ticket)
    }
}

impl Entry {
    fn values(&self) -> Values {
        Values {
            depth: self.depth.load(Ordering::Relaxed),
            nested: self.nested.load(Ordering::Relaxed),
            ctx: self.ctx.load(Ordering::Relaxed),
            info: self.info.load(Ordering::Relaxed),
            frame: self.frame.load(Ordering::Relaxed),
            since: self.since.load(Ordering::Relaxed),
        }
    }

    fn fill(&self, to: Values) {
        self.depth.store(to.depth, Ordering::Relaxed);
        self.nested.store(to.nested, Ordering::Relaxed);
        self.ctx.store(to.ctx, Ordering::Relaxed);
        self.info.store(to.info, Ordering::Relaxed);
        self.frame.store(to.frame, Ordering::Relaxed);
        self.since.store(to.since, Ordering::Relaxed);
    }
}

impl Ticket<'_> {
    pub(super) fn leave(self) {
        match self.before {
            Some(before) => self.entry.fill(before),
            // Pairs with the compare-exchange in `enter`.
            None => self.entry.tid.store(0, Ordering::Release),
        }
    }
}
