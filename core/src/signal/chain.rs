//! What ours replaced, and how far a chain of handlers may go (spec 3.5, 3.7; embedding A11, C25, D32).
//!
//! Per signal a short stack: at the bottom what was there at the first install, above it foreign handlers that were found
//! on top of ours and that ours was put over again. A foreign handler usually saved *ours* as its previous and calls it; the
//! guard sees that, and the handler goes on one level below instead of starting again. So every handler in the stack
//! runs at most once per signal, in the order the host would expect, and the recursion of A11 cannot happen.
//!
//! A foreign handler that leads back stays in the stack: dropping it (the other reading of A11) would starve a host
//! handler that does its own work and then calls the previous one, on the second HUP for example.
//!
//! One that takes itself out puts the entry of ours back that it had replaced. Each level knows from which entry on it is
//! under ours (its generation): entered through an older one, the handler passes it over, and a look forgets it.
//!
//! Ordinary static memory: a child must still read what was there before us (spec 10.1). Written only under `Live::lock`; read
//! by handlers at any time. A level's `handler` is one word and is the truth; flags and mask of another moment do no harm,
//! since a handler is always called with all three arguments.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::arm::Chain;
use super::disposition::Disposition;
use super::entry;
use crate::process::rendezvous::ENTRIES;

/// Most handlers in a chain, the bottom among them; beyond that the oldest foreign one is forgotten.
const LEVELS: usize = 5;

struct Level {
    handler: AtomicUsize,
    flags: AtomicU64,
    restorer: AtomicUsize,
    mask: AtomicU64,
    /// It is under ours where ours was entered through this generation or a later one.
    since: AtomicU64,
    /// It may be called where that has to be asked (`Chain::UnlessItExits`).
    harmless: AtomicBool,
}

/// What ours replaced, for one signal.
pub(super) struct Saved {
    levels: [Level; LEVELS],
    count: AtomicUsize,
    /// The generation of the entry that was put in place last. The kernel may hold an older one.
    newest: AtomicU64,
    /// What the kernel shows while ours is on top; differs from our address under an interposer that puts its own
    /// trampoline there (a sanitizer, libjsig). 0 when unknown.
    shown: AtomicUsize,
    /// Call the saved handlers?
    chained: AtomicBool,
    /// Whether to call it is asked anew for every handler found (`Chain::UnlessItExits`).
    asks_first: AtomicBool,
    /// The handler that was called last since the signal was armed: its level's `since`, plus one; 0: none was.
    called: AtomicU64,
    /// Ours was found replaced once: somebody may hold our address, so a handler found later may call it.
    exposed: AtomicBool,
    /// The bottom of the stack was there before us, so it cannot lead back.
    pristine: AtomicBool,
    /// The program had it ignored, and ours was put back.
    set_aside: AtomicBool,
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
                since: AtomicU64::new(0),
                harmless: AtomicBool::new(false),
            }
        }; LEVELS],
        count: AtomicUsize::new(0),
        newest: AtomicU64::new(0),
        shown: AtomicUsize::new(0),
        chained: AtomicBool::new(false),
        asks_first: AtomicBool::new(false),
        called: AtomicU64::new(0),
        exposed: AtomicBool::new(false),
        pristine: AtomicBool::new(false),
        set_aside: AtomicBool::new(false),
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

    fn write(&self, level: usize, d: &Disposition, since: u64, harmless: bool) {
        if let Some(l) = self.levels.get(level) {
            l.harmless.store(false, Ordering::SeqCst);
            l.since.store(since, Ordering::SeqCst);
            l.flags.store(d.flags, Ordering::SeqCst);
            l.restorer.store(d.restorer, Ordering::SeqCst);
            l.mask.store(d.mask, Ordering::SeqCst);
            l.handler.store(d.handler, Ordering::SeqCst);
            l.harmless.store(harmless, Ordering::SeqCst);
        }
    }

    fn since(&self, level: usize) -> u64 {
        self.levels.get(level).map_or(0, |l| l.since.load(Ordering::SeqCst))
    }

    fn is_harmless(&self, level: usize) -> bool {
        self.levels.get(level).is_some_and(|l| l.harmless.load(Ordering::SeqCst))
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

    /// The generation that an entry stands for: the last one it was used for. One whose number came around again since is
    /// taken for the later one.
    pub(super) fn generation_of(&self, entry: u64) -> u64 {
        let newest = self.newest.load(Ordering::SeqCst);
        let age = (newest % ENTRIES as u64 + ENTRIES as u64).saturating_sub(entry) % ENTRIES as u64;
        newest.checked_sub(age).unwrap_or(newest)
    }

    /// The generation of ours when the kernel holds `handler`. An interposer's trampoline does not tell: the newest then.
    pub(super) fn generation(&self, handler: usize) -> u64 {
        entry::number(handler).map_or_else(|| self.newest.load(Ordering::SeqCst), |entry| self.generation_of(entry))
    }

    /// How many levels are under ours where it is entered through `generation`.
    fn levels_of(&self, generation: u64) -> usize {
        let count = self.count();
        (0..count).rev().find(|level| self.since(*level) <= generation).map_or(0, |level| level + 1)
    }

    /// The depth at which the levels of `generation` begin: 1 where all are meant.
    pub(super) fn depth(&self, generation: u64) -> u32 {
        u32::try_from(self.count().saturating_sub(self.levels_of(generation))).unwrap_or(0).saturating_add(1)
    }

    /// What is under ours where it is entered through `generation`.
    pub(super) fn under(&self, generation: u64) -> Disposition {
        self.levels_of(generation).checked_sub(1).map_or(Disposition::DEFAULT, |level| self.read(level))
    }

    /// Forgets what was found over the entry of ours that the kernel holds now: it has taken itself out. Under the lock.
    pub(super) fn settle(&self, kernels: usize) {
        if self.is_ours(kernels) {
            self.count.store(self.levels_of(self.generation(kernels)), Ordering::SeqCst);
        }
    }

    /// What is under ours in a process that is not ours.
    pub(super) fn outside(&self, generation: u64) -> Disposition {
        match self.outside.load(Ordering::SeqCst) {
            0 => self.under(generation),
            word => Disposition { handler: word - 1, ..Disposition::DEFAULT },
        }
    }

    /// The entry of ours to put in place now.
    pub(super) fn address(&self) -> usize {
        entry::address(self.newest.load(Ordering::SeqCst))
    }

    /// True for our handler, through whichever entry, also as an interposer shows it.
    pub(super) fn is_ours(&self, handler: usize) -> bool {
        let shown = self.shown.load(Ordering::SeqCst);
        entry::number(handler).is_some() || (handler == shown && shown != 0)
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
            self.write(0, found, self.newest.load(Ordering::SeqCst), false);
            self.pristine.store(!exposed || !found.is_function(), Ordering::SeqCst);
            self.count.store(1, Ordering::SeqCst);
            return;
        }
        let count = self.count();
        if count > 0 && known == Some(count - 1) {
            // The same one again.
            self.write(count - 1, found, self.since(count - 1), self.is_harmless(count - 1));
            return;
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
            self.write(level, &self.read(level + 1), self.since(level + 1), self.is_harmless(level + 1));
        }
        // From the next entry on: the one that `found` replaced, and may put back, is not over it.
        let since = self.newest.load(Ordering::SeqCst) + 1;
        self.write(top, found, since, false);
        self.count.store(top + 1, Ordering::SeqCst);
        self.newest.store(since, Ordering::SeqCst);
    }

    /// Whether the program had the signal ignored when ours was put back: it wants to go on.
    pub(super) fn note_set_aside(&self, was_ignored: bool) {
        self.set_aside.store(was_ignored, Ordering::SeqCst);
    }

    pub(super) fn is_set_aside(&self) -> bool {
        self.set_aside.load(Ordering::SeqCst)
    }

    pub(super) fn is_chained(&self) -> bool {
        self.chained.load(Ordering::SeqCst)
    }

    /// Whether the top may be called, where that has to be asked.
    pub(super) fn set_harmless(&self, harmless: bool) {
        if let Some(level) = self.count().checked_sub(1).and_then(|top| self.levels.get(top)) {
            level.harmless.store(harmless, Ordering::SeqCst);
        }
    }

    /// Where it has to be asked, nothing is called before it is known to be harmless.
    pub(super) fn set_chain(&self, chain: Chain) {
        self.asks_first.store(chain == Chain::UnlessItExits, Ordering::SeqCst);
        self.chained.store(chain != Chain::Never, Ordering::SeqCst);
    }

    pub(super) fn asks_first(&self) -> bool {
        self.asks_first.load(Ordering::SeqCst)
    }

    /// The function that is called after ours, entered through `generation`.
    pub(super) fn called_after(&self, generation: u64) -> Option<usize> {
        self.callable(self.levels_of(generation).checked_sub(1)?).map(|found| found.handler)
    }

    /// True when a handler that is under ours in `generation` was called since the signal was armed; one that asked for
    /// SA_RESETHAND is gone by then.
    pub(super) fn has_called(&self, generation: u64) -> bool {
        self.called.load(Ordering::SeqCst).checked_sub(1).is_some_and(|since| since <= generation)
    }

    pub(super) fn forget_calls(&self) {
        self.called.store(0, Ordering::SeqCst);
    }

    fn callable(&self, level: usize) -> Option<Disposition> {
        let found = self.read(level);
        let may_be = self.is_chained() && (!self.asks_first() || self.is_harmless(level));
        (may_be && found.is_function() && !self.is_ours(found.handler)).then_some(found)
    }

    /// The handler function to call at `depth` (1 = the top), if this signal is chained. One that asked for SA_RESETHAND is
    /// given out once.
    pub(super) fn next(&self, depth: u32) -> Option<usize> {
        let level = self.count().checked_sub(depth as usize)?;
        let found = self.callable(level)?;
        if found.has(libc::SA_RESETHAND) {
            let slot = &self.levels.get(level)?.handler;
            slot.compare_exchange(found.handler, libc::SIG_DFL, Ordering::SeqCst, Ordering::SeqCst).ok()?;
        }
        self.called.store(self.since(level).saturating_add(1), Ordering::SeqCst);
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
