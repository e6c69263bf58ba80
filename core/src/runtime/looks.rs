//! When to look whether another handler has taken the place of ours, where nothing tells (spec 3.5).
//!
//! A library that is loaded, or a server that is started, takes signals within moments of the install or of a registration: the
//! looks come close together then, and further and further apart. A program that does nothing new is looked at every 5 s.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use super::Shared;
use crate::clock::At;
use crate::plan::format_duration;
use crate::report::rounded;
use crate::signal;

/// After install, and after something was registered.
const SOON: [Duration; 7] = [
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
];
/// From then on.
const EVERY: Duration = Duration::from_secs(5);
/// So many times at most the looks begin anew: a program that registers for ever is not looked at for ever.
const MOST_SERIES: u32 = 32;
/// A repair says so on stderr where nobody had looked for this long. In less a program sets its handlers at its start, and a
/// line each time would be noise; the report has it in any case.
const WORTH_A_LINE: Duration = Duration::from_millis(250);

/// What the rest of the process and the engine's thread tell each other about looking.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    /// Begin anew.
    soon: AtomicBool,
    /// How often that happened.
    series: AtomicU32,
    /// Bit n - 1: while another handler had signal n, nobody looked.
    missed: AtomicU64,
}

impl Watching {
    /// Asks for looks soon; true when the engine's thread is to be woken for it.
    pub(super) fn ask(&self) -> bool {
        self.series.load(SeqCst) < MOST_SERIES && !self.soon.swap(true, SeqCst)
    }

    /// True when signals of this number may have been missed.
    pub(super) fn may_have_missed(&self, signo: i32) -> bool {
        self.missed.load(SeqCst) & bit(signo) != 0
    }
}

fn bit(signo: i32) -> u64 {
    1u64.checked_shl(signo.unsigned_abs().wrapping_sub(1)).unwrap_or(0)
}

/// The engine's thread's own list of looks.
#[derive(Debug)]
pub(super) struct Looks {
    /// False where a binding is told of every change.
    polls: bool,
    since: At,
    step: usize,
    last: At,
    next: At,
    /// Bit n - 1: at the last look signal n was ignored by the program, and an event has said so.
    ignored: u64,
}

impl Looks {
    pub(super) fn new(polls: bool, now: At) -> Looks {
        let next = if polls { now.plus(SOON[0]) } else { At::NEVER };
        Looks { polls, since: now, step: 0, last: now, next, ignored: 0 }
    }

    pub(super) fn next(&self) -> At {
        self.next
    }

    fn begin(&mut self, now: At) {
        (self.since, self.step) = (now, 0);
        self.next = self.next.min(now.plus(SOON[0]));
    }

    /// The look at `now` is done. Answers for how long nobody had looked.
    fn done(&mut self, now: At) -> Duration {
        // One that comes late stands for those that it is later than.
        while SOON.get(self.step).is_some_and(|after| self.since.plus(*after) <= now) {
            self.step += 1;
        }
        self.next = SOON.get(self.step).map_or(now.plus(EVERY), |after| self.since.plus(*after));
        let unseen = now - self.last;
        self.last = now;
        unseen
    }

    /// Looks if it is time, repairs, and says so. On the engine's thread.
    pub(super) fn look(&mut self, shared: &Shared, now: At) {
        if !self.polls {
            return;
        }
        if shared.watching.soon.swap(false, SeqCst) && shared.watching.series.fetch_add(1, SeqCst) < MOST_SERIES {
            self.begin(now);
        }
        if now < self.next {
            return;
        }
        if shared.door.is_finished() || shared.with_engine(|e| e.host_is_closed()) {
            // The host takes its own handlers down on its way out: nothing to repair there, and nothing was missed.
            self.next = At::NEVER;
            return;
        }
        let unseen = self.done(now);
        let said = std::mem::take(&mut self.ignored);
        for replaced in signal::look(true) {
            if replaced.ignored {
                self.ignored |= bit(replaced.signo);
                if said & bit(replaced.signo) != 0 {
                    continue;
                }
            }
            shared.events.say_replaced(&replaced, unseen);
            if !replaced.repaired {
                continue;
            }
            shared.watching.missed.fetch_or(bit(replaced.signo), SeqCst);
            if unseen >= WORTH_A_LINE {
                let name = signal::name_of(replaced.signo).unwrap_or("?");
                let by = replaced.by.as_deref().unwrap_or("code of no library");
                let unseen = format_duration(rounded(unseen));
                shared.events.ask_to_say(format!(
                    "graceshut: the handler of {name} was replaced by {by} and is put back; what came in the {unseen} before may have been missed"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn looks_come_close_together_and_then_every_5_s() {
        let start = At(1_000_000_000);
        let mut looks = Looks::new(true, start);
        let mut at = Vec::new();
        for _ in 0..10 {
            let next = looks.next();
            at.push((next - start).as_millis());
            looks.done(next);
        }
        assert_eq!(at, [10, 30, 100, 300, 1000, 3000, 5000, 10_000, 15_000, 20_000]);
        let now = start.plus(ms(21_000));
        looks.begin(now);
        assert_eq!(looks.next() - now, ms(10));
        // Late by half a second: the looks in between are over with it.
        assert_eq!(looks.done(now.plus(ms(500))), ms(1500));
        assert_eq!(looks.next() - now, ms(1000));
        assert!(Looks::new(false, start).next().is_never());
    }

    #[test]
    fn beginning_anew_is_bounded() {
        let watching = Watching::default();
        assert!(watching.ask() && !watching.ask(), "one wake-up until it is looked at");
        watching.soon.store(false, SeqCst);
        watching.series.store(MOST_SERIES, SeqCst);
        assert!(!watching.ask());
    }
}
