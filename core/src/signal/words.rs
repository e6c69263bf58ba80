//! What the handler writes and the engine thread reads: a ring of caught signals, and the word that wakes (spec 3.2).
//!
//! Invariants:
//! 1. The ring is in memory a fork child finds zeroed; all zero is a fresh ring.
//! 2. Position p lives in slot p % SLOTS in lap p / SLOTS. A slot's `turn` is 2 * lap when free for that lap and
//!    2 * lap + 1 when filled in it; a writer owns the slot from winning `head` to storing the odd turn.
//! 3. Between those two the writer's thread has every signal blocked (`handler::record`), so that no handler of the host can
//!    jump away and leave a claimed slot unfilled for ever.
//! 4. A signal that finds no slot sets its bit in `lost`; the bits are handed out once after the ring (A5: nothing may depend
//!    on an exact count).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::disposition::bit;
use super::guard::Guard;
use crate::clock::At;
use crate::process::wiped::{Wiped, Zeroed};
use crate::wake::Wake;

/// One caught signal as the handler recorded it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caught {
    /// Its number.
    pub signo: i32,
    /// When the handler ran.
    pub at: At,
    /// `si_code`: `SI_USER`, `SI_TKILL`, `SI_KERNEL`, ...; `SI_USER` as well when it is not known.
    pub code: i32,
    /// The sender where the code says there is one; 0 when unknown, or when it is in another pid namespace (A13).
    /// For reports, and for telling a signal we sent ourselves; never for anything else.
    pub pid: i32,
    /// The sender's user; meaningful with a `pid` only.
    pub uid: u32,
}

const SLOTS: usize = 256;

struct Slot {
    turn: AtomicU64,
    what: AtomicU64,
    who: AtomicU64,
    at: AtomicU64,
}

/// Everything that is alive while this process is armed.
pub(super) struct Live {
    /// Signals whose handler is ours, as a set.
    pub(super) armed: AtomicU64,
    /// Held while dispositions are compared or changed; never by the handler.
    pub(super) lock: AtomicU32,
    /// Repairs per signal.
    pub(super) repairs: [AtomicU32; 65],
    pub(super) guard: Guard,
    head: AtomicU64,
    tail: AtomicU64,
    lost: AtomicU64,
    lost_at: [AtomicU64; 65],
    slots: [Slot; SLOTS],
}

// SAFETY: atomics only; zero is a fresh value for each (invariants 1 and 2, and chain's own).
unsafe impl Zeroed for Live {}

pub(super) static LIVE: Wiped<Live> = Wiped::new();
static WAKE: Wake = Wake::new();

impl Live {
    pub(super) fn is_armed(&self, signo: i32) -> bool {
        self.armed.load(Ordering::SeqCst) & bit(signo) != 0
    }

    fn slot(&self, position: u64) -> (&Slot, u64) {
        (&self.slots[(position % SLOTS as u64) as usize], position / SLOTS as u64)
    }

    /// Stores one signal. Async-signal-safe; lock-free: it repeats only when another writer succeeded meanwhile.
    pub(super) fn push(&self, caught: &Caught) {
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            let (slot, lap) = self.slot(head);
            // Pairs with the Release in `take`: a free slot's last reader is done.
            if slot.turn.load(Ordering::Acquire) == 2 * lap {
                match self.head.compare_exchange(head, head + 1, Ordering::SeqCst, Ordering::SeqCst) {
                    Ok(_) => {
                        slot.what.store(pair(caught.signo as u32, caught.code as u32), Ordering::Relaxed);
                        slot.who.store(pair(caught.pid as u32, caught.uid), Ordering::Relaxed);
                        slot.at.store(caught.at.0, Ordering::Relaxed);
                        // Pairs with the Acquire in `take`.
                        slot.turn.store(2 * lap + 1, Ordering::Release);
                        return;
                    }
                    Err(moved) => head = moved,
                }
            } else {
                let now = self.head.load(Ordering::SeqCst);
                if now == head {
                    // Full. Invariant 4.
                    if let Some(at) = self.lost_at.get(caught.signo as usize) {
                        at.store(caught.at.0, Ordering::SeqCst);
                    }
                    self.lost.fetch_or(bit(caught.signo), Ordering::SeqCst);
                    return;
                }
                head = now;
            }
        }
    }

    fn take(&self) -> Option<Caught> {
        let tail = self.tail.load(Ordering::SeqCst);
        let (slot, lap) = self.slot(tail);
        // Pairs with the Release in `push`.
        if slot.turn.load(Ordering::Acquire) != 2 * lap + 1 {
            return None;
        }
        let (signo, code) = unpair(slot.what.load(Ordering::Relaxed));
        let (pid, uid) = unpair(slot.who.load(Ordering::Relaxed));
        let at = At(slot.at.load(Ordering::Relaxed));
        self.tail.store(tail + 1, Ordering::SeqCst);
        // Pairs with the Acquire in `push`.
        slot.turn.store(2 * (lap + 1), Ordering::Release);
        Some(Caught { signo: signo as i32, at, code: code as i32, pid: pid as i32, uid })
    }

    fn is_empty(&self) -> bool {
        self.head.load(Ordering::SeqCst) == self.tail.load(Ordering::SeqCst) && self.lost.load(Ordering::SeqCst) == 0
    }
}

fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn unpair(both: u64) -> (u32, u32) {
    ((both >> 32) as u32, both as u32)
}

/// The word the handler wakes. Read `seen()`, drain, then wait on it: nothing is missed in between.
#[must_use]
pub fn wake() -> &'static Wake {
    &WAKE
}

/// Hands every recorded signal to `f`, oldest first; for one thread at a time (the engine's). Takes no lock and never blocks.
/// Signals that found the ring full come last, once per signal, without a sender. After `disarm`, drain once more: a signal
/// may have been on its way.
pub fn drain(f: &mut dyn FnMut(Caught)) {
    let Some(live) = LIVE.get() else { return };
    // What arrives from here on has woken the word again; a flood must not keep the engine in here.
    let end = live.head.load(Ordering::SeqCst);
    while live.tail.load(Ordering::SeqCst) < end {
        let Some(caught) = live.take() else { break };
        f(caught);
    }
    let lost = live.lost.swap(0, Ordering::SeqCst);
    if lost == 0 {
        return;
    }
    for (signo, at) in (0..=64).zip(&live.lost_at) {
        if lost & bit(signo) != 0 {
            f(Caught { signo, at: At(at.load(Ordering::SeqCst)), code: libc::SI_USER, pid: 0, uid: 0 });
        }
    }
}

/// True when [`drain`] would find something.
#[must_use]
pub fn pending() -> bool {
    LIVE.get().is_some_and(|live| !live.is_empty())
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests fail by panicking")]
mod tests {
    use super::{Caught, LIVE, SLOTS, drain, pending};
    use crate::clock::At;

    /// One test, because the ring is one per process.
    #[test]
    fn the_ring_keeps_order_and_never_forgets_a_signal_altogether() {
        let live = LIVE.map().expect("mapped");
        let one = |n: i32, signo| Caught { signo, at: At(n as u64), code: -6, pid: n, uid: n as u32 };
        for lap in 0..5 {
            for n in 0..200 {
                live.push(&one(lap * 200 + n, 15));
            }
            let mut seen = Vec::new();
            drain(&mut |c| seen.push(c));
            assert_eq!(seen, (0..200).map(|n| one(lap * 200 + n, 15)).collect::<Vec<_>>());
            assert!(!pending());
        }
        for n in 0..SLOTS as i32 {
            live.push(&one(n, 15));
        }
        live.push(&one(7000, 15));
        live.push(&one(7001, 1));
        live.push(&one(7002, 64));
        let mut seen = Vec::new();
        drain(&mut |c| seen.push((c.signo, c.at.0)));
        assert_eq!(seen.len(), SLOTS + 3);
        assert_eq!(seen[SLOTS..], [(1, 7001), (15, 7000), (64, 7002)]);
        assert!(!pending());

        // Several writers and a reader at once: nothing torn, nothing twice, per-writer order kept.
        let done = &std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|s| {
            for writer in 1..=3 {
                s.spawn(move || {
                    for n in 0..20_000 {
                        live.push(&Caught { signo: writer, at: At(n), code: n as i32, pid: n as i32, uid: n as u32 });
                    }
                    done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                });
            }
            let mut last = [None::<u64>; 4];
            loop {
                let finished = done.load(std::sync::atomic::Ordering::SeqCst) == 3;
                drain(&mut |c| {
                    if c.code == 0 && c.pid == 0 && c.at.0 != 0 {
                        return; // from `lost`, without a sender
                    }
                    assert_eq!((c.at.0, c.at.0, c.at.0), (c.code as u64, c.pid as u64, u64::from(c.uid)));
                    let last = &mut last[c.signo as usize];
                    assert!(last.is_none_or(|l| l < c.at.0), "writer {}: {:?} then {}", c.signo, last, c.at.0);
                    *last = Some(c.at.0);
                });
                if finished && !pending() {
                    break;
                }
            }
        });
    }
}
