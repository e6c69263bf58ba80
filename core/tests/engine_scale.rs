//! Many hooks: no recursion that eats the stack, and no loop over all hooks for each hook.
//!
//! The sizes are such that a quadratic loop (400 million steps in a debug build) would be felt by whoever runs this.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use graceshut::engine::{Command, HookOutcome, HookSpec, Skip};
use graceshut::plan::{Amount, Order, PhasePatch};
use sim::bench::*;

const MANY: u32 = 20_000;

fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 * 1024).spawn(f).unwrap().join().unwrap();
}

/// Starts and ends every hook as it comes; answers how many were started.
fn run_all(b: &mut Bench) -> usize {
    b.signal(0, TERM);
    let mut next = 0;
    while next < b.commands.len() {
        if let Command::Start(id) = b.commands[next] {
            b.begun(1, id);
            b.ok(1, id);
        }
        next += 1;
    }
    b.commands.iter().filter(|c| matches!(c, Command::Start(_))).count()
}

#[test]
fn serial_hooks_with_no_time_left_are_all_skipped_on_a_small_stack() {
    on_a_small_stack(|| {
        let patch = PhasePatch { order: Some(Order::Serial), cap: Some(Amount::ZERO), ..PhasePatch::default() };
        let mut b = Bench::new(with_phases(&[("drain", patch)]));
        let ids: Vec<_> = (0..MANY).map(|n| b.hook(DRAIN, &format!("h{n}"))).collect();
        b.signal(0, TERM);
        assert!(ids.iter().all(|id| b.outcome(*id) == Some(HookOutcome::Skipped(Skip::PhaseOver))));
        assert!(b.finished().is_some());
    });
}

#[test]
fn a_chain_with_no_time_left_is_skipped_on_a_small_stack() {
    on_a_small_stack(|| {
        let patch = PhasePatch { cap: Some(Amount::ZERO), ..PhasePatch::default() };
        let mut b = Bench::new(with_phases(&[("drain", patch)]));
        // Backwards, so that each registration names a hook that is still to come.
        let ids: Vec<_> =
            (0..MANY).rev().map(|n| b.after(DRAIN, &format!("h{n}"), &[&format!("h{}", n.wrapping_sub(1))])).collect();
        b.signal(0, TERM);
        assert!(ids.iter().all(|id| b.outcome(*id) == Some(HookOutcome::Skipped(Skip::PhaseOver))));
    });
}

#[test]
fn concurrent_hooks() {
    let mut b = Bench::new(settings());
    for n in 0..MANY {
        b.hook(DRAIN, &format!("h{n}"));
    }
    assert_eq!(run_all(&mut b), MANY as usize);
    assert!(b.finished().is_some());
}

#[test]
fn serial_hooks() {
    let mut b = Bench::new(settings());
    for n in 0..MANY {
        b.hook(CLOSE, &format!("h{n}"));
    }
    assert_eq!(run_all(&mut b), MANY as usize);
}

#[test]
fn a_long_chain_in_either_direction() {
    for backwards in [false, true] {
        let mut b = Bench::new(settings());
        for k in 0..MANY {
            let n = if backwards { MANY - 1 - k } else { k };
            b.after(DRAIN, &format!("h{n}"), &[&format!("h{}", n.wrapping_sub(1))]);
        }
        assert_eq!(run_all(&mut b), MANY as usize);
    }
}

#[test]
fn many_hooks_of_one_name_and_one_that_waits_for_them() {
    let mut b = Bench::new(settings());
    let last = b.after(DRAIN, "last", &["all"]);
    for _ in 0..MANY {
        b.hook(DRAIN, "all");
    }
    let many: Vec<_> = (0..MANY).map(|n| b.after(DRAIN, &format!("m{n}"), &["all"])).collect();
    assert_eq!(run_all(&mut b), 2 * MANY as usize + 1);
    assert!(b.started(last) && b.outcome(many[0]).is_some());
}

#[test]
fn hooks_that_all_overrun_and_hooks_that_join() {
    let mut b = Bench::new(settings());
    b.hook(FLUSH, "f");
    b.hook(DRAIN, "first");
    b.signal(0, TERM);
    for n in 0..MANY {
        b.add_at(1, spec(DRAIN, &format!("h{n}"))).unwrap();
    }
    b.run_to(20_000);
    assert!(b.finished().is_some());
}

#[test]
fn a_d_that_moves_while_many_run() {
    let mut b = Bench::new(settings());
    for n in 0..MANY {
        b.add(HookSpec { optional: true, ..spec(DRAIN, &format!("h{n}")) });
    }
    b.signal(0, TERM);
    b.signal(600, TERM);
    b.run_to(700);
    assert!(b.finished().is_some());
}
