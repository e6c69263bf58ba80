//! The arithmetic of one total deadline (spec 5): every phase gets its reserve, everything is over by D.

use std::time::Duration;

use crate::clock::{At, nanos};

/// One phase's share, resolved at the trigger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// The most it may take.
    pub cap: Duration,
    /// What it is promised.
    pub reserve: Duration,
}

/// What a repeated signal or a re-base leaves for the phases that have a reserve (spec 7.2, 5.10).
pub const CUT_LIMIT: Duration = Duration::from_secs(5);
/// What a running phase without reserve gets when the plan is expedited (spec 7.2).
pub const CUT_GRACE: Duration = Duration::from_millis(100);

/// The total deadline and every phase's share of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Budget {
    /// D: by then every phase is over. [`At::NEVER`] when nothing waits outside.
    pub deadline: At,
    /// The phases' shares, in the plan's order.
    pub slots: Vec<Slot>,
}

impl Budget {
    /// Sum of the reserves after phase `i`.
    #[must_use]
    pub fn reserved_after(&self, i: usize) -> Duration {
        self.slots.iter().skip(i + 1).fold(Duration::ZERO, |sum, s| sum.saturating_add(s.reserve))
    }

    /// What is left at `now` of the reserve of phase `i`, which began at `start`.
    #[must_use]
    pub fn reserve_left(&self, i: usize, start: At, now: At) -> Duration {
        self.slots.get(i).map_or(Duration::ZERO, |s| s.reserve.saturating_sub(now - start))
    }

    /// The instant by which phase `i`, begun at `start`, has to be over, as seen at `now` (spec 5.1; at its start `now == start`).
    ///
    /// When more time is left than all remaining reserves together, the later ones stay untouched and the cap counts;
    /// when less is left, the remaining reserves shrink in proportion.
    #[must_use]
    pub fn phase_end(&self, i: usize, start: At, now: At) -> At {
        let cap = self.slots.get(i).map_or(Duration::ZERO, |s| s.cap);
        self.latest_end(i, start, now).min(start.plus(cap)).max(now)
    }

    /// As [`phase_end`](Budget::phase_end) but without the phase's own cap: how far `extend` may reach.
    #[must_use]
    pub fn latest_end(&self, i: usize, start: At, now: At) -> At {
        if self.deadline.is_never() {
            return At::NEVER;
        }
        let own = self.reserve_left(i, start, now);
        let later = self.reserved_after(i);
        let left = self.deadline - now;
        let all = own.saturating_add(later);
        if left >= all { self.deadline.minus(later).max(now) } else { now.plus(scale(own, left, all)) }
    }

    /// Spec 7.2: D as a repeated signal at `now` sets it, while phase `i` runs since `start`.
    #[must_use]
    pub fn expedited(&self, i: usize, start: At, now: At) -> At {
        let reserves = self.reserve_left(i, start, now).saturating_add(self.reserved_after(i));
        self.deadline.min(now.plus(CUT_GRACE).plus(reserves.min(CUT_LIMIT)))
    }

    /// Spec 7.2: when phase `i`, running since `start`, has to be over once the plan is cut at `now`: a phase with something
    /// left of its reserve goes on within that, every other one is left after 100 ms (less when that would not fit).
    #[must_use]
    pub fn cut_end(&self, i: usize, start: At, now: At) -> At {
        let own = self.reserve_left(i, start, now);
        let left = self.deadline - now;
        let all = CUT_GRACE.saturating_add(self.reserved_after(i).min(CUT_LIMIT));
        let least = if left >= all { now.plus(CUT_GRACE) } else { now.plus(scale(CUT_GRACE, left, all)) };
        self.latest_end(i, start, now).min(now.plus(own)).max(least)
    }

    /// Spec 5.10: D after the whole process was held up, set once; later than before, on purpose.
    #[must_use]
    pub fn rebased(&self, i: usize, now: At) -> At {
        let own = self.slots.get(i).map_or(Duration::ZERO, |s| s.reserve);
        now.plus(own.saturating_add(self.reserved_after(i)).min(CUT_LIMIT))
    }
}

/// `part * left / all`, for `all > left`.
fn scale(part: Duration, left: Duration, all: Duration) -> Duration {
    if all.is_zero() {
        return Duration::ZERO;
    }
    let wide = |d| u128::from(nanos(d));
    Duration::from_nanos(u64::try_from(wide(part) * wide(left) / wide(all)).unwrap_or(u64::MAX))
}

/// The margin kept back for the report: 3 % of the grace within 100 ms and 2 s, never over a quarter of it (spec 5.3).
#[must_use]
pub fn margin_of(grace: Duration) -> Duration {
    let share = Duration::from_nanos(u64::try_from(grace.as_nanos() * 3 / 100).unwrap_or(u64::MAX));
    share.clamp(Duration::from_millis(100), Duration::from_secs(2)).min(grace / 4)
}

/// The latest end of a hook started at `now`, when `waiting` hooks of a line of `line` have not started yet and each of
/// them keeps `budget / 2n` (spec 4.6). `line` is 0 outside a serial phase or a chain.
#[must_use]
pub fn hook_box(end: At, budget: Duration, waiting: usize, line: usize) -> At {
    if line == 0 || waiting == 0 || end.is_never() {
        return end;
    }
    let kept = budget.as_nanos() * waiting as u128 / (2 * line as u128);
    end.minus(Duration::from_nanos(u64::try_from(kept).unwrap_or(u64::MAX)))
}

/// The soft deadline of a box of `h` ending at `hard`: earlier by max(20 % of h, 50 ms), at most 10 s, at most h/2 (spec 5.5).
#[must_use]
pub fn hook_soft(hard: At, h: Duration) -> At {
    if hard.is_never() {
        return At::NEVER;
    }
    let early = (h / 5).max(Duration::from_millis(50)).min(Duration::from_secs(10)).min(h / 2);
    hard.minus(early)
}
