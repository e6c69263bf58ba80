//! The rules of the specification as examples, one behaviour a test. Times are milliseconds after T0.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use graceshut::clock::At;
use graceshut::config::{NormalGrace, Repeat};
use graceshut::engine::{
    Command, Cut, Event, ExitPlan, ExitRules, HookOutcome, HookSpec, InFlightPoint, Kind, Leaving, ReasonKind, Removal,
    Settings, ShutdownOutcome, Skip, TriggerAction,
};
use graceshut::error::ErrorKind;
use graceshut::plan::{Amount, PhasePatch};
use sim::bench::*;

fn reserved(d: u64) -> PhasePatch {
    PhasePatch { reserve: Some(Amount::fixed(ms(d))), ..PhasePatch::default() }
}

fn host(phase: usize, name: &str) -> HookSpec {
    HookSpec { kind: Kind::HOST, ..spec(phase, name) }
}

const CLEAN: ShutdownOutcome = ShutdownOutcome::Clean;

const DEGRADED: ShutdownOutcome = ShutdownOutcome::Degraded;

// ---- 2: life and triggers

#[test]
fn r2_2_the_first_reason_wins_and_later_triggers_are_recorded() {
    let mut b = Bench::new(settings());
    b.hook(FLUSH, "h");
    b.stop(0);
    b.signal(100, TERM);
    assert_eq!(b.engine.reason().unwrap().kind, ReasonKind::Stop);
    assert_eq!(b.actions(), [TriggerAction::Started, TriggerAction::Recorded]);
}

#[test]
fn r2_2_a_later_trigger_shortens_d_and_never_lengthens_it() {
    let mut b = Bench::new(settings());
    b.hook(FLUSH, "h");
    b.signal(0, TERM);
    assert_eq!(b.deadline(), at(9700));
    b.trigger(1000, ReasonKind::Stop, Some(ms(60_000)), None);
    assert_eq!(b.deadline(), at(9700));
    b.trigger(2000, ReasonKind::Stop, Some(ms(4000)), None);
    assert_eq!(b.deadline(), at(5880), "Tk + grace_k - its margin of 120 ms");
    assert_eq!(b.engine.window().unwrap().1, ms(120), "the margin is the one of the grace that counts");
    assert_eq!(b.engine.phase_end(), Some(at(5880)));
}

#[test]
fn r2_5_a_held_install_defers_action_until_ready() {
    let mut b = Bench::held(settings());
    b.signal(0, TERM);
    assert!(b.commands.contains(&Command::Word(1)));
    let h = b.add_at(200, spec(ANNOUNCE, "late")).unwrap();
    assert!(!b.started(h));
    b.engine.ready(at(300));
    b.tick(300);
    assert!(b.started(h));
}

#[test]
fn r2_5_a_held_install_defers_action_by_at_most_a_second() {
    let mut b = Bench::held(settings());
    let h = b.hook(ANNOUNCE, "h");
    b.signal(0, TERM);
    b.run_to(999);
    assert!(!b.started(h));
    b.run_to(1000);
    assert!(b.started(h));
}

#[test]
fn r2_5_a_hold_eats_no_reserve_and_little_of_a_short_grace() {
    let mut b = Bench::held(Settings { grace: ms(1000), ..settings() });
    b.hook(FLUSH, "h");
    b.signal(0, TERM);
    assert_eq!(b.engine.next_deadline(), at(225), "a quarter of B = 900 ms");
    let mut b = Bench::held(with_phases(&[("flush", reserved(9500))]));
    b.signal(0, TERM);
    assert_eq!(b.engine.next_deadline(), at(200), "D less the reserve");
}

#[test]
fn r2_5_leaving_at_once_ends_a_hold_and_every_hook() {
    let mut b = Bench::held(Settings { repeat: Repeat::Interactive, ..settings() });
    let (a, f) = (b.hook(ANNOUNCE, "a"), b.hook(FINAL, "f"));
    b.signal(0, TERM);
    b.signal(600, TERM);
    assert_eq!(
        (b.outcome(a), b.outcome(f)),
        (Some(HookOutcome::Skipped(Skip::Expedited)), Some(HookOutcome::Skipped(Skip::Expedited)))
    );
    b.engine.ready(at(700));
    b.tick(2000);
    assert_eq!(b.commands.iter().filter(|c| matches!(c, Command::Finish { .. })).count(), 1);
}

#[test]
fn r2_6_a_closed_host_skips_its_hooks_without_degrading() {
    let mut b = Bench::new(settings());
    let (waiting, later) = (b.add(HookSpec { after: vec!["n".into()], ..host(DRAIN, "w") }), b.add(host(FLUSH, "f")));
    let given = b.add(host(DRAIN, "g"));
    let native = b.hook(DRAIN, "n");
    b.trigger(0, ReasonKind::HostEnd, None, Some(3));
    b.handle(10, Event::HostClosed);
    let closed = Some(HookOutcome::Skipped(Skip::HostClosed));
    assert_eq!((b.outcome(waiting), b.outcome(given), b.outcome(native)), (closed, closed, None));
    b.ok(20, native);
    assert_eq!(b.outcome(later), closed);
    assert_eq!(b.finished(), Some((CLEAN, ExitPlan { code: 3, die_by: None })));
}

#[test]
fn r6_3_required_hooks_that_the_hosts_end_kept_from_running_degrade_after_a_signal() {
    let mut b = Bench::new(settings());
    let h = b.add(host(FLUSH, "f"));
    b.signal(0, TERM);
    b.handle(10, Event::HostClosed);
    assert_eq!(b.outcome(h), Some(HookOutcome::Skipped(Skip::HostClosed)));
    assert_eq!(b.finished(), Some((DEGRADED, ExitPlan { code: 1, die_by: None })));
    let mut b = Bench::new(settings());
    b.add(HookSpec { optional: true, ..host(FLUSH, "f") });
    b.signal(0, TERM);
    b.handle(10, Event::HostClosed);
    assert_eq!(b.finished().unwrap().0, CLEAN);
}

#[test]
fn r6_3_work_that_the_hosts_end_gives_up_degrades_after_a_signal() {
    for (by_signal, in_flight, outcome) in [(true, 2, DEGRADED), (true, 0, CLEAN), (false, 2, CLEAN)] {
        let mut b = Bench::new(settings());
        let n = b.hook(DRAIN, "n");
        if by_signal {
            b.signal(0, TERM)
        } else {
            b.trigger(0, ReasonKind::HostEnd, None, None)
        }
        assert_eq!(b.engine.give_up(in_flight), outcome == DEGRADED);
        b.handle(10, Event::HostClosed);
        b.ok(20, n);
        assert_eq!(b.finished().unwrap().0, outcome);
    }
}

#[test]
fn r6_6_what_is_cut_after_the_plan_is_not_clean() {
    for (own_stop, in_flight, outcome, code) in
        [(false, 0, CLEAN, 0), (false, 3, DEGRADED, 1), (true, 0, DEGRADED, 1), (true, 3, DEGRADED, 1)]
    {
        let mut b = Bench::new(settings());
        b.signal(0, TERM);
        assert_eq!(b.finished().unwrap().0, CLEAN);
        let cut = Cut { own_stop, in_flight };
        let exit = b.engine.note_leaving(Leaving::MadeTo, None, cut, At(1)).unwrap();
        assert_eq!((exit.code, b.engine.finished().unwrap().0), (code, outcome), "{cut:?}");
        assert_eq!(b.engine.note_leaving(Leaving::ByItself, None, Cut::default(), At(2)), None, "a process leaves once");
    }
}

#[test]
fn r6_6_a_cut_after_the_plan_counts_in_the_status_but_not_over_forced() {
    let cut = Cut { own_stop: true, in_flight: 0 };
    let mut b = Bench::new(Settings { exit: ExitRules { degraded: Some(9), ..ExitRules::default() }, ..settings() });
    b.signal(0, INT);
    let exit = b.engine.note_leaving(Leaving::MadeTo, None, cut, At(1)).unwrap();
    assert_eq!(exit, ExitPlan { code: 9, die_by: None }, "a stop that was cut does not look like a death by INT");
    let mut b = Bench::new(settings());
    b.hook(DRAIN, "h");
    b.signal(0, TERM);
    b.signal(600, TERM);
    b.run_to(20_000);
    let forced = b.finished().unwrap();
    assert_eq!(forced.0, ShutdownOutcome::Forced);
    assert_eq!(b.engine.note_leaving(Leaving::MadeTo, None, cut, At(1)), Some(forced.1));
    assert_eq!(b.finished(), Some(forced));
}

#[test]
fn r2_6_a_host_closed_before_the_trigger_stays_closed() {
    let mut b = Bench::new(settings());
    let (h, n) = (b.add(host(DRAIN, "h")), b.hook(FINAL, "n"));
    b.handle(0, Event::HostClosed);
    b.trigger(1, ReasonKind::HostEnd, None, None);
    assert_eq!(b.outcome(h), Some(HookOutcome::Skipped(Skip::HostClosed)));
    b.ok(2, n);
    assert_eq!(b.finished().unwrap().0, CLEAN);
}

#[test]
fn r2_6_a_serial_phase_of_a_closed_host_goes_on_with_native_hooks() {
    let mut b = Bench::new(settings());
    let native = b.hook(CLOSE, "n");
    let hosts = [b.add(host(CLOSE, "x")), b.add(host(CLOSE, "y"))];
    b.stop(0);
    b.handle(10, Event::HostClosed);
    assert!(hosts.iter().all(|h| b.outcome(*h) == Some(HookOutcome::Skipped(Skip::HostClosed))));
    assert!(b.started(native));
    assert!(!b.started(hosts[0]));
}

#[test]
fn r2_6_a_running_host_hook_is_abandoned_and_not_told_when_its_host_closes() {
    let mut b = Bench::new(settings());
    let h = b.add(host(DRAIN, "h"));
    b.stop(0);
    b.begun(1, h);
    b.handle(10, Event::HostClosed);
    assert_eq!(b.outcome(h), Some(HookOutcome::Abandoned));
    assert!(!b.cancelled(h));
    assert_eq!(b.finished().unwrap().0, DEGRADED);
}

#[test]
fn r2_7_without_a_normal_grace_there_is_no_deadline_until_a_signal() {
    let mut b = Bench::new(Settings { grace_normal: NormalGrace::Unlimited, ..settings() });
    let (h, f) = (b.hook(DRAIN, "h"), b.hook(FLUSH, "f"));
    b.stop(0);
    assert_eq!(b.deadline(), At::NEVER);
    assert_eq!(b.engine.hard_deadline(h), Some(At::NEVER));
    b.run_to(3_600_000);
    assert_eq!(b.outcome(h), None);
    b.signal(3_600_000, TERM);
    assert_eq!(b.deadline(), at(3_609_700));
    assert_eq!(b.engine.hard_deadline(h), Some(at(3_607_760)), "all but the reserve of flush, though drain began an hour ago");
    assert_eq!(b.engine.soft_deadline(h), Some(at(3_607_760 - 1552)), "and it has a soft deadline now");
    b.ok(3_600_001, h);
    b.ok(3_600_002, f);
    assert_eq!(b.finished(), Some((CLEAN, ExitPlan { code: 0, die_by: None })));
}

#[test]
fn r2_7_host_end_uses_its_own_grace_and_no_already_spent() {
    let grace_normal = NormalGrace::Limited(ms(4000));
    let mut b = Bench::new(Settings { grace_normal, already_spent: ms(3000), ..settings() });
    b.hook(DRAIN, "h");
    b.trigger(0, ReasonKind::HostEnd, None, None);
    assert_eq!(b.deadline(), at(3880));
    let mut b = Bench::new(Settings { already_spent: ms(3000), ..settings() });
    b.hook(DRAIN, "h");
    b.signal(0, TERM);
    assert_eq!(b.deadline(), at(6700));
}

// ---- 8: registering

#[test]
fn r8_1_remove_answers_removed_running_or_done() {
    let mut b = Bench::new(settings());
    let (gone, h) = (b.hook(DRAIN, "gone"), b.hook(DRAIN, "h"));
    let w = b.after(DRAIN, "w", &["h"]);
    assert_eq!(b.engine.remove(gone, at(0)), Removal::Removed);
    assert_eq!(b.engine.remove(gone, at(0)), Removal::Done);
    b.signal(0, TERM);
    assert!(!b.started(gone));
    assert_eq!(b.engine.remove(h, at(1)), Removal::Running);
    assert_eq!(b.engine.remove(w, at(1)), Removal::Removed);
    b.ok(2, h);
    assert!(b.finished().is_some() && !b.started(w));
    assert_eq!(b.engine.remove(h, at(3)), Removal::Done);
}

#[test]
fn r8_1_removing_a_waiting_hook_lets_its_followers_start() {
    let mut b = Bench::new(settings());
    b.hook(DRAIN, "x");
    let y = b.after(DRAIN, "y", &["x"]);
    let z = b.after(DRAIN, "z", &["y"]);
    b.signal(0, TERM);
    b.engine.remove(y, at(1));
    b.tick(1);
    assert!(b.started(z));
}

#[test]
fn r8_2_a_later_phase_accepts_the_current_one_too_and_a_past_one_is_too_late() {
    let mut b = Bench::new(settings());
    let d = b.hook(DRAIN, "d");
    b.signal(0, TERM);
    let now = b.add_at(10, spec(DRAIN, "now")).unwrap();
    let later = b.add_at(10, spec(FLUSH, "later")).unwrap();
    let error = b.add_at(10, spec(ANNOUNCE, "past")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLate);
    assert!(error.message().contains("announce") && error.message().contains("past"), "{error}");
    assert!(b.started(now) && !b.started(later));
    b.ok(20, d);
    b.ok(20, now);
    assert!(b.started(later));
    b.ok(30, later);
    assert_eq!(b.add_at(40, spec(FINAL, "x")).unwrap_err().kind(), ErrorKind::TooLate);
}

#[test]
fn r8_2_a_hook_that_joins_is_waited_for_by_those_that_name_it() {
    let mut b = Bench::new(settings());
    let x = b.hook(DRAIN, "x");
    let w = b.after(DRAIN, "w", &["x", "y"]);
    b.signal(0, TERM);
    let y = b.add_at(1, spec(DRAIN, "y")).unwrap();
    b.ok(2, x);
    assert!(!b.started(w));
    b.ok(3, y);
    assert!(b.started(w));
}

#[test]
fn r8_2_a_serial_hook_whose_turn_had_come_waits_for_the_one_that_joined() {
    let mut b = Bench::new(settings());
    let z = b.hook(CLOSE, "z");
    let x = b.after(CLOSE, "x", &["y"]);
    let first = b.hook(CLOSE, "first");
    b.signal(0, TERM);
    let y = b.add_at(1, HookSpec { after: vec!["z".into()], ..spec(CLOSE, "y") }).unwrap();
    b.ok(2, first);
    assert!(b.started(z) && !b.started(x));
    b.ok(3, z);
    assert!(b.started(y) && !b.started(x));
    b.ok(4, y);
    assert!(b.started(x));
}

#[test]
fn r8_2_a_phase_that_is_being_cut_accepts_nobody() {
    let mut b = Bench::new(settings());
    let d = b.hook(DRAIN, "d");
    b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.begun(0, d);
    b.signal(600, TERM);
    assert_eq!(b.add_at(610, spec(DRAIN, "x")).unwrap_err().kind(), ErrorKind::TooLate);
    assert_eq!(b.add_at(610, spec(FINAL, "x")).unwrap_err().kind(), ErrorKind::TooLate, "no reserve, so it would be skipped");
    assert!(b.add_at(610, spec(FLUSH, "x")).is_ok());
}

#[test]
fn r8_2_a_phase_number_that_does_not_exist_is_an_error_and_no_panic() {
    let mut b = Bench::new(settings());
    assert_eq!(b.add_at(0, spec(17, "h")).unwrap_err().kind(), ErrorKind::UnknownPhase);
}

#[test]
fn r8_6_a_trigger_or_an_exit_call_inside_a_hook_is_harmless() {
    let mut b = Bench::new(settings());
    let (h, i) = (b.hook(DRAIN, "h"), b.hook(DRAIN, "i"));
    b.signal(0, TERM);
    b.stop(1);
    b.raise(600, TERM);
    b.exits(700, h, 3);
    b.exits(701, i, 4);
    assert_eq!(b.finished(), Some((CLEAN, ExitPlan { code: 3, die_by: None })), "the first code counts");
}

#[test]
fn r9_1_the_word_is_1_from_the_trigger_and_2_from_drain_even_if_there_is_no_drain() {
    let off = PhasePatch { enabled: Some(false), ..PhasePatch::default() };
    let first = PhasePatch { before: Some("announce".into()), ..PhasePatch::default() };
    let mut b = Bench::new(with_phases(&[("drain", off), ("first", first)]));
    let (one, announce) = (b.hook(0, "one"), b.hook(1, "announce"));
    b.hook(2, "flush");
    b.signal(0, TERM);
    b.ok(1, one);
    assert!(!b.commands.contains(&Command::Word(2)), "announce is still to come");
    b.ok(2, announce);
    assert!(b.commands.contains(&Command::Word(2)));
}

#[test]
fn r11_1_work_in_flight_is_counted_when_drain_starts_and_ends() {
    let mut b = Bench::new(settings());
    let d = b.hook(DRAIN, "d");
    b.signal(0, TERM);
    assert!(b.commands.contains(&Command::CountInFlight(InFlightPoint::DrainStart)));
    assert!(!b.commands.contains(&Command::CountInFlight(InFlightPoint::DrainEnd)));
    b.ok(1, d);
    assert!(b.commands.contains(&Command::CountInFlight(InFlightPoint::DrainEnd)));
}

#[test]
fn r5_6_nothing_happens_to_hooks_that_were_not_started() {
    let mut b = Bench::new(settings());
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.signal(0, TERM);
    b.ok(1, f); // a confused lane
    b.begun(1, f);
    b.ok(2, d);
    assert!(b.started(f));
    b.ok(3, f);
    b.ok(4, f);
    assert_eq!(b.finished().unwrap().0, CLEAN);
}
