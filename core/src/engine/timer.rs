//! Soft and hard deadlines in order. A timer that was overtaken by a retiming stays in the heap and is dropped when it
//! comes up: the hook's own fields say what counts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::registry::HookId;
use crate::clock::At;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// A held install has waited long enough.
    Hold,
    /// The signal after a preStop has not come in its time.
    Wait,
    /// Look at this hook: something of it may be due.
    Hook(HookId),
}

#[derive(Debug)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(At, Timer)>>,
}

impl Timers {
    pub(super) fn new() -> Timers {
        Timers { heap: BinaryHeap::with_capacity(8) }
    }

    /// Sets room aside for all hooks: soft, hard, and one retiming of each.
    pub(super) fn reserve_for_hooks(&mut self, hooks: usize) {
        let (want, capacity) = (8 + 4 * hooks, self.heap.capacity());
        if capacity < want {
            self.heap.reserve(want.max(2 * capacity) - self.heap.len());
        }
    }

    pub(super) fn push(&mut self, at: At, timer: Timer) {
        if !at.is_never() {
            self.heap.push(Reverse((at, timer)));
        }
    }

    pub(super) fn next(&self) -> At {
        self.heap.peek().map_or(At::NEVER, |Reverse((at, _))| *at)
    }

    pub(super) fn pop_due(&mut self, now: At) -> Option<Timer> {
        if self.next() <= now { self.heap.pop().map(|Reverse((_, timer))| timer) } else { None }
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
    }

    /// Keeps what still counts, once, so that retimings cannot outgrow what was set aside.
    pub(super) fn compact(&mut self, mut counts: impl FnMut(At, Timer) -> bool) {
        let mut all = std::mem::take(&mut self.heap).into_sorted_vec();
        all.retain(|Reverse((at, timer))| counts(*at, *timer));
        all.dedup();
        self.heap = BinaryHeap::from(all);
    }

    /// True when two timers more would have to allocate.
    pub(super) fn lacks_room(&self) -> bool {
        self.heap.len() + 2 > self.heap.capacity()
    }
}
