//! The rules of the specification as examples, one behaviour a test. Times are milliseconds after T0.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use graceshut::config::{Exit, NormalGrace};
use graceshut::engine::{ExitPlan, ExitRules, HookOutcome, HookSpec, ReasonKind, Settings, ShutdownOutcome, Skip, What};
use graceshut::plan::{Amount, OnFailure, PhasePatch};
use sim::bench::*;

fn reserved(d: u64) -> PhasePatch {
    PhasePatch { reserve: Some(Amount::fixed(ms(d))), ..PhasePatch::default() }
}

fn skipping() -> PhasePatch {
    PhasePatch { on_failure: Some(OnFailure::SkipToReserved), ..PhasePatch::default() }
}

const CLEAN: ShutdownOutcome = ShutdownOutcome::Clean;

const DEGRADED: ShutdownOutcome = ShutdownOutcome::Degraded;

const FORCED: ShutdownOutcome = ShutdownOutcome::Forced;

// ---- 6: outcomes

#[test]
fn r6_1_late_is_after_the_soft_deadline() {
    let late = |n| {
        let mut b = Bench::new(settings());
        let h = b.add(HookSpec { timeout: Some(ms(1000)), ..spec(DRAIN, "h") });
        b.signal(0, TERM);
        b.begun(0, h);
        b.ok(n, h);
        b.has(&What::HookEnd { hook: h, outcome: HookOutcome::Ok, late: true, panic: false, message: None })
    };
    assert!(!late(800));
    assert!(late(801));
}

#[test]
fn r6_2_a_failure_is_collected_and_the_plan_goes_on() {
    let mut b = Bench::new(settings());
    let (x, y, f) = (b.hook(DRAIN, "x"), b.hook(DRAIN, "y"), b.hook(FLUSH, "f"));
    b.signal(0, TERM);
    b.fail(1, x);
    b.ok(2, y);
    b.ok(3, f);
    assert_eq!(b.finished(), Some((DEGRADED, ExitPlan { code: 1, die_by: None })));
}

#[test]
fn r6_2_skip_to_reserved_lets_running_hooks_end_and_skips_waiting_ones() {
    let mut b = Bench::new(with_phases(&[("announce", skipping())]));
    let (x, y) = (b.hook(ANNOUNCE, "x"), b.hook(ANNOUNCE, "y"));
    let w = b.after(ANNOUNCE, "w", &["x"]);
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.signal(0, TERM);
    b.fail(1, x);
    assert_eq!(b.outcome(w), Some(HookOutcome::Skipped(Skip::Failure)), "its turn had come, but the phase is being left");
    assert_eq!(b.outcome(y), None);
    b.ok(2, y);
    assert_eq!(b.outcome(d), Some(HookOutcome::Skipped(Skip::Failure)));
    assert!(b.has(&What::PhaseSkip(DRAIN)));
    assert_eq!(b.phase(), Some(FLUSH));
    assert!(b.started(f));
}

#[test]
fn r6_2_skip_to_reserved_leaves_a_serial_line_too() {
    let close = PhasePatch { on_failure: Some(OnFailure::SkipToReserved), ..PhasePatch::default() };
    let mut b = Bench::new(with_phases(&[("close", close)]));
    let (first, last, f) = (b.hook(CLOSE, "first"), b.hook(CLOSE, "last"), b.hook(FINAL, "f"));
    b.signal(0, TERM);
    b.fail(1, last);
    assert_eq!(b.outcome(first), Some(HookOutcome::Skipped(Skip::Failure)));
    assert!(b.started(f));
}

#[test]
fn r6_2_skip_to_reserved_never_passes_a_reserved_phase() {
    let mut b = Bench::new(with_phases(&[("announce", skipping()), ("drain", reserved(100))]));
    let (x, d) = (b.hook(ANNOUNCE, "x"), b.hook(DRAIN, "d"));
    b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.fail(1, x);
    assert!(b.started(d));
}

#[test]
fn r6_2_without_a_reserved_phase_the_plan_continues_as_usual() {
    let mut b = Bench::new(with_phases(&[("announce", skipping())]));
    let x = b.hook(ANNOUNCE, "x");
    let w = b.after(ANNOUNCE, "w", &["x"]);
    let d = b.hook(DRAIN, "d");
    b.signal(0, TERM);
    b.fail(1, x);
    assert!(b.started(w));
    b.ok(2, w);
    assert!(b.started(d));
}

#[test]
fn r6_2_without_a_deadline_a_failure_still_jumps_to_the_reserved_phase() {
    let plan = with_phases(&[("announce", skipping())]).plan;
    let mut b = Bench::new(Settings { grace_normal: NormalGrace::Unlimited, plan, ..settings() });
    let (x, d, f) = (b.hook(ANNOUNCE, "x"), b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.stop(0);
    b.fail(1, x);
    assert_eq!(b.outcome(d), Some(HookOutcome::Skipped(Skip::Failure)));
    assert!(b.started(f));
}

#[test]
fn r6_2_an_optional_hook_is_kept_out_of_the_result() {
    let mut b = Bench::new(with_phases(&[("announce", skipping())]));
    let x = b.add(HookSpec { optional: true, ..spec(ANNOUNCE, "x") });
    let d = b.hook(DRAIN, "d");
    b.hook(FLUSH, "f");
    b.signal(0, TERM);
    b.fail(1, x);
    assert!(b.started(d), "and jumps nowhere");
    let mut b = Bench::new(settings());
    let x = b.add(HookSpec { optional: true, ..spec(FINAL, "x") });
    b.signal(0, TERM);
    b.begun(0, x);
    b.run_to(9700);
    assert_eq!(b.outcome(x), Some(HookOutcome::Abandoned));
    assert_eq!(b.finished().unwrap().0, CLEAN, "not even at D");
}

#[test]
fn r6_3_d_reached_with_work_undone_is_forced() {
    let mut b = Bench::new(settings());
    let h = b.hook(FINAL, "h");
    b.signal(0, TERM);
    b.begun(0, h);
    b.run_to(9700);
    assert_eq!(b.finished(), Some((FORCED, ExitPlan { code: 143, die_by: None })));
    // Work that was not even begun counts as much.
    let no_reserve = |name| (name, reserved(0));
    let mut b = Bench::new(with_phases(&[no_reserve("flush")]));
    let (d, f) = (b.add(HookSpec { optional: true, ..spec(DRAIN, "d") }), b.hook(FLUSH, "f"));
    b.signal(0, TERM);
    b.begun(0, d);
    b.run_to(9700);
    assert_eq!(b.outcome(f), Some(HookOutcome::Skipped(Skip::Deadline)));
    assert_eq!(b.finished().unwrap().0, FORCED);
}

#[test]
fn r6_3_an_abandoned_hook_before_d_only_degrades() {
    let mut b = Bench::new(settings());
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.signal(0, TERM);
    b.begun(0, d);
    b.run_to(7760);
    assert_eq!(b.outcome(d), Some(HookOutcome::Abandoned));
    b.ok(7800, f);
    assert_eq!(b.finished().unwrap().0, DEGRADED);
}

struct Row {
    rules: ExitRules,
    kind: ReasonKind,
    signo: i32,
    host_code: Option<i32>,
    proposed: Option<i32>,
    fails: bool,
    forced: bool,
}

const ROW: Row =
    Row { rules: RULES, kind: ReasonKind::Signal, signo: TERM, host_code: None, proposed: None, fails: false, forced: false };
const RULES: ExitRules = ExitRules { exit: Exit::Host, clean: None, degraded: None, forced: None };

fn leaves(row: Row) -> (i32, Option<i32>) {
    let mut b = Bench::new(Settings { exit: row.rules, ..settings() });
    let h = b.hook(FLUSH, "h");
    let rest = b.hook(FINAL, "rest");
    match row.kind {
        ReasonKind::Signal => b.signal(0, row.signo),
        kind => b.trigger(0, kind, None, row.host_code),
    }
    if let Some(code) = row.proposed {
        b.exits(1, h, code);
    } else if row.fails {
        b.fail(1, h);
    } else {
        b.ok(1, h);
    }
    b.begun(1, rest);
    if row.forced {
        b.run_to(20_000);
    } else {
        b.ok(2, rest);
    }
    let exit = b.finished().unwrap().1;
    (exit.code, exit.die_by)
}

#[test]
fn r6_4_clean_after_host_end_or_stop_is_the_hosts_own_code() {
    use ReasonKind::{HostEnd, Stop};
    assert_eq!(leaves(Row { kind: HostEnd, host_code: Some(7), ..ROW }), (7, None));
    assert_eq!(leaves(Row { kind: HostEnd, ..ROW }), (0, None));
    assert_eq!(leaves(Row { kind: Stop, ..ROW }), (0, None));
    assert_eq!(leaves(Row { kind: Stop, proposed: Some(5), ..ROW }), (5, None));
    assert_eq!(leaves(Row { kind: HostEnd, host_code: Some(7), proposed: Some(5), ..ROW }), (5, None));
}

#[test]
fn r6_4_clean_after_a_signal_is_0_and_after_int_death_by_int() {
    assert_eq!(leaves(ROW), (0, None));
    assert_eq!(leaves(Row { signo: HUP, ..ROW }), (0, None));
    assert_eq!(leaves(Row { signo: INT, ..ROW }), (130, Some(INT)));
    assert_eq!(leaves(Row { signo: INT, rules: ExitRules { clean: Some(0), ..RULES }, ..ROW }), (0, None));
    assert_eq!(leaves(Row { rules: ExitRules { clean: Some(9), ..RULES }, ..ROW }), (9, None));
    assert_eq!(leaves(Row { proposed: Some(4), ..ROW }), (4, None));
}

#[test]
fn r6_4_reraise_dies_by_the_signal_itself_when_clean() {
    let rules = ExitRules { exit: Exit::Reraise, ..RULES };
    assert_eq!(leaves(Row { rules, ..ROW }), (143, Some(TERM)));
    assert_eq!(leaves(Row { rules, fails: true, ..ROW }), (1, None));
    assert_eq!(leaves(Row { rules, kind: ReasonKind::Stop, ..ROW }), (0, None));
}

#[test]
fn r6_4_degraded_turns_0_into_1_and_keeps_any_other_code() {
    assert_eq!(leaves(Row { fails: true, ..ROW }), (1, None));
    assert_eq!(leaves(Row { fails: true, signo: INT, ..ROW }), (1, None));
    assert_eq!(leaves(Row { fails: true, kind: ReasonKind::HostEnd, host_code: Some(7), ..ROW }), (7, None));
    assert_eq!(leaves(Row { fails: true, rules: ExitRules { degraded: Some(75), ..RULES }, ..ROW }), (75, None));
}

#[test]
fn r6_4_forced_is_128_and_the_signal_or_70() {
    assert_eq!(leaves(Row { forced: true, ..ROW }), (143, None));
    assert_eq!(leaves(Row { forced: true, kind: ReasonKind::Stop, ..ROW }), (70, None));
    assert_eq!(leaves(Row { forced: true, kind: ReasonKind::HostEnd, host_code: Some(3), ..ROW }), (70, None));
    assert_eq!(leaves(Row { forced: true, rules: ExitRules { forced: Some(99), ..RULES }, ..ROW }), (99, None));
}

#[test]
fn r6_4_an_uncaught_error_keeps_the_hosts_own_status() {
    let row = || Row { kind: ReasonKind::Uncaught, host_code: Some(101), ..ROW };
    assert_eq!(leaves(row()), (101, None));
    assert_eq!(leaves(Row { fails: true, ..row() }), (101, None));
    assert_eq!(leaves(Row { forced: true, ..row() }), (101, None));
    assert_eq!(leaves(Row { proposed: Some(0), ..row() }), (101, None), "whatever a hook says");
    assert_eq!(leaves(Row { host_code: None, ..row() }), (1, None));
}
