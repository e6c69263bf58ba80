//! The rules of the specification as examples, one behaviour a test. Times are milliseconds after T0.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use std::time::Duration;

use graceshut::clock::At;
use graceshut::config::NormalGrace;
use graceshut::engine::{
    Command, Ending, Event, ExitPlan, HookOutcome, HookSpec, Kind, NotStarted, ReasonKind, Settings, ShutdownOutcome, Skip,
    What,
};
use graceshut::plan::{Amount, Order, PhasePatch};
use sim::bench::*;

fn reserved(d: u64) -> PhasePatch {
    PhasePatch { reserve: Some(Amount::fixed(ms(d))), ..PhasePatch::default() }
}

fn serial() -> PhasePatch {
    PhasePatch { order: Some(Order::Serial), ..PhasePatch::default() }
}

fn host(phase: usize, name: &str) -> HookSpec {
    HookSpec { kind: Kind::HOST, ..spec(phase, name) }
}

const DEGRADED: ShutdownOutcome = ShutdownOutcome::Degraded;

const FORCED: ShutdownOutcome = ShutdownOutcome::Forced;

// ---- 5: budget

#[test]
fn r5_5_soft_deadline_is_a_fifth_before_the_hard_one() {
    let soft = |timeout: u64| {
        let mut b = Bench::new(Settings { grace: ms(120_000), ..settings() });
        let h = b.add(HookSpec { timeout: Some(ms(timeout)), ..spec(DRAIN, "h") });
        b.signal(0, TERM);
        assert_eq!(b.engine.hard_deadline(h), Some(at(timeout)));
        b.engine.soft_deadline(h).unwrap() - at(0)
    };
    assert_eq!(soft(1000), ms(800), "20 %");
    assert_eq!(soft(120), ms(70), "at least 50 ms");
    assert_eq!(soft(60), ms(30), "at most half");
    assert_eq!(soft(100_000), ms(90_000), "at most 10 s");
}

#[test]
fn r5_5_cancelled_at_the_soft_deadline_abandoned_at_the_hard_one() {
    let mut b = Bench::new(settings());
    let h = b.add(HookSpec { timeout: Some(ms(1000)), ..spec(DRAIN, "h") });
    b.signal(0, TERM);
    b.begun(0, h);
    b.run_to(799);
    assert!(!b.cancelled(h));
    b.run_to(800);
    assert!(b.cancelled(h));
    b.run_to(1000);
    assert_eq!(b.outcome(h), Some(HookOutcome::Abandoned));
    assert!(b.commands.contains(&Command::Abandon(h)));
    assert_eq!(b.engine.still_running(), ["h"]);
    b.ok(1500, h);
    assert!(b.has(&What::HookReturned(h)));
    assert!(b.engine.still_running().is_empty());
    assert_eq!(b.outcome(h), Some(HookOutcome::Abandoned), "one outcome, for good");
}

#[test]
fn r5_5_an_exec_hook_is_killed() {
    let mut b = Bench::new(settings());
    let h = b.add(HookSpec { timeout: Some(ms(1000)), kind: Kind::EXEC, ..spec(DRAIN, "h") });
    b.signal(0, TERM);
    b.begun(0, h);
    b.run_to(1000);
    assert_eq!(b.outcome(h), Some(HookOutcome::Killed));
    assert!(b.commands.contains(&Command::Kill(h)));
}

#[test]
fn r5_5_an_abandoned_hook_was_always_cancelled_first() {
    let mut b = Bench::new(settings());
    let h = b.add(HookSpec { timeout: Some(ms(100)), ..spec(DRAIN, "h") });
    b.signal(0, TERM);
    b.begun(0, h);
    b.tick(150); // soft and hard deadline went by together
    let told: Vec<_> = b.commands.iter().filter(|c| matches!(c, Command::Cancel(_) | Command::Abandon(_))).collect();
    assert_eq!(told, [&Command::Cancel(h), &Command::Abandon(h)]);
}

#[test]
fn r5_5_the_deadline_decides_not_the_order_of_two_threads() {
    let mut b = Bench::new(settings());
    let h = b.add(HookSpec { timeout: Some(ms(1000)), kind: Kind::EXEC, ..spec(DRAIN, "h") });
    let n = b.add(HookSpec { timeout: Some(ms(1000)), ..spec(FLUSH, "n") });
    b.signal(0, TERM);
    b.begun(0, h);
    b.ok(1000, h);
    assert_eq!(b.outcome(h), Some(HookOutcome::Killed));
    assert!(!b.commands.contains(&Command::Kill(h)), "it has ended: killing its pid now could hit another process");
    b.begun(1000, n);
    b.ok(2000, n);
    assert_eq!(b.outcome(n), Some(HookOutcome::Abandoned));
    assert!(b.has(&What::HookReturned(n)));
}

#[test]
fn r5_6_a_hook_that_never_began_is_not_started() {
    let mut b = Bench::new(settings());
    let (n, h, queued) = (
        b.add(HookSpec { timeout: Some(ms(100)), ..spec(DRAIN, "n") }),
        b.add(HookSpec { timeout: Some(ms(100)), ..host(DRAIN, "h") }),
        b.add(HookSpec { timeout: Some(ms(100)), ..host(DRAIN, "queued") }),
    );
    b.signal(0, TERM);
    b.taken(1, h);
    b.run_to(100);
    assert_eq!(b.outcome(queued), Some(HookOutcome::NotStarted(NotStarted::NoWorker)), "no worker ever had it");
    assert_eq!(b.outcome(n), Some(HookOutcome::NotStarted(NotStarted::NoWorker)));
    assert_eq!(b.outcome(h), Some(HookOutcome::NotStarted(NotStarted::HostBusy)));
    assert!(!b.engine.may_begin(n));
    assert_eq!(b.finished().unwrap().0, DEGRADED);
}

#[test]
fn r6_1_wasm_that_is_not_compiled_in_time_is_not_started_and_says_so() {
    let wasm = |name| HookSpec { kind: Kind::WASM, timeout: Some(ms(100)), ..spec(DRAIN, name) };
    let mut b = Bench::new(settings());
    let (taken, waiting, begun) = (b.add(wasm("taken")), b.add(wasm("waiting")), b.add(wasm("begun")));
    b.signal(0, TERM);
    assert!(b.engine.note_preparing(taken) && b.engine.note_preparing(begun));
    b.begun(50, begun);
    b.run_to(100);
    assert_eq!(b.outcome(taken), Some(HookOutcome::NotStarted(NotStarted::NotCompiled)));
    assert_eq!(b.outcome(waiting), Some(HookOutcome::NotStarted(NotStarted::NoWorker)), "no worker ever took it");
    assert_eq!(b.outcome(begun), Some(HookOutcome::Killed));
    assert!(!b.engine.note_preparing(taken), "its time has passed");
    assert!(!b.commands.contains(&Command::Kill(taken)), "there is nothing to kill");
}

#[test]
fn r6_1_wasm_that_gives_up_on_its_compiler_before_the_engine_looks_is_not_started_either() {
    let mut b = Bench::new(settings());
    let h = b.add(HookSpec { kind: Kind::WASM, timeout: Some(ms(100)), ..spec(DRAIN, "h") });
    b.signal(0, TERM);
    assert!(b.engine.note_preparing(h));
    b.handle(101, Event::Done(h, Ending::Ok, None));
    assert_eq!(b.outcome(h), Some(HookOutcome::NotStarted(NotStarted::NotCompiled)));
    assert!(!b.engine.is_any_dying());
}

#[test]
fn r6_1_a_killed_hook_says_where_it_was() {
    let mut b = Bench::new(settings());
    let h = b.add(HookSpec { kind: Kind::WASM, timeout: Some(ms(100)), ..spec(DRAIN, "h") });
    let l = b.add(HookSpec { kind: Kind::WASM, timeout: Some(ms(100)), ..spec(FLUSH, "l") });
    b.signal(0, TERM);
    b.begun(0, h);
    b.run_to(100);
    assert_eq!((b.outcome(h), b.engine.is_any_dying()), (Some(HookOutcome::Killed), true));
    assert!(b.commands.contains(&Command::Kill(h)));
    b.handle(101, Event::Done(h, Ending::Stopped("in spin".to_owned()), None));
    assert!(b.has(&What::HookStopped(h, "in spin".to_owned())) && !b.engine.is_any_dying());
    assert!(b.engine.still_running().is_empty(), "it is over, not abandoned");
    // Its own word comes before the engine's look: the same outcome, the same place.
    b.begun(101, l);
    b.handle(201, Event::Done(l, Ending::Stopped("in sleep".to_owned()), None));
    let message = Some("in sleep".to_owned());
    assert!(b.has(&What::HookEnd { hook: l, outcome: HookOutcome::Killed, late: false, panic: false, message }));
    assert!(!b.engine.is_any_dying());
}

#[test]
fn r5_6_a_hook_cannot_begin_after_its_hard_deadline() {
    let mut b = Bench::new(settings());
    let h = b.add(HookSpec { timeout: Some(ms(100)), ..spec(DRAIN, "h") });
    b.signal(0, TERM);
    b.begun(100, h); // before the tick
    assert!(!b.engine.has_begun(h));
    assert_eq!(b.outcome(h), Some(HookOutcome::NotStarted(NotStarted::NoWorker)));
}

#[test]
fn r5_8_extend_reaches_to_d_less_later_reserves_and_tells_what_was_granted() {
    let mut b = Bench::new(settings());
    let h = b.add(HookSpec { timeout: Some(ms(1000)), ..spec(ANNOUNCE, "h") });
    b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.begun(0, h);
    assert_eq!(b.engine.extend(h, ms(500), at(100)), ms(500));
    assert_eq!(b.engine.hard_deadline(h), Some(at(1500)));
    assert_eq!(b.engine.soft_deadline(h), Some(at(1200)));
    assert_eq!(b.engine.extend(h, ms(60_000), at(1100)), ms(9700 - 1940 - 1500), "beyond the cap of announce, not into flush");
    assert_eq!(b.engine.extend(h, ms(1), at(1200)), Duration::ZERO, "nothing more to have");
}

#[test]
fn r5_8_extend_is_refused_from_the_soft_deadline_on() {
    let mut b = Bench::new(settings());
    let h = b.add(HookSpec { timeout: Some(ms(1000)), ..spec(DRAIN, "h") });
    b.signal(0, TERM);
    b.begun(0, h);
    assert_eq!(b.engine.extend(h, ms(500), at(800)), Duration::ZERO);
}

#[test]
fn r5_8_an_extension_outlives_a_d_that_moves_elsewhere() {
    let mut b = Bench::new(settings());
    let h = b.hook(ANNOUNCE, "h");
    b.signal(0, TERM);
    b.begun(0, h);
    assert_eq!(b.engine.extend(h, ms(3000), at(100)), ms(3000));
    b.trigger(200, ReasonKind::Stop, Some(ms(9000)), None);
    assert_eq!(b.engine.hard_deadline(h), Some(at(5425)), "D is still far away: the cap was counted once");
}

#[test]
fn r5_8_extend_takes_nothing_from_the_hooks_waiting_in_line() {
    let mut b = Bench::new(with_phases(&[("drain", serial())]));
    let (first, last) = (b.hook(DRAIN, "first"), b.hook(DRAIN, "last"));
    b.signal(0, TERM);
    b.begun(0, last);
    assert_eq!(b.engine.hard_deadline(last), Some(at(7275)));
    assert_eq!(b.engine.extend(last, ms(60_000), at(100)), Duration::ZERO);
    b.run_to(7275);
    assert_eq!(b.engine.hard_deadline(first), Some(at(9700)));
}

#[test]
fn r5_8_under_systemd_d_moves_with_the_extension_and_reserves_stay_whole() {
    let mut b = Bench::new(Settings { systemd_extend: true, ..settings() });
    let h = b.hook(DRAIN, "h");
    b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.begun(0, h);
    assert_eq!(b.engine.extend(h, ms(10_000), at(100)), ms(10_000));
    assert_eq!(b.deadline(), at(19_700));
    assert_eq!(b.engine.hard_deadline(h), Some(at(17_760)));
    b.tick(100);
    assert!(b.commands.contains(&Command::ExtendTimeout(at(19_700))));
    assert!(b.commands.contains(&Command::Deadline(at(19_700))));
}

#[test]
fn r5_8_without_a_deadline_a_hook_has_all_it_asks_for() {
    let mut b = Bench::new(Settings { grace_normal: NormalGrace::Unlimited, ..settings() });
    let h = b.hook(DRAIN, "h");
    b.stop(0);
    b.begun(0, h);
    assert_eq!(b.engine.extend(h, ms(500), at(10)), ms(500));
}

#[test]
fn r5_10_found_much_too_late_d_is_re_based_once() {
    let mut b = Bench::new(settings());
    let (d, f, l) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"), b.hook(FINAL, "l"));
    b.signal(0, TERM);
    b.begun(0, d);
    b.tick(20_000); // the soft deadline of drain was due at 5820
    assert_eq!(b.outcome(d), Some(HookOutcome::Abandoned));
    assert_eq!(b.deadline(), at(20_000 + 1940 + 485));
    assert_eq!((b.phase(), b.engine.phase_end()), (Some(FLUSH), Some(at(21_940))));
    b.ok(20_100, f);
    b.begun(20_100, l);
    b.tick(40_000);
    assert_eq!(b.outcome(l), Some(HookOutcome::Abandoned), "once, not again");
    assert_eq!(b.finished(), Some((FORCED, ExitPlan { code: 143, die_by: None })));
    assert_eq!(b.records().iter().filter(|r| matches!(r.what, What::Rebased(_))).count(), 1);
}

#[test]
fn r5_10_a_re_based_reserved_phase_that_ran_gets_its_reserve_again() {
    let mut b = Bench::new(settings());
    let f = b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.begun(0, f);
    b.tick(20_000);
    assert_eq!((b.outcome(f), b.engine.hard_deadline(f)), (None, Some(at(21_940))));
    b.ok(20_500, f);
    assert_eq!(b.finished().unwrap().0, FORCED);
}

#[test]
fn r5_10_a_re_base_leaves_5_s_at_most_in_proportion() {
    let mut b =
        Bench::new(Settings { grace: ms(20_000), ..with_phases(&[("flush", reserved(8000)), ("close", reserved(2000))]) });
    let d = b.hook(DRAIN, "d");
    b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.begun(0, d);
    b.tick(30_000);
    assert_eq!((b.deadline(), b.engine.phase_end()), (at(35_000), Some(at(34_000))));
}

#[test]
fn r5_10_a_second_late_is_not_late() {
    let mut b = Bench::new(settings());
    let d = b.hook(DRAIN, "d");
    b.signal(0, TERM);
    b.tick(7760 + 1000);
    assert!(!b.records().iter().any(|r| matches!(r.what, What::Rebased(_))));
    assert_eq!(b.outcome(d), None, "only its soft deadline has passed");
}

#[test]
fn r5_10_a_held_install_that_was_frozen_is_re_based_too() {
    let mut b = Bench::held(settings());
    let f = b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.tick(60_000);
    assert_eq!(b.deadline(), at(61_940));
    assert!(b.started(f));
}

#[test]
fn r5_10_a_trigger_heard_of_after_its_own_d_is_re_based() {
    let mut b = Bench::new(settings());
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.handle(60_000, Event::Signal { signo: TERM, at: at(0), sender: None, self_sent: false, grace: None });
    assert_eq!(b.outcome(d), Some(HookOutcome::Skipped(Skip::Expedited)));
    assert!(b.started(f));
}

#[test]
fn r5_10_without_a_d_there_is_nothing_to_re_base() {
    let mut b = Bench::new(Settings { grace_normal: NormalGrace::Unlimited, ..settings() });
    b.add(HookSpec { timeout: Some(ms(1000)), ..spec(DRAIN, "d") });
    let f = b.hook(FLUSH, "f");
    b.stop(0);
    b.tick(3_600_000);
    assert!(b.started(f));
    assert_eq!(b.deadline(), At::NEVER);
}
