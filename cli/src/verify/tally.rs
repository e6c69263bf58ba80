//! What one connection saw, as plain counters; each thread has its own, and they are added up at the end.

use std::time::{Duration, Instant};

/// How many lost requests are told in full.
pub const ERRORS_KEPT: usize = 10;

/// A request that was lost.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Its `X-Request-Id`.
    pub request_id: String,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Where it went.
    pub url: String,
    /// When it turned out to be lost.
    pub at: Instant,
    /// It was not the first on its connection.
    pub reused: bool,
    /// What happened.
    pub what: String,
}

/// Counters of requests. `sent == answered() + lost`, always.
#[derive(Debug, Default)]
pub struct Tally {
    /// At least one byte was handed to the kernel.
    pub sent: u64,
    /// Answered 2xx.
    pub answered_2xx: u64,
    /// Answered 503 after the signal.
    pub refused_503: u64,
    /// Answered anything else.
    pub answered_other: u64,
    /// Of those, 5xx before the signal.
    pub errors_before: u64,
    /// Of those, 5xx after the signal.
    pub errors_after: u64,
    /// One status of such a 5xx.
    pub error_status: Option<u16>,
    /// Answered before the signal, with whatever status.
    pub answered_before: u64,
    /// Refused, or found its idle connection closed, before a byte of it was sent.
    pub refused_before_send: u64,
    /// Sent, and never completely answered.
    pub lost: u64,
    /// Of those, before the signal.
    pub lost_before: u64,
    /// Of those, on a reused connection that was closed without the request having been read.
    pub idle_race: u64,
    /// The first few lost requests.
    pub losses: Vec<Loss>,
    /// When the last complete answer came.
    pub last_answer: Option<Instant>,
    /// When the last connect succeeded.
    pub last_connect: Option<Instant>,
    /// How long complete answers took.
    pub latency: Latency,
}

impl Tally {
    /// All complete answers.
    pub fn answered(&self) -> u64 {
        self.answered_2xx + self.refused_503 + self.answered_other
    }

    /// Counts a complete answer.
    pub fn answer(&mut self, status: u16, took: Duration, at: Instant, after_signal: bool) {
        self.sent += 1;
        self.latency.record(took);
        self.last_answer = self.last_answer.max(Some(at));
        self.answered_before += u64::from(!after_signal);
        match status {
            200..=299 => self.answered_2xx += 1,
            503 if after_signal => self.refused_503 += 1,
            _ => self.answered_other += 1,
        }
        if status >= 500 && !(status == 503 && after_signal) {
            self.error_status.get_or_insert(status);
            *(if after_signal { &mut self.errors_after } else { &mut self.errors_before }) += 1;
        }
    }

    /// Counts a lost request.
    pub fn loss(&mut self, loss: Loss, idle_race: bool, after_signal: bool) {
        self.sent += 1;
        self.lost += 1;
        self.lost_before += u64::from(!after_signal);
        self.idle_race += u64::from(idle_race);
        if self.losses.len() < ERRORS_KEPT {
            self.losses.push(loss);
        }
    }

    /// Adds another connection's counters.
    pub fn add(&mut self, other: Tally) {
        self.sent += other.sent;
        self.answered_2xx += other.answered_2xx;
        self.refused_503 += other.refused_503;
        self.answered_other += other.answered_other;
        self.errors_before += other.errors_before;
        self.errors_after += other.errors_after;
        self.error_status = self.error_status.or(other.error_status);
        self.answered_before += other.answered_before;
        self.refused_before_send += other.refused_before_send;
        self.lost += other.lost;
        self.lost_before += other.lost_before;
        self.idle_race += other.idle_race;
        self.losses.extend(other.losses);
        self.losses.sort_by_key(|l| l.at);
        self.losses.truncate(ERRORS_KEPT);
        self.last_answer = self.last_answer.max(other.last_answer);
        self.last_connect = self.last_connect.max(other.last_connect);
        self.latency.add(&other.latency);
    }
}

/// Sub-buckets per power of two: a percentile is at most 1/64 too high.
const SUB: u64 = 64;
const BUCKETS: usize = (SUB as usize) * 34;

/// A histogram of microseconds of fixed size, however long the load lasts.
#[derive(Debug)]
pub struct Latency {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl Latency {
    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(us)] += 1;
        self.count += 1;
        self.max = self.max.max(us);
    }

    fn add(&mut self, other: &Latency) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// The time that `percent` of the answers did not exceed, in microseconds.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let index = self.buckets.iter().position(|n| {
            seen += n;
            seen >= rank
        })?;
        Some(upper(index).min(self.max))
    }

    /// The longest, exactly, in microseconds.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }
}

/// Up to `SUB` each value has a bucket; beyond, each power of two has `SUB` of them.
fn bucket(us: u64) -> usize {
    if us < SUB {
        return us as usize;
    }
    let shift = us.ilog2() - SUB.ilog2();
    ((u64::from(shift) + 1) * SUB + (us >> shift) - SUB).min(BUCKETS as u64 - 1) as usize
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    if index < SUB {
        return index;
    }
    let shift = index / SUB - 1;
    ((index % SUB + SUB + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn buckets_are_gapless_and_narrow() {
        let mut us = 1;
        while us < 1 << 36 {
            for value in [us - 1, us, us + us / 3] {
                let top = upper(bucket(value));
                assert!(top >= value && top - value <= value / SUB, "{value} is in the bucket up to {top}");
            }
            us *= 2;
        }
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket(upper(index)), index);
            assert_eq!(bucket(upper(index) + 1), index + 1);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles() {
        let mut latency = Latency::default();
        assert_eq!((latency.percentile(50), latency.max()), (None, None));
        for us in 1..=100 {
            latency.record(Duration::from_micros(us));
        }
        assert_eq!(latency.percentile(50), Some(50));
        assert_eq!(latency.percentile(99), Some(99));
        assert_eq!(latency.percentile(100), Some(100));
        assert_eq!(latency.max(), Some(100));
    }

    #[test]
    fn statuses_go_where_they_belong() {
        let mut tally = Tally::default();
        let now = Instant::now();
        for (status, after) in [(200, false), (204, true), (404, false), (503, false), (503, true), (500, true)] {
            tally.answer(status, Duration::ZERO, now, after);
        }
        assert_eq!((tally.sent, tally.answered(), tally.answered_2xx), (6, 6, 2));
        assert_eq!((tally.refused_503, tally.answered_other), (1, 3));
        assert_eq!((tally.errors_before, tally.errors_after, tally.answered_before), (1, 1, 3));
    }
}
