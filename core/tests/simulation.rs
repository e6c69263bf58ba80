//! Thousands of shutdowns on a virtual clock, each judged by `sim::check`. No wall clock, no threads.
//!
//! `GRACESHUT_SIM_RUNS=50000` plays more; `GRACESHUT_SIM_SEED=17` plays one and prints it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use graceshut::clock::At;
use graceshut::engine::{Command, HookId, HookOutcome, NotStarted, ShutdownOutcome, Skip, TriggerAction, What};
use graceshut::plan::Order;
use sim::check;
use sim::scenario::Scenario;
use sim::trace::Trace;
use sim::world::play;

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|v| v.parse().unwrap_or_else(|_| panic!("{name} is no number: {v}")))
}

fn judge(trace: &Trace) -> Vec<String> {
    check::ALL.iter().filter_map(|(name, judge)| judge(trace).err().map(|why| format!("{name}: {why}"))).collect()
}

fn tell(trace: &Trace) {
    for (i, p) in trace.settings.plan.phases().iter().enumerate() {
        eprintln!("phase {i}: {p:?}");
    }
    for (k, h) in trace.hooks.iter().enumerate() {
        eprintln!("hook {k}: from {} removed {:?} {:?}", h.from, h.removed, h.spec);
    }
    let mut commands = trace.commands.iter().peekable();
    for (k, record) in trace.records.iter().enumerate() {
        eprintln!("{k:4} {:?} {:?}", record.at, record.what);
        while let Some((at, _, command)) = commands.next_if(|c| c.1 <= k + 1) {
            eprintln!("       {at:?} -> {command:?}");
        }
    }
    eprintln!("late at most {:?}, in all {:?}; settings {:?}", trace.latest, trace.late_sum, trace.settings);
}

#[test]
fn whatever_happens_the_rules_hold() {
    let only = env("GRACESHUT_SIM_SEED");
    let runs = env("GRACESHUT_SIM_RUNS").unwrap_or(30_000);
    let seeds = only.map_or(0..runs, |seed| seed..seed + 1);
    let mut bad = Vec::new();
    for seed in seeds {
        let scenario = Scenario::roll(seed);
        let complaints = match catch_unwind(AssertUnwindSafe(|| play(&scenario))) {
            Ok(trace) => {
                if only.is_some() {
                    tell(&trace);
                }
                judge(&trace)
            }
            Err(_) => vec!["it panicked".to_owned()],
        };
        bad.extend(complaints.into_iter().map(|why| format!("GRACESHUT_SIM_SEED={seed}  {why}")));
    }
    assert!(bad.is_empty(), "{} complaints, the first:\n{}", bad.len(), bad[..bad.len().min(12)].join("\n"));
}

/// The first trace that `fits`, of those the dice give.
fn a_trace(fits: impl Fn(&Trace) -> bool) -> Trace {
    (0..20_000).map(|seed| play(&Scenario::roll(seed))).find(fits).expect("the dice give such a run")
}

fn find(trace: &Trace, which: impl Fn(&What) -> bool) -> Option<usize> {
    trace.records.iter().position(|r| which(&r.what))
}

fn has(trace: &Trace, which: impl Fn(&What) -> bool) -> bool {
    find(trace, which).is_some()
}

/// Breaks a good trace and demands that `judge` says so, in words that contain `words`.
fn must_object(judge: fn(&Trace) -> Result<(), String>, mut trace: Trace, words: &str, damage: impl Fn(&mut Trace)) {
    assert_eq!(judge(&trace), Ok(()), "the undamaged trace is good");
    damage(&mut trace);
    let objection = judge(&trace).expect_err("the damage is noticed");
    assert!(objection.contains(words), "{objection:?} does not mention {words:?}");
}

fn any_end(what: &What) -> bool {
    matches!(what, What::HookEnd { .. })
}

fn any_start(what: &What) -> bool {
    matches!(what, What::HookStart(..))
}

fn runs_something(t: &Trace) -> bool {
    t.steps.iter().any(|s| s.handled && !s.running.is_empty()) && has(t, any_start)
}

fn break_running(t: &mut Trace, break_it: impl Fn(&mut (HookId, At, At), At)) {
    let step = t.steps.iter_mut().find(|s| s.handled && !s.running.is_empty()).unwrap();
    let now = step.now;
    break_it(&mut step.running[0], now);
}

#[test]
fn the_judge_of_order_can_object() {
    must_object(check::records_in_order, a_trace(runs_something), "is before", |t| {
        let k = find(t, |w| matches!(w, What::Finished { .. })).unwrap();
        t.records[k].at = At(0);
    });
}

#[test]
fn the_judge_of_phases_can_object() {
    let ends = |w: &What| matches!(w, What::PhaseEnd(_));
    must_object(check::phases_in_order, a_trace(|t| has(t, ends)), "open Some", |t| {
        let k = find(t, ends).unwrap();
        t.records.remove(k);
    });
    must_object(check::phases_in_order, a_trace(|t| has(t, any_start)), "outside its phase", |t| {
        let k = find(t, any_start).unwrap();
        let start = t.records.remove(k);
        t.records.push(start);
    });
}

#[test]
fn the_judge_of_outcomes_can_object() {
    must_object(check::one_outcome, a_trace(|t| has(t, any_end)), "ended 2 times", |t| {
        let k = find(t, any_end).unwrap();
        t.records.insert(k, t.records[k].clone());
    });
    must_object(check::one_outcome, a_trace(|t| has(t, any_end)), "ended 0 times", |t| {
        let k = find(t, any_end).unwrap();
        t.records.remove(k);
    });
    must_object(check::one_outcome, a_trace(|t| has(t, any_start)), "without a start", |t| {
        t.records.retain(|r| !any_start(&r.what));
    });
}

#[test]
fn the_judge_of_starts_can_object() {
    let chained = |t: &Trace| {
        t.hooks.iter().enumerate().any(|(k, h)| {
            has(t, |w| matches!(w, What::HookStart(id, _) if id.0 as usize == k))
                && t.hooks.iter().any(|o| {
                    o.from == 0 && o.removed.is_none() && o.spec.phase == h.spec.phase && h.spec.after.contains(&o.spec.name)
                })
        })
    };
    must_object(check::starts, a_trace(chained), "before hook", |t| t.records.retain(|r| !any_end(&r.what)));
    let serial = |t: &Trace| {
        let starts =
            t.records.iter().filter_map(|r| if let What::HookStart(id, _) = r.what { Some(t.spec(id).phase) } else { None });
        let all: Vec<usize> = starts.filter(|i| t.settings.plan.phases()[*i].order == Order::Serial).collect();
        all.windows(2).any(|w| w[0] == w[1]) && t.hooks.iter().all(|h| h.spec.after.is_empty())
    };
    must_object(check::starts, a_trace(serial), "in a serial phase", |t| t.records.retain(|r| !any_end(&r.what)));
}

#[test]
fn the_judge_of_boxes_can_object() {
    must_object(check::boxes, a_trace(runs_something), "after its phase's end", |t| {
        break_running(t, |(_, _, hard), _| *hard = At(u64::MAX));
    });
    let function = |t: &Trace| runs_something(t) && t.hooks.iter().all(|h| h.spec.kind.pause.is_none());
    must_object(check::boxes, a_trace(function), "soft", |t| break_running(t, |(_, soft, hard), _| *soft = At(hard.0 + 1)));
    let phase_ends = |t: &Trace| t.steps.iter().any(|s| s.phase_end.is_some() && s.deadline.is_some_and(|d| !d.is_never()));
    must_object(check::boxes, a_trace(phase_ends), "after D", |t| {
        let step = t.steps.iter_mut().find(|s| s.phase_end.is_some() && s.deadline.is_some_and(|d| !d.is_never())).unwrap();
        step.phase_end = Some(At::NEVER);
    });
}

#[test]
fn the_judge_of_timers_can_object() {
    must_object(check::nothing_due, a_trace(runs_something), "past its hard deadline", |t| {
        break_running(t, |(_, _, hard), now| *hard = now);
    });
    let cancels = |w: &What| matches!(w, What::HookCancel(_));
    must_object(check::nothing_due, a_trace(|t| has(t, cancels) && t.steps.iter().any(|s| s.handled)), "not cancelled", |t| {
        let k = find(t, cancels).unwrap();
        let What::HookCancel(id) = t.records[k].what else { return };
        t.records.retain(|r| !matches!(r.what, What::HookCancel(_)));
        let step = t.steps.iter_mut().rev().find(|s| s.handled).unwrap();
        step.records = t.records.len();
        step.running = vec![(id, step.now, At::NEVER)];
        t.steps.retain(|s| s.records <= t.records.len());
    });
}

#[test]
fn the_judge_of_budgets_can_object() {
    let given =
        |w: &What| matches!(w, What::PhaseStart(_, d) if *d > Duration::from_millis(5) && *d < Duration::from_secs(100));
    must_object(check::budgets, a_trace(|t| has(t, given)), "5.1 says", |t| {
        let k = find(t, given).unwrap();
        if let What::PhaseStart(_, d) = &mut t.records[k].what {
            *d += Duration::from_millis(1);
        }
    });
}

#[test]
fn the_judge_of_reserves_can_object() {
    let close = |w: &What| matches!(w, What::PhaseStart(4, d) if *d > Duration::from_secs(2));
    let calm = |t: &Trace| {
        has(t, close)
            && t.late_sum < Duration::from_millis(1)
            && !has(t, |w| matches!(w, What::Deadline(_) | What::Budgeted { budget: None, .. }))
            && t.settings.plan == graceshut::plan::Plan::build(&[]).unwrap()
            && t.hooks.iter().any(|h| h.spec.phase == 4 && h.from == 0)
            && t.settings.grace > Duration::from_secs(10)
            && !t.late_claim
    };
    must_object(check::reserves, a_trace(calm), "of its reserve", |t| {
        let k = find(t, close).unwrap();
        if let What::PhaseStart(_, d) = &mut t.records[k].what {
            *d = Duration::from_millis(1);
        }
    });
}

#[test]
fn the_judge_of_the_deadline_can_object() {
    let calm = |t: &Trace| !t.systemd_extended && !has(t, |w| matches!(w, What::Rebased(_)));
    must_object(check::deadline_falls, a_trace(calm), "D grew", |t| {
        let k = t.steps.iter().rposition(|s| s.deadline.is_some()).unwrap();
        t.steps[k].deadline = t.steps[k].deadline.map(|d| d.plus(Duration::from_nanos(1)));
    });
}

#[test]
fn the_judge_of_commands_can_object() {
    let start = |c: &(At, usize, Command)| matches!(c.2, Command::Start(_));
    let cancel = |c: &(At, usize, Command)| matches!(c.2, Command::Cancel(_));
    let finish = |c: &(At, usize, Command)| matches!(c.2, Command::Finish { .. });
    must_object(check::commands, a_trace(|t| t.commands.iter().any(start)), "started twice", |t| {
        let k = t.commands.iter().position(start).unwrap();
        t.commands.insert(k, t.commands[k].clone());
    });
    must_object(check::commands, a_trace(|t| t.commands.iter().any(cancel)), "cancelled twice", |t| {
        let k = t.commands.iter().position(cancel).unwrap();
        t.commands.insert(k, t.commands[k].clone());
    });
    must_object(check::commands, a_trace(|t| t.commands.iter().any(cancel)), "before its start", |t| {
        t.commands.retain(|c| !start(c));
    });
    must_object(check::commands, a_trace(|t| t.commands.iter().any(finish)), "finished: false", |t| {
        t.commands.retain(|c| !finish(c));
    });
    let abandoned = |t: &Trace| {
        t.commands.iter().any(|c| matches!(c.2, Command::Abandon(_)))
            && has(t, |w| matches!(w, What::HookEnd { outcome: HookOutcome::Abandoned, .. }))
            && t.done.is_empty()
    };
    must_object(check::commands, a_trace(abandoned), "nobody told", |t| {
        t.commands.retain(|c| !matches!(c.2, Command::Abandon(_)));
    });
    must_object(check::commands, a_trace(|_| true), "the word", |t| {
        let k = t.commands.iter().position(|c| c.2 == Command::Word(1)).unwrap();
        t.commands.remove(k);
    });
}

#[test]
fn the_judges_of_the_end_can_object() {
    let end = |w: &What| matches!(w, What::Finished { .. });
    must_object(check::outcome, a_trace(runs_something), "6.3 says", |t| {
        let k = find(t, end).unwrap();
        if let What::Finished { outcome, .. } = &mut t.records[k].what {
            *outcome = if *outcome == ShutdownOutcome::Clean { ShutdownOutcome::Forced } else { ShutdownOutcome::Clean };
        }
    });
    must_object(check::exit_status, a_trace(runs_something), "6.4 says", |t| {
        let k = find(t, end).unwrap();
        if let What::Finished { exit, .. } = &mut t.records[k].what {
            exit.code += 1;
        }
    });
    must_object(check::outcome, a_trace(|_| true), "never finished", |t| t.records.retain(|r| !end(&r.what)));
    must_object(
        check::over_in_time,
        a_trace(|t| {
            t.settings.grace < Duration::from_secs(60) && !has(t, |w| matches!(w, What::Budgeted { budget: None, .. }))
        }),
        "over at",
        |t| {
            let late = Duration::from_secs(4000);
            for step in &mut t.steps {
                step.now = step.now.plus(late);
            }
            let k = find(t, end).unwrap();
            t.records[k].at = t.records[k].at.plus(late);
        },
    );
}

/// A simulation that never reaches a corner proves nothing about it.
#[test]
fn the_dice_reach_every_corner() {
    type Corner = (&'static str, fn(&What) -> bool);
    let corners: &[Corner] = &[
        ("ok", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Ok, late: false, .. })),
        ("late", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Ok, late: true, .. })),
        ("failed", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Failed, panic: false, .. })),
        ("panicked", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Failed, panic: true, .. })),
        ("cancelled", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Cancelled, .. })),
        ("abandoned", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Abandoned, .. })),
        ("killed", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Killed, .. })),
        ("phase_over", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Skipped(Skip::PhaseOver), .. })),
        ("expedited hook", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Skipped(Skip::Expedited), .. })),
        ("deadline", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Skipped(Skip::Deadline), .. })),
        ("failure", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Skipped(Skip::Failure), .. })),
        ("host_closed", |w| matches!(w, What::HookEnd { outcome: HookOutcome::Skipped(Skip::HostClosed), .. })),
        ("host_busy", |w| matches!(w, What::HookEnd { outcome: HookOutcome::NotStarted(NotStarted::HostBusy), .. })),
        ("no_worker", |w| matches!(w, What::HookEnd { outcome: HookOutcome::NotStarted(NotStarted::NoWorker), .. })),
        ("returned", |w| matches!(w, What::HookReturned(_))),
        ("extended", |w| matches!(w, What::HookExtend(..))),
        ("waits after a preStop", |w| matches!(w, What::PrestopWait(_))),
        ("unknown after", |w| matches!(w, What::UnknownAfter(_))),
        ("re-based", |w| matches!(w, What::Rebased(_))),
        ("no deadline", |w| matches!(w, What::Budgeted { budget: None, .. })),
        ("recorded", |w| matches!(w, What::Trigger { action: TriggerAction::Recorded, .. })),
        ("duplicate", |w| matches!(w, What::Trigger { action: TriggerAction::Duplicate, .. })),
        ("expedited", |w| matches!(w, What::Trigger { action: TriggerAction::Expedited, .. })),
        ("left", |w| matches!(w, What::Trigger { action: TriggerAction::Left, .. })),
        ("ignored", |w| matches!(w, What::Trigger { action: TriggerAction::Ignored, .. })),
        ("clean", |w| matches!(w, What::Finished { outcome: ShutdownOutcome::Clean, .. })),
        ("degraded", |w| matches!(w, What::Finished { outcome: ShutdownOutcome::Degraded, .. })),
        ("forced", |w| matches!(w, What::Finished { outcome: ShutdownOutcome::Forced, .. })),
        ("dies by a signal", |w| matches!(w, What::Finished { exit, .. } if exit.die_by.is_some())),
    ];
    let mut met = vec![0; corners.len()];
    for seed in 0..1500 {
        let trace = play(&Scenario::roll(seed));
        for (count, (_, corner)) in met.iter_mut().zip(corners) {
            *count += usize::from(has(&trace, corner));
        }
    }
    let rare: Vec<_> = corners.iter().zip(&met).filter(|(_, n)| **n < 5).map(|((name, _), n)| format!("{name}: {n}")).collect();
    assert!(rare.is_empty(), "hardly ever met: {rare:?} of {met:?}");
}

#[test]
fn the_judge_of_the_prestop_can_object() {
    let waits = |w: &What| matches!(w, What::PrestopWait(_));
    let calm = |t: &Trace| has(t, waits) && !t.late_claim && !has(t, |w| matches!(w, What::Rebased(_) | What::Deadline(_)));
    must_object(check::prestop_waits, a_trace(calm), "told 2 times", |t| t.commands.push((At(0), 0, Command::Drained)));
    must_object(check::prestop_waits, a_trace(calm), "waits", |t| {
        let k = find(t, waits).unwrap();
        t.records.insert(k, t.records[k].clone());
    });
    // The record with which the plan goes on.
    let goes_on = |t: &Trace| {
        let k = find(t, waits).unwrap();
        k + t.records[k..]
            .iter()
            .position(|r| matches!(r.what, What::PhaseStart(..) | What::PhaseSkip(_) | What::Finished { .. }))
            .unwrap()
    };
    let times_out = |t: &Trace| {
        calm(t) && {
            let (k, on) = (find(t, waits).unwrap(), goes_on(t));
            let What::PrestopWait(most) = t.records[k].what else { return false };
            t.records[on].at >= t.records[k].at.plus(most) && most > Duration::from_secs(1)
        }
    };
    must_object(check::prestop_waits, a_trace(times_out), "it had until", |t| {
        let k = find(t, waits).unwrap();
        t.records[k].what = What::PrestopWait(Duration::from_millis(1));
    });
    must_object(check::prestop_waits, a_trace(times_out), "with nothing new", |t| {
        let on = goes_on(t);
        t.records[on].at = t.records[find(t, waits).unwrap()].at;
    });
    must_object(check::prestop_waits, a_trace(times_out), "did not wait", |t| {
        let (k, on) = (find(t, waits).unwrap(), goes_on(t));
        t.records[on].at = t.records[k].at;
        t.records.remove(k);
    });
    let other = |t: &Trace| {
        t.records.len() > 2 && !has(t, |w| matches!(w, What::Trigger { reason, .. } if reason.kind.word() == "prestop"))
    };
    must_object(check::prestop_waits, a_trace(other), "without a preStop", |t| {
        let last = t.records.last().unwrap().at;
        t.records.push(graceshut::engine::Record { at: last, what: What::PrestopWait(Duration::ZERO) });
    });
}
