//! What ours replaced, and how far a chain of handlers may go (spec 3.5, 3.7; embedding A11, C25, D32).
//!
//! Per signal a short stack: at the bottom what was there at the first install, above it foreign handlers that were found
//! on top of ours and that ours was put over again. A foreign handler usually saved *ours* as its previous and calls it; the
//! [`Guard`] sees that, and the handler goes on one level below instead of starting again. So every handler in the stack
//! runs at most once per signal, in the order the host would expect, and the recursion of A11 cannot happen.
//!
//! A foreign handler that leads back stays in the stack: dropping it (the other reading of A11) would starve a host
//! handler that does its own work and then calls the previous one, on the second HUP for example.
//!
//! Ordinary static memory: a child must still read what was there before us (spec 10.1). Written only under `Live::lock`; read
//! by handlers at any time. A level's `handler` is one word and is the truth; flags and mask of another moment do no harm,
//! since a handler is always called with all three arguments.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::arm::Chain;
use super::disposition::Disposition;
use super::handler;

/// Most handlers in a chain; beyond that the oldest foreign one is forgotten.
const LEVELS: usize = 4;

struct Level {
    handler: AtomicUsize,
    flags: AtomicU64,
    restorer: AtomicUsize,
    mask: AtomicU64,
}

/// What ours replaced, for one signal.
pub(super) struct Saved {
    levels: [Level; LEVELS],
    count: AtomicUsize,
    /// What the kernel shows while ours is on top; differs from our address under an interposer that puts its own
    /// trampoline there (a sanitizer, libjsig). 0 when unknown.
    shown: AtomicUsize,
    /// Call the saved handler?
    chained: AtomicBool,
    /// Whether to call it is asked anew for every handler found (`Chain::UnlessItExits`).
    asks_first: AtomicBool,
    /// It was called since it was armed.
    called: AtomicBool,
    /// Ours was found replaced once: somebody may hold our address, so a handler found later may call it.
    exposed: AtomicBool,
    /// The bottom of the stack was there before us, so it cannot lead back.
    pristine: AtomicBool,
    /// What a process that is not ours finds under ours, plus one; 0: the top of the stack. So all of it begins as zeroes, which take
    /// no room in the library's file.
    outside: AtomicUsize,
}

/// What a signal meets in a child that was not armed, where a binding knows better than the stack: its shim put a handler of
/// the host's in place that would not be there without graceshut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Outside {
    /// What ours replaced.
    #[default]
    Saved,
    /// The default action.
    Default,
    /// Nothing: the program ignores it.
    Ignored,
}

/// Says what `signo` meets in a child that has not armed (spec 10.1: as though graceshut had never been loaded). Kept until it
/// is said anew, also over fork. Any thread, never blocks; a number that is no signal is passed over.
pub fn set_outside(signo: i32, outside: Outside) {
    if let Some(saved) = saved(signo) {
        let word = match outside {
            Outside::Saved => 0,
            Outside::Default => libc::SIG_DFL + 1,
            Outside::Ignored => libc::SIG_IGN + 1,
        };
        saved.outside.store(word, Ordering::SeqCst);
    }
}

static SAVED: [Saved; 65] = [const {
    Saved {
        levels: [const {
            Level {
                handler: AtomicUsize::new(libc::SIG_DFL),
                flags: AtomicU64::new(0),
                restorer: AtomicUsize::new(0),
                mask: AtomicU64::new(0),
            }
        }; LEVELS],
        count: AtomicUsize::new(0),
        shown: AtomicUsize::new(0),
        chained: AtomicBool::new(false),
        asks_first: AtomicBool::new(false),
        called: AtomicBool::new(false),
        exposed: AtomicBool::new(false),
        pristine: AtomicBool::new(false),
        outside: AtomicUsize::new(0),
    }
}; 65];

/// What ours replaced for `signo`; `None` for what is no signal.
pub(super) fn saved(signo: i32) -> Option<&'static Saved> {
    usize::try_from(signo).ok().filter(|n| *n > 0).and_then(|n| SAVED.get(n))
}

impl Saved {
    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst).min(LEVELS)
    }

    fn read(&self, level: usize) -> Disposition {
        self.levels.get(level).map_or(Disposition::DEFAULT, |l| Disposition {
            handler: l.handler.load(Ordering::SeqCst),
            flags: l.flags.load(Ordering::SeqCst),
            restorer: l.restorer.load(Ordering::SeqCst),
            mask: l.mask.load(Ordering::SeqCst),
        })
    }

    fn write(&self, level: usize, d: &Disposition) {
        if let Some(l) = self.levels.get(level) {
            l.flags.store(d.flags, Ordering::SeqCst);
            l.restorer.store(d.restorer, Ordering::SeqCst);
            l.mask.store(d.mask, Ordering::SeqCst);
            l.handler.store(d.handler, Ordering::SeqCst);
        }
    }

    fn find(&self, handler: usize) -> Option<usize> {
        (0..self.count()).find(|level| self.read(*level).handler == handler)
    }

    /// What is under ours now; SIG_DFL when nothing was ever saved.
    pub(super) fn top(&self) -> Disposition {
        match self.count() {
            0 => Disposition::DEFAULT,
            n => self.read(n - 1),
        }
    }

    /// What is under ours in a process that is not ours.
    pub(super) fn outside(&self) -> Disposition {
        match self.outside.load(Ordering::SeqCst) {
            0 => self.top(),
            word => Disposition { handler: word - 1, ..Disposition::DEFAULT },
        }
    }

    /// True for our handler, also as an interposer shows it.
    pub(super) fn is_ours(&self, handler: usize) -> bool {
        let shown = self.shown.load(Ordering::SeqCst);
        handler == handler::address() || (handler == shown && shown != 0)
    }

    pub(super) fn show(&self, handler: usize) {
        self.shown.store(handler, Ordering::SeqCst);
    }

    pub(super) fn expose(&self) {
        self.exposed.store(true, Ordering::SeqCst);
    }

    /// Takes `found`, which is not ours, as what ours replaces.
    pub(super) fn adopt(&self, found: &Disposition) {
        let exposed = self.exposed.load(Ordering::SeqCst);
        let known = self.find(found.handler);
        if !found.is_function() || (!exposed && known.is_none()) {
            // The host took its handler away (B14, C24: what was below is not wanted any more), or has set another one
            // while ours was properly gone.
            self.count.store(0, Ordering::SeqCst);
            self.write(0, found);
            self.pristine.store(!exposed || !found.is_function(), Ordering::SeqCst);
            self.count.store(1, Ordering::SeqCst);
            return;
        }
        let mut count = self.count();
        if count > 0 && known == Some(count - 1) {
            // The same one again.
            self.write(count - 1, found);
            return;
        }
        if count == 1 && !self.read(0).is_function() {
            // Nothing to call below.
            count = 0;
            self.pristine.store(false, Ordering::SeqCst);
        }
        let gap = match known {
            Some(level) if level < count => level,
            _ if count == LEVELS => 1,
            _ => count,
        };
        if gap == 0 && count > 0 {
            self.pristine.store(false, Ordering::SeqCst);
        }
        // Move what is above the gap down, put `found` on top. A handler running meanwhile may call one level twice or
        // miss one, once.
        let top = if gap < count { count - 1 } else { count };
        for level in gap..top {
            self.write(level, &self.read(level + 1));
        }
        self.write(top, found);
        self.count.store(top + 1, Ordering::SeqCst);
    }

    pub(super) fn is_chained(&self) -> bool {
        self.chained.load(Ordering::SeqCst)
    }

    pub(super) fn set_chained(&self, chained: bool) {
        self.chained.store(chained, Ordering::SeqCst);
    }

    /// Not chained to before it is known what is there, where that has to be asked.
    pub(super) fn set_chain(&self, chain: Chain) {
        self.asks_first.store(chain == Chain::UnlessItExits, Ordering::SeqCst);
        self.set_chained(chain == Chain::Always);
    }

    pub(super) fn asks_first(&self) -> bool {
        self.asks_first.load(Ordering::SeqCst)
    }

    /// True when a handler would be called after ours.
    pub(super) fn has_next(&self) -> bool {
        let top = self.top();
        self.is_chained() && top.is_function() && !self.is_ours(top.handler)
    }

    /// True when one was called since the signal was armed; one that asked for SA_RESETHAND is gone by then.
    pub(super) fn has_called(&self) -> bool {
        self.called.load(Ordering::SeqCst)
    }

    pub(super) fn forget_calls(&self) {
        self.called.store(false, Ordering::SeqCst);
    }

    /// The handler function to call at `depth` (1 = the top), if this signal is chained. One that asked for SA_RESETHAND is
    /// given out once.
    pub(super) fn next(&self, depth: u32) -> Option<usize> {
        if !self.is_chained() {
            return None;
        }
        let level = self.count().checked_sub(depth as usize)?;
        let found = self.read(level);
        if !found.is_function() || self.is_ours(found.handler) {
            return None;
        }
        if found.has(libc::SA_RESETHAND) {
            let slot = &self.levels.get(level)?.handler;
            slot.compare_exchange(found.handler, libc::SIG_DFL, Ordering::SeqCst, Ordering::SeqCst).ok()?;
        }
        self.called.store(true, Ordering::SeqCst);
        Some(found.handler)
    }

    /// For a call that came through the foreign handler `on_top` in a process that is not ours: the handler under it, only
    /// if that one cannot lead back, since here is no memory to notice it in.
    pub(super) fn below(&self, on_top: usize) -> Option<usize> {
        let bottom = self.read(0);
        let reachable = self.count() > 0 && matches!(self.find(on_top), None | Some(1));
        (reachable && self.pristine.load(Ordering::SeqCst) && bottom.is_function()).then_some(bottom.handler)
    }
}

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
        let new = |nested| Values { depth: 1, nested, ctx: call.ctx, info: call.info, frame: call.frame, since: call.now };
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
            let depth = before.depth.saturating_add(1);
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
