//! The rules of the specification as examples, one behaviour a test. Times are milliseconds after T0.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use graceshut::config::Repeat;
use graceshut::engine::{Command, ExitPlan, HookOutcome, Settings, ShutdownOutcome, Skip, TriggerAction};
use graceshut::plan::{Amount, PhasePatch};
use sim::bench::*;

fn reserved(d: u64) -> PhasePatch {
    PhasePatch { reserve: Some(Amount::fixed(ms(d))), ..PhasePatch::default() }
}

const CLEAN: ShutdownOutcome = ShutdownOutcome::Clean;

const FORCED: ShutdownOutcome = ShutdownOutcome::Forced;

// ---- 7: repeated signals

#[test]
fn r7_1_within_500_ms_of_the_last_accepted_signal_it_is_a_duplicate() {
    let mut b = Bench::new(settings());
    b.hook(FLUSH, "h");
    b.signal(0, INT);
    b.signal(300, TERM);
    b.signal(499, TERM);
    assert!(b.actions()[1..].iter().all(|a| *a == TriggerAction::Duplicate));
    b.signal(500, TERM);
    assert_eq!(b.actions()[3], TriggerAction::Expedited);
    assert_eq!(b.engine.triggers_seen(), 4);
}

#[test]
fn r7_1_a_signal_from_ourselves_is_a_duplicate_once_stopping() {
    let mut b = Bench::new(settings());
    b.hook(FLUSH, "h");
    b.raise(0, TERM);
    assert_eq!(b.actions(), [TriggerAction::Started]);
    b.raise(5000, TERM);
    assert_eq!(b.actions()[1], TriggerAction::Duplicate);
    let mut b = Bench::new(settings());
    b.hook(FLUSH, "h");
    b.stop(0);
    b.raise(5000, TERM);
    assert_eq!(b.actions()[1], TriggerAction::Duplicate);
}

#[test]
fn r7_1_the_first_signal_after_another_trigger_is_no_repeat() {
    let mut b = Bench::new(settings());
    b.hook(FLUSH, "h");
    b.stop(0);
    b.signal(1000, TERM);
    assert_eq!(b.actions(), [TriggerAction::Started, TriggerAction::Recorded]);
    b.signal(1600, TERM);
    assert_eq!(b.actions()[2], TriggerAction::Expedited);
}

#[test]
fn r7_1_a_flood_of_duplicates_hides_no_accepted_signal() {
    let mut b = Bench::new(settings());
    b.hook(FLUSH, "h");
    b.signal(0, TERM);
    for _ in 0..1000 {
        b.signal(100, TERM);
    }
    b.signal(600, TERM);
    assert_eq!(b.actions().last(), Some(&TriggerAction::Expedited));
    assert_eq!(b.engine.triggers_seen(), 1002);
    assert!(b.records().len() < 50);
}

#[test]
fn r7_2_a_running_phase_without_reserve_is_cancelled_and_left_after_100_ms() {
    let mut b = Bench::new(settings());
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    let w = b.after(DRAIN, "w", &["d"]);
    b.signal(0, TERM);
    b.begun(0, d);
    b.signal(1000, TERM);
    assert!(b.cancelled(d));
    assert_eq!(b.outcome(w), Some(HookOutcome::Skipped(Skip::Expedited)));
    assert_eq!(b.deadline(), at(1000 + 100 + 1940));
    b.run_to(1099);
    assert_eq!(b.outcome(d), None);
    b.run_to(1100);
    assert_eq!(b.outcome(d), Some(HookOutcome::Abandoned));
    assert_eq!(b.engine.hard_deadline(f), Some(at(3040)));
    b.ok(1200, f);
    assert_eq!(b.finished(), Some((FORCED, ExitPlan { code: 143, die_by: None })));
}

#[test]
fn r7_2_the_100_ms_are_there_even_when_the_reserves_exceed_5_s() {
    let mut b = Bench::new(Settings { grace: ms(30_000), ..with_phases(&[("flush", reserved(10_000))]) });
    let d = b.hook(DRAIN, "d");
    let f = b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.begun(0, d);
    b.signal(1000, TERM);
    assert_eq!(b.engine.hard_deadline(d), Some(at(1100)));
    assert_eq!(b.deadline(), at(6100));
    b.ok(1050, d);
    assert_eq!(b.engine.hard_deadline(f), Some(at(6100)));
}

#[test]
fn r7_2_a_running_reserved_phase_goes_on_uncancelled_within_its_reserve() {
    let mut b = Bench::new(settings());
    let (f, l) = (b.hook(FLUSH, "f"), b.hook(FINAL, "l"));
    b.signal(0, TERM);
    b.begun(0, f);
    b.signal(1000, TERM);
    assert!(!b.cancelled(f));
    assert_eq!(b.engine.hard_deadline(f), Some(at(1940)), "what is left of 1940 ms");
    assert_eq!(b.deadline(), at(1000 + 100 + 940 + 485));
    b.ok(1500, f);
    b.ok(1600, l);
    assert_eq!(b.finished().unwrap().0, FORCED);
}

#[test]
fn r7_2_a_reserved_phase_that_has_used_its_reserve_up_gets_the_100_ms() {
    let mut b = Bench::new(settings());
    let f = b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.begun(0, f);
    b.signal(4000, TERM);
    assert!(b.cancelled(f));
    assert_eq!(b.engine.hard_deadline(f), Some(at(4100)));
}

#[test]
fn r7_2_phases_without_reserve_are_skipped() {
    let mut b = Bench::new(settings());
    let (a, d, f) = (b.hook(ANNOUNCE, "a"), b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.signal(0, TERM);
    b.signal(600, TERM);
    b.ok(610, a);
    assert_eq!(b.outcome(d), Some(HookOutcome::Skipped(Skip::Expedited)));
    assert!(b.commands.contains(&Command::Word(2)), "the word is 2 though drain was passed over");
    assert!(b.started(f));
}

#[test]
fn r7_2_the_third_signal_leaves_at_once() {
    let mut b = Bench::new(settings());
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.signal(0, TERM);
    b.begun(0, d);
    b.signal(600, TERM);
    b.signal(699, TERM);
    assert_eq!(b.finished(), None, "99 ms after the second it is a duplicate");
    b.run_to(700);
    b.begun(701, f);
    b.signal(1100, INT);
    assert_eq!(b.outcome(f), Some(HookOutcome::Abandoned));
    assert_eq!(b.finished(), Some((FORCED, ExitPlan { code: 130, die_by: None })));
    assert!(matches!(b.commands.last(), Some(Command::Finish { at_once: true, .. })));
}

#[test]
fn r7_2_a_third_signal_in_the_hosts_finalisers_leaves_with_the_code_decided() {
    let mut b = Bench::new(settings());
    let h = b.hook(FLUSH, "h");
    b.signal(0, TERM);
    b.ok(1, h);
    b.signal(600, TERM);
    b.signal(1200, TERM);
    let finish = |at_once| Command::Finish { outcome: CLEAN, exit: ExitPlan { code: 0, die_by: None }, at_once };
    let finishes: Vec<_> = b.commands.iter().filter(|c| matches!(c, Command::Finish { .. })).collect();
    assert_eq!(finishes, [&finish(false), &finish(true)]);
    assert_eq!(b.actions()[1], TriggerAction::Recorded, "nothing is left to expedite");
}

#[test]
fn r7_3_interactive_leaves_with_the_second_signal() {
    let mut b = Bench::new(Settings { repeat: Repeat::Interactive, ..settings() });
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.signal(0, INT);
    b.begun(0, d);
    b.signal(600, INT);
    assert_eq!(b.outcome(f), Some(HookOutcome::Skipped(Skip::Expedited)), "not `failure`");
    assert_eq!(b.finished(), Some((FORCED, ExitPlan { code: 130, die_by: None })));
}

#[test]
fn r7_3_orchestrated_ignores_a_repeated_term_only() {
    let mut b = Bench::new(Settings { repeat: Repeat::Orchestrated, ..settings() });
    b.hook(FLUSH, "h");
    b.signal(0, TERM);
    b.signal(1000, TERM);
    b.signal(2000, TERM);
    assert_eq!(b.actions()[1..], [TriggerAction::Ignored, TriggerAction::Ignored]);
    b.signal(3000, INT);
    assert_eq!(b.actions()[3], TriggerAction::Expedited);
}
