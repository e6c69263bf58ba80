//! A preStop of our own, rule by rule (spec 2.3, 4.2, 5.2, 6.4, 7.1, 7.3, 7.4).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use std::time::Duration;

use graceshut::config::{AnnounceDelay, Exit, NormalGrace, Repeat};
use graceshut::engine::{
    Command, Event, ExitPlan, ExitRules, HookOutcome, Kind, ReasonKind, Settings, ShutdownOutcome, TriggerAction, What,
};
use sim::bench::*;

const CLEAN: ShutdownOutcome = ShutdownOutcome::Clean;
const FORCED: ShutdownOutcome = ShutdownOutcome::Forced;

fn plain(code: i32) -> ExitPlan {
    ExitPlan { code, die_by: None }
}

fn prestop(b: &mut Bench, n: u64) {
    b.trigger(n, ReasonKind::Prestop, None, None);
}

/// Announce and drain are over at 1000 ms; `f` waits in flush.
fn drained(settings: Settings) -> (Bench, graceshut::engine::HookId) {
    let mut b = Bench::new(settings);
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    prestop(&mut b, 0);
    b.begun(0, d);
    assert!(!b.commands.contains(&Command::Drained));
    b.ok(1000, d);
    (b, f)
}

#[test]
fn r7_4_after_drain_the_plan_waits_for_the_term() {
    let (mut b, f) = drained(settings());
    assert!(b.commands.contains(&Command::Drained) && b.commands.contains(&Command::Word(2)));
    assert!(b.engine.waits_after_prestop() && b.engine.is_past_prestop());
    assert_eq!(b.phase(), None);
    b.run_to(5000);
    assert!(!b.started(f));
    b.signal(5000, TERM);
    assert!(b.started(f));
    assert_eq!(b.actions(), [TriggerAction::Started, TriggerAction::Recorded]);
    b.ok(5001, f);
    assert_eq!(b.finished(), Some((CLEAN, plain(0))));
}

#[test]
fn r7_4_at_latest_until_d_less_the_remaining_reserves() {
    let (mut b, f) = drained(settings());
    let wait = ms(9700 - 1940 - 1000);
    assert!(b.has(&What::PrestopWait(wait)), "flush alone has hooks, and its reserve");
    b.run_to(7759);
    assert!(!b.started(f));
    b.run_to(7760);
    assert!(b.started(f));
    assert_eq!(b.engine.hard_deadline(f), Some(at(9700)));
}

#[test]
fn r7_4_a_reserve_claimed_during_the_wait_ends_it_earlier() {
    let (mut b, f) = drained(settings());
    b.add_at(2000, spec(FINAL, "l")).unwrap();
    b.run_to(7274);
    assert!(!b.started(f));
    b.run_to(7275);
    assert!(b.started(f));
    let (mut b, f) = drained(settings());
    b.add_at(7500, spec(FINAL, "l")).unwrap();
    assert!(b.started(f), "nothing is left to wait in");
    assert_eq!(b.add_at(7600, spec(DRAIN, "too late")).unwrap_err().kind(), graceshut::ErrorKind::TooLate);
}

#[test]
fn r7_4_what_came_before_drain_ended_leaves_nothing_to_wait_for() {
    type Other = fn(&mut Bench);
    let others: [Other; 5] = [
        |b| b.signal(10, TERM),
        |b| b.signal(10, INT),
        |b| b.stop(10),
        |b| b.trigger(10, ReasonKind::HostEnd, None, Some(0)),
        |b| b.raise(10, TERM),
    ];
    for other in others {
        let mut b = Bench::new(settings());
        let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
        prestop(&mut b, 0);
        b.begun(0, d);
        other(&mut b);
        assert!(!b.started(f) && b.outcome(d).is_none(), "drain goes on");
        b.ok(1000, d);
        assert!(b.started(f));
        assert_eq!(b.commands.iter().filter(|c| **c == Command::Drained).count(), 1);
    }
}

#[test]
fn r7_4_stop_and_host_end_end_the_wait() {
    let (mut b, f) = drained(settings());
    b.stop(2000);
    assert!(b.started(f));
    let (mut b, f) = drained(settings());
    b.trigger(2000, ReasonKind::HostEnd, None, Some(3));
    b.ok(2001, f);
    assert_eq!(b.finished(), Some((CLEAN, plain(3))));
}

#[test]
fn r7_1_one_the_process_sends_itself_stays_a_duplicate_and_ends_the_wait() {
    let (mut b, f) = drained(settings());
    b.raise(2000, TERM);
    assert!(b.started(f));
    assert_eq!(b.actions()[1], TriggerAction::Duplicate);
    b.signal(3000, TERM);
    assert_eq!(b.actions()[2], TriggerAction::Recorded, "the kubelet's TERM is still the first");
}

#[test]
fn r7_3_the_term_after_a_prestop_is_a_repeat_in_no_preset() {
    for repeat in [Repeat::Expedite, Repeat::Interactive, Repeat::Orchestrated] {
        let (mut b, f) = drained(Settings { repeat, ..settings() });
        b.signal(1001, TERM);
        assert!(b.started(f));
        assert_eq!(b.actions(), [TriggerAction::Started, TriggerAction::Recorded], "{repeat:?}");
        b.begun(1001, f);
        b.signal(1300, TERM);
        assert_eq!(b.actions()[2], TriggerAction::Duplicate);
        b.signal(2000, TERM);
        let second = match repeat {
            Repeat::Expedite => TriggerAction::Expedited,
            Repeat::Interactive => TriggerAction::Left,
            Repeat::Orchestrated => TriggerAction::Ignored,
        };
        assert_eq!(b.actions()[3], second);
    }
}

#[test]
fn r5_2_t0_is_when_the_prestop_began_and_already_spent_counts_once() {
    let (mut b, _) = drained(Settings { already_spent: ms(2000), ..settings() });
    assert_eq!(b.deadline(), at(7700), "grace 10 s - 2 s - margin");
    b.signal(1001, TERM);
    assert_eq!(b.deadline(), at(7700), "not 1001 + 7700, and not less 2 s again");
    b.handle(2000, Event::Signal { signo: HUP, at: at(2000), sender: None, self_sent: false, grace: None });
    let (mut b, _) = drained(Settings { already_spent: ms(2000), ..settings() });
    b.handle(1001, Event::Signal { signo: TERM, at: at(1001), sender: None, self_sent: false, grace: Some(ms(4000)) });
    assert_eq!(b.deadline(), at(1001 + 4000 - 120), "a shorter grace of its own still counts (2.2)");
}

#[test]
fn r2_7_a_prestop_has_the_grace_of_a_signal() {
    let (b, _) = drained(Settings { grace_normal: NormalGrace::Unlimited, ..settings() });
    assert_eq!(b.deadline(), at(9700));
}

#[test]
fn r2_2_a_prestop_that_comes_later_changes_nothing_but_d() {
    let mut b = Bench::new(Settings { grace_normal: NormalGrace::Unlimited, ..settings() });
    let (d, f) = (b.hook(DRAIN, "d"), b.hook(FLUSH, "f"));
    b.stop(0);
    b.begun(0, d);
    prestop(&mut b, 100);
    assert!(b.engine.is_past_prestop(), "it is answered at once");
    assert_eq!(b.deadline(), at(9800), "from here on something waits outside");
    b.ok(1000, d);
    assert!(b.started(f), "no wait: the stop() came first");
    let (mut b, _) = drained(settings());
    prestop(&mut b, 1200);
    assert_eq!(b.actions(), [TriggerAction::Started, TriggerAction::Duplicate]);
    assert_eq!(b.deadline(), at(9700));
    assert!(b.engine.waits_after_prestop());
}

#[test]
fn r4_2_the_delay_is_waited_out_in_the_prestop() {
    let on = Settings { kubernetes: true, grace: ms(30_000), ..settings() };
    let mut b = Bench::new(on.clone());
    b.engine.set_serving(true);
    let delay = b.add(graceshut::engine::HookSpec { kind: Kind::ANNOUNCE, ..spec(ANNOUNCE, "announce_delay") });
    let f = b.hook(FLUSH, "f");
    prestop(&mut b, 0);
    assert_eq!(b.engine.announce_delay(), ms(5000));
    b.signal(2000, TERM);
    b.run_to(4999);
    assert_eq!(b.outcome(delay), None, "a TERM in between neither ends nor restarts it");
    b.run_to(5000);
    assert_eq!(b.outcome(delay), Some(HookOutcome::Ok));
    assert!(b.started(f));
    let mut b = Bench::new(on);
    prestop(&mut b, 0);
    assert_eq!(b.engine.announce_delay(), Duration::ZERO, "it does not serve");
    let mut b = Bench::new(Settings { announce_delay: AnnounceDelay::Fixed(ms(70)), ..settings() });
    prestop(&mut b, 0);
    assert_eq!(b.engine.announce_delay(), ms(70));
}

#[test]
fn r6_4_the_exit_status_is_that_of_the_signal_or_of_a_stop() {
    let end = |exit: ExitRules, then: &dyn Fn(&mut Bench)| {
        let (mut b, f) = drained(Settings { exit, ..settings() });
        then(&mut b);
        b.run_to(7760);
        if b.outcome(f).is_none() {
            b.ok(7761, f);
        }
        b.finished().unwrap()
    };
    let usual = ExitRules::default();
    assert_eq!(end(usual, &|_| ()), (CLEAN, plain(0)), "no signal: as stop()");
    assert_eq!(end(usual, &|b| b.signal(2000, TERM)), (CLEAN, plain(0)));
    assert_eq!(end(usual, &|b| b.signal(2000, INT)), (CLEAN, ExitPlan { code: 130, die_by: Some(INT) }));
    let reraise = ExitRules { exit: Exit::Reraise, ..usual };
    assert_eq!(end(reraise, &|b| b.signal(2000, TERM)), (CLEAN, ExitPlan { code: 143, die_by: Some(TERM) }));
    assert_eq!(end(reraise, &|_| ()), (CLEAN, plain(0)));
    let forced = |by: &dyn Fn(&mut Bench)| {
        let (mut b, f) = drained(settings());
        by(&mut b);
        b.run_to(7760);
        b.begun(7760, f);
        b.run_to(9700);
        b.finished().unwrap()
    };
    assert_eq!(forced(&|_| ()), (FORCED, plain(70)));
    assert_eq!(forced(&|b| b.signal(2000, TERM)), (FORCED, plain(143)));
}

#[test]
fn r5_9_the_watchdog_is_told_when_the_signal_comes() {
    let (mut b, _) = drained(settings());
    let before = b.commands.iter().filter(|c| matches!(c, Command::Deadline(_))).count();
    b.signal(2000, TERM);
    assert_eq!(b.commands.iter().filter(|c| matches!(c, Command::Deadline(_))).count(), before + 1);
    assert_eq!(b.engine.started_by(), Some(TERM));
}

#[test]
fn r5_10_a_process_held_up_in_the_wait_goes_on() {
    let (mut b, f) = drained(settings());
    b.tick(20_000);
    assert!(b.started(f));
    assert_eq!(b.deadline(), at(20_000 + 1940));
}

#[test]
fn r7_4_a_plan_without_drain_waits_after_announce() {
    use graceshut::plan::PhasePatch;
    let off = PhasePatch { enabled: Some(false), ..PhasePatch::default() };
    let mut b = Bench::new(with_phases(&[("drain", off)]));
    let (a, f) = (b.hook(ANNOUNCE, "a"), b.hook(1, "f"));
    prestop(&mut b, 0);
    b.ok(100, a);
    assert!(b.engine.waits_after_prestop() && !b.started(f));
    b.signal(200, TERM);
    assert!(b.started(f));
}

#[test]
fn r2_5_a_held_install_keeps_a_prestop_back_as_any_trigger() {
    let mut b = Bench::held(settings());
    let d = b.hook(DRAIN, "d");
    assert!(!b.engine.is_ready());
    prestop(&mut b, 0);
    assert!(!b.started(d));
    b.run_to(1000);
    assert!(b.started(d));
}
