//! The rules of the specification as examples, one behaviour a test. Times are milliseconds after T0.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use std::time::Duration;

use graceshut::clock::At;
use graceshut::config::AnnounceDelay;
use graceshut::engine::{HookOutcome, HookSpec, Kind, NotStarted, ReasonKind, Removal, Settings, ShutdownOutcome, Skip, What};
use graceshut::error::ErrorKind;
use graceshut::plan::{Amount, Order, PhasePatch};
use sim::bench::*;

fn reserved(d: u64) -> PhasePatch {
    PhasePatch { reserve: Some(Amount::fixed(ms(d))), ..PhasePatch::default() }
}

fn serial() -> PhasePatch {
    PhasePatch { order: Some(Order::Serial), ..PhasePatch::default() }
}

const DEGRADED: ShutdownOutcome = ShutdownOutcome::Degraded;

// ---- 4: phases

#[test]
fn r4_1_a_default_reserve_counts_only_while_its_phase_has_hooks() {
    let mut b = Bench::new(settings());
    b.hook(DRAIN, "d");
    b.hook(FINAL, "f");
    b.signal(0, TERM);
    assert_eq!(b.engine.phase_end(), Some(at(9700 - 485)), "only final keeps something");
}

#[test]
fn r4_1_an_explicit_reserve_always_counts() {
    let mut b = Bench::new(with_phases(&[("flush", reserved(3000))]));
    b.hook(DRAIN, "d");
    b.signal(0, TERM);
    assert_eq!(b.engine.phase_end(), Some(at(6700)));
}

#[test]
fn r4_1_a_hook_that_comes_late_claims_its_default_reserve() {
    let mut b = Bench::new(settings());
    let d = b.hook(DRAIN, "d");
    b.signal(0, TERM);
    assert_eq!(b.engine.hard_deadline(d), Some(at(9700)));
    b.add_at(1000, spec(FLUSH, "late")).unwrap();
    assert_eq!(b.engine.hard_deadline(d), Some(at(9700 - 1940)));
    let last = b.add_at(2000, spec(FINAL, "last")).unwrap();
    assert_eq!(b.engine.phase_end(), Some(at(9700 - 1940 - 485)));
    assert_eq!(b.engine.remove(last, at(2001)), Removal::Removed);
    assert_eq!(b.engine.phase_end(), Some(at(9700 - 1940 - 485)), "an end never moves away again");
}

#[test]
fn r4_1_a_late_claim_leaves_the_running_phase_a_moment() {
    let mut b = Bench::new(settings());
    let d = b.hook(DRAIN, "d");
    b.signal(0, TERM);
    b.begun(0, d);
    b.run_to(9000);
    b.add_at(9000, spec(FLUSH, "late")).unwrap();
    assert_eq!(b.engine.hard_deadline(d), Some(at(9100)), "D - 1940 ms is past");
}

#[test]
fn r4_2_auto_waits_5_s_only_when_serving_on_kubernetes_after_term() {
    let delay = |serving, kubernetes, signo| {
        let mut b = Bench::new(Settings { kubernetes, grace: ms(30_000), ..settings() });
        b.engine.set_serving(serving);
        b.signal(0, signo);
        b.engine.announce_delay()
    };
    assert_eq!(delay(true, true, TERM), ms(5000));
    assert_eq!(delay(false, true, TERM), Duration::ZERO);
    assert_eq!(delay(true, false, TERM), Duration::ZERO);
    assert_eq!(delay(true, true, INT), Duration::ZERO);
    assert_eq!(delay(true, true, HUP), Duration::ZERO);
}

#[test]
fn r4_2_a_fixed_delay_is_never_for_int_or_host_end() {
    let fixed = || Bench::new(Settings { announce_delay: AnnounceDelay::Fixed(ms(700)), ..settings() });
    let after = |f: &dyn Fn(&mut Bench)| {
        let mut b = fixed();
        f(&mut b);
        b.engine.announce_delay()
    };
    assert_eq!(after(&|b| b.signal(0, TERM)), ms(700));
    assert_eq!(after(&|b| b.stop(0)), ms(700));
    assert_eq!(after(&|b| b.signal(0, INT)), Duration::ZERO);
    assert_eq!(after(&|b| b.trigger(0, ReasonKind::HostEnd, None, None)), Duration::ZERO);
    assert_eq!(after(&|b| b.trigger(0, ReasonKind::Uncaught, None, None)), Duration::ZERO);
}

#[test]
fn r4_2_the_delay_runs_beside_the_hooks_and_is_clipped_by_the_cap() {
    let mut b = Bench::new(Settings { announce_delay: AnnounceDelay::Fixed(ms(9000)), ..settings() });
    let (delay, h) = (b.add(HookSpec { kind: Kind::ANNOUNCE, ..spec(ANNOUNCE, "delay") }), b.hook(ANNOUNCE, "h"));
    let d = b.hook(DRAIN, "d");
    b.signal(0, TERM);
    assert!(b.started(h) && !b.started(delay));
    b.ok(10, h);
    b.run_to(2424);
    assert!(!b.started(d));
    b.run_to(2425);
    assert_eq!(b.outcome(delay), Some(HookOutcome::Ok), "a pause that was cut short did all it could");
    assert!(b.started(d));
}

#[test]
fn r4_3_a_serial_phase_runs_one_hook_at_a_time_last_registered_first() {
    let mut b = Bench::new(settings());
    let (first, last) = (b.hook(CLOSE, "first"), b.hook(CLOSE, "last"));
    b.signal(0, TERM);
    assert!(b.started(last) && !b.started(first));
    b.ok(5, last);
    assert!(b.started(first));
}

#[test]
fn r4_4_a_hook_waits_for_all_hooks_of_the_name_whatever_their_outcome() {
    let mut b = Bench::new(settings());
    let w = b.after(DRAIN, "w", &["x", "x"]);
    let (x, y) = (b.hook(DRAIN, "x"), b.hook(DRAIN, "x"));
    b.signal(0, TERM);
    b.fail(1, x);
    assert!(!b.started(w));
    b.ok(2, y);
    assert!(b.started(w));
}

#[test]
fn r4_4_a_name_still_unknown_when_the_phase_starts_is_dropped_with_a_warning() {
    let mut b = Bench::new(settings());
    let w = b.after(DRAIN, "w", &["nobody"]);
    let gone = b.hook(DRAIN, "gone");
    let v = b.after(DRAIN, "v", &["gone"]);
    assert_eq!(b.engine.remove(gone, at(0)), Removal::Removed);
    b.signal(0, TERM);
    assert!(b.started(w) && b.started(v));
    assert!(b.has(&What::UnknownAfter(w)) && b.has(&What::UnknownAfter(v)));
}

#[test]
fn r4_4_the_same_name_in_another_phase_is_another_name() {
    let mut b = Bench::new(settings());
    b.hook(FLUSH, "x");
    let w = b.after(DRAIN, "w", &["x"]);
    b.signal(0, TERM);
    assert!(b.started(w) && b.has(&What::UnknownAfter(w)));
}

#[test]
fn r4_4_a_registration_that_closes_a_circle_is_refused() {
    let mut b = Bench::new(settings());
    b.after(DRAIN, "a", &["b"]);
    b.after(DRAIN, "b", &["c"]);
    let error = b.add_at(0, HookSpec { after: vec!["a".into()], ..spec(DRAIN, "c") }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cycle);
    assert!(error.message().contains("\"c\"") && error.message().contains("\"a\""), "{error}");
    let own = b.add_at(0, HookSpec { after: vec!["s".into()], ..spec(DRAIN, "s") }).unwrap_err();
    assert_eq!(own.kind(), ErrorKind::Cycle);
    assert!(b.add_at(0, HookSpec { after: vec!["a".into()], ..spec(FLUSH, "c") }).is_ok(), "no circle in another phase");
}

#[test]
fn r4_4_a_removed_hook_closes_no_circle() {
    let mut b = Bench::new(settings());
    let a = b.after(DRAIN, "a", &["b"]);
    b.engine.remove(a, at(0));
    assert!(b.add_at(0, HookSpec { after: vec!["a".into()], ..spec(DRAIN, "b") }).is_ok());
}

#[test]
fn r4_5_a_phase_ends_as_soon_as_its_hooks_have_and_the_time_flows_on() {
    let mut b = Bench::new(settings());
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.signal(0, TERM);
    b.ok(100, d);
    assert_eq!(b.phase(), Some(FLUSH));
    assert_eq!(b.engine.hard_deadline(f), Some(at(9700)), "flush has what drain left over");
    b.ok(200, f);
    assert!(b.finished().is_some());
}

#[test]
fn r4_6_a_waiting_serial_hook_keeps_p_over_2n() {
    let mut b = Bench::new(with_phases(&[("drain", serial())]));
    let ids: Vec<_> = (0..4).map(|n| b.hook(DRAIN, &format!("h{n}"))).collect();
    b.signal(0, TERM);
    // P = 9700, n = 4: each waiting one keeps 1212.5 ms.
    assert_eq!(b.engine.hard_deadline(ids[3]), Some(At(at(9700).0 - 3 * 1_212_500_000)));
    b.run_to(6062);
    b.run_to(6063);
    assert_eq!(b.outcome(ids[3]), Some(HookOutcome::NotStarted(NotStarted::NoWorker)));
    assert_eq!(b.engine.hard_deadline(ids[2]), Some(At(at(9700).0 - 2 * 1_212_500_000)));
    b.run_to(9699);
    assert!(b.started(ids[0]));
}

#[test]
fn r4_6_chains_by_after_keep_their_share_too() {
    let mut b = Bench::new(settings());
    let a = b.hook(DRAIN, "a");
    b.after(DRAIN, "b", &["a"]);
    let c = b.after(DRAIN, "c", &["b"]);
    let alone = b.hook(DRAIN, "alone");
    b.signal(0, TERM);
    // P = 9700 and a chain of three: two keep a sixth each.
    assert_eq!(b.engine.hard_deadline(a).unwrap(), At(at(9700).0 - 3_233_333_333));
    assert_eq!(b.engine.hard_deadline(alone), Some(at(9700)));
    assert!(!b.started(c));
}

#[test]
fn r4_6_a_starved_hook_is_skipped_phase_over() {
    let cap = PhasePatch { cap: Some(Amount::ZERO), ..PhasePatch::default() };
    let mut b = Bench::new(with_phases(&[("drain", cap)]));
    let h = b.hook(DRAIN, "h");
    b.signal(0, TERM);
    assert_eq!(b.outcome(h), Some(HookOutcome::Skipped(Skip::PhaseOver)));
    assert_eq!(b.finished().unwrap().0, DEGRADED);
}

#[test]
fn r4_6_a_serial_line_shares_what_is_left_when_d_moves_closer() {
    let mut b = Bench::new(with_phases(&[("drain", serial())]));
    let (first, last) = (b.hook(DRAIN, "first"), b.hook(DRAIN, "last"));
    b.signal(0, TERM);
    b.trigger(5000, ReasonKind::Stop, Some(ms(1100)), None);
    assert_eq!(b.engine.phase_end(), Some(at(6000)));
    assert_eq!(b.engine.hard_deadline(last), Some(at(5500)), "half of the second that is left, not nothing");
    b.ok(5100, last);
    assert_eq!(b.engine.hard_deadline(first), Some(at(6000)));
}
