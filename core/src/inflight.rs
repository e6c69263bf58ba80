//! Work in flight (spec 9): striped counters in plain memory, the state word beside them.
//!
//! The layout is ABI, version 1. Any host that can touch memory counts with its own atomics and makes no call:
//!
//! ```text
//! offset  type  meaning
//!      0  u32   magic 0x46495347 ("GSIF" in little endian)
//!      4  u32   layout version, 1
//!      8  u32   number of stripes S, a power of two
//!     12  u32   distance between stripes in bytes, 128
//!     16  u32   offset of stripe 0, 128
//!     64  u32   state word: 0 running, 1 announced, 2 draining
//!    128  u32   stripe 0: entered          (64 bytes further: left)
//!    192  u32   stripe 0: left
//!    256  u32   stripe 1: entered, and so on
//! ```
//!
//! Rules, all accesses sequentially consistent, counters wrap at 2^32:
//! - enter: add 1 to `entered` of any stripe, then read the word; if it is 2, add 1 to `left` of the same stripe and refuse.
//! - leave: add 1 to `left` of any stripe, then read the word; if it is 2, call `graceshut_inflight_wake` (a waiting drain).
//! - a part of accepted work enters without looking at the word and is never refused.
//! - count: read every `left` before any `entered`; the wrapped difference of the sums is what is in flight, never too low.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

use once_cell::race::OnceBox;

use crate::error::{Error, ErrorKind};

/// "GSIF" in little endian.
pub const MAGIC: u32 = 0x4649_5347;
/// Layout version.
pub const VERSION: u32 = 1;
/// Stripes of a page.
pub const STRIPES: usize = 16;
/// Bytes of a page.
pub const PAGE_BYTES: usize = size_of::<Page>();

/// The word while the process runs.
pub const RUNNING: u32 = 0;
/// The word from the trigger on.
pub const ANNOUNCED: u32 = 1;
/// The word from the start of `drain` on.
pub const DRAINING: u32 = 2;

/// Most named groups; more is a mistake (a group per request).
const GROUPS: usize = 64;

#[repr(C, align(64))]
struct Line {
    value: AtomicU32,
}

#[repr(C)]
struct Stripe {
    entered: Line,
    left: Line,
}

#[repr(C, align(64))]
struct Head {
    magic: u32,
    version: u32,
    stripes: u32,
    stride: u32,
    first: u32,
}

/// One group's page; see the module documentation for the layout.
#[repr(C, align(128))]
pub struct Page {
    head: Head,
    word: Line,
    stripes: [Stripe; STRIPES],
}

// The documented offsets, checked by the compiler.
const _: () = {
    assert!(std::mem::offset_of!(Page, word) == 64);
    assert!(std::mem::offset_of!(Page, stripes) == 128);
    assert!(size_of::<Stripe>() == 128);
    assert!(std::mem::offset_of!(Stripe, left) == 64);
};

impl Page {
    const fn new() -> Page {
        Page {
            head: Head { magic: MAGIC, version: VERSION, stripes: STRIPES as u32, stride: 128, first: 128 },
            word: Line { value: AtomicU32::new(RUNNING) },
            stripes: [const { Stripe { entered: Line { value: AtomicU32::new(0) }, left: Line { value: AtomicU32::new(0) } } };
                STRIPES],
        }
    }

    /// The state word: [`RUNNING`], [`ANNOUNCED`] or [`DRAINING`].
    #[inline]
    #[must_use]
    pub fn word(&self) -> u32 {
        self.word.value.load(SeqCst)
    }

    /// Units of work in flight; never lower than the truth at some instant during the call. 0 where more left than entered.
    #[must_use]
    pub fn count(&self) -> u32 {
        let sum = |f: fn(&Stripe) -> &Line| self.stripes.iter().fold(0u32, |n, s| n.wrapping_add(f(s).value.load(SeqCst)));
        // Every `left` before any `entered`: a unit that leaves between the two sums is counted as still there.
        let left = sum(|s| &s.left);
        let there = sum(|s| &s.entered).wrapping_sub(left);
        if there > u32::MAX / 2 { 0 } else { there }
    }

    /// The page's address, for hosts that count by themselves.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        std::ptr::from_ref(self).cast()
    }
}

struct Group {
    name: String,
    page: Page,
}

static DEFAULT: Page = Page::new();
/// Named groups, append-only and without a lock: a forked child may come here while its parent held one.
static GROUP_SLOTS: [OnceBox<Group>; GROUPS] = [const { OnceBox::new() }; GROUPS];
static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

#[inline]
fn stripe() -> usize {
    STRIPE.with(|s| {
        if s.get() == usize::MAX {
            s.set(NEXT_STRIPE.fetch_add(1, SeqCst) % STRIPES);
        }
        s.get()
    })
}

/// One group of work in flight. Copies stand for the same group; entering and leaving take no lock and make no call.
#[derive(Clone, Copy)]
pub struct InFlight {
    page: &'static Page,
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InFlight({} in flight, word {})", self.page.count(), self.page.word())
    }
}

impl InFlight {
    /// The group without a name.
    #[must_use]
    pub fn default_group() -> InFlight {
        InFlight { page: &DEFAULT }
    }

    /// The group `name` ("" is the default one), made when first asked for. Pages live as long as the process.
    ///
    /// # Errors
    /// [`ErrorKind::BadValue`] when there would be more than 64 groups.
    pub fn group(name: &str) -> Result<InFlight, Error> {
        if name.is_empty() {
            return Ok(InFlight::default_group());
        }
        let mut made = Some(Box::new(Group { name: name.to_owned(), page: Page::new() }));
        for slot in &GROUP_SLOTS {
            if slot.get().is_none()
                && let Some(group) = made.take()
            {
                group.page.word.value.store(DEFAULT.word(), SeqCst);
                // Somebody else may have been faster: then the slot holds theirs, and ours goes on to the next one.
                made = slot.set(group).err();
            }
            if let Some(group) = slot.get()
                && group.name == name
            {
                return Ok(InFlight { page: &group.page });
            }
        }
        let message = format!("in-flight group \"{name}\" would be number {}; use at most {GROUPS}", GROUPS + 1);
        Err(Error::new(ErrorKind::BadValue, message))
    }

    /// Counts one unit of work in; `None` once work is refused (the word says 2). The guard's end counts it out.
    #[inline]
    #[must_use]
    pub fn enter(&self) -> Option<Guard> {
        let guard = self.enter_part();
        // Pairs with `set_word`: either the add is seen by the drain that set 2, or the 2 is seen here.
        if guard.word.value.load(SeqCst) < DRAINING { Some(guard) } else { None }
    }

    /// Counts a part of already accepted work in; never refuses.
    #[inline]
    pub fn enter_part(&self) -> Guard {
        let stripe = &self.page.stripes[stripe() % STRIPES];
        stripe.entered.value.fetch_add(1, SeqCst);
        Guard { stripe, word: &self.page.word }
    }

    /// Counts one unit out that was entered without a guard (C, or memory shared with another language).
    pub fn leave(&self) {
        leave(&self.page.stripes[stripe() % STRIPES], &self.page.word);
    }

    /// Units in flight in this group.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.page.count()
    }

    /// The page itself.
    #[must_use]
    pub fn page(&self) -> &'static Page {
        self.page
    }
}

#[inline]
fn leave(stripe: &Stripe, word: &Line) {
    stripe.left.value.fetch_add(1, SeqCst);
    if word.value.load(SeqCst) == DRAINING {
        wake();
    }
}

/// Wakes a drain that waits for work in flight; for hosts that count by themselves. Harmless at any time.
pub fn wake() {
    crate::signal::wake().notify();
}

/// One unit of work in flight. Dropping it counts the unit out, on whatever thread that happens.
#[must_use = "the unit of work ends when the guard is dropped"]
pub struct Guard {
    stripe: &'static Stripe,
    word: &'static Line,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Page({} in flight)", self.count())
    }
}

impl Guard {
    /// Counts a part of this unit in (a sub-request, a spawned task); never refuses.
    pub fn enter(&self) -> Guard {
        self.stripe.entered.value.fetch_add(1, SeqCst);
        Guard { stripe: self.stripe, word: self.word }
    }

    /// Gives the count away: somebody else calls [`InFlight::leave`].
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        leave(self.stripe, self.word);
    }
}

fn every_page(mut f: impl FnMut(&'static Page)) {
    f(&DEFAULT);
    for group in GROUP_SLOTS.iter().map_while(OnceBox::get) {
        f(&group.page);
    }
}

/// Sets the word of every group (spec 9.1).
pub(crate) fn set_word(word: u32) {
    every_page(|p| p.word.value.store(word, SeqCst));
}

/// Units in flight in all groups together.
#[must_use]
pub fn total() -> u64 {
    let mut n = 0;
    every_page(|p| n += u64::from(p.count()));
    n
}

/// A forked child starts with nothing in flight: what its parent was doing is not its own.
pub(crate) fn forget_all() {
    every_page(|p| {
        for s in &p.stripes {
            s.left.value.store(s.entered.value.load(SeqCst), SeqCst);
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // One test: the 64 groups are the process's, and the last part uses them up.
    #[test]
    fn groups_count_refuse_and_are_limited() {
        let group = InFlight::group("counts").unwrap();
        let a = group.enter().unwrap();
        let part = a.enter();
        let b = std::thread::spawn(move || group.enter().unwrap()).join().unwrap();
        assert_eq!(group.count(), 3);
        group.page.word.value.store(DRAINING, SeqCst);
        assert!(group.enter().is_none());
        let late_part = b.enter();
        assert_eq!(group.count(), 4);
        drop((a, part, b, late_part));
        assert_eq!(group.count(), 0);

        let mut last = Ok(InFlight::default_group());
        for i in 0..=GROUPS {
            last = InFlight::group(&format!("many-{i}"));
        }
        assert_eq!(last.unwrap_err().kind(), ErrorKind::BadValue);
    }
}
