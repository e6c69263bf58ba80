//! Thousands of shutdowns on a virtual clock, each judged by `sim::check`. No wall clock, no threads.
//!
//! `GRACESHUT_SIM_RUNS=50000` plays more; `GRACESHUT_SIM_SEED=17` plays one and prints it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sim;

use std::panic::{AssertUnwindSafe, catch_unwind};

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
    let runs = env("GRACESHUT_SIM_RUNS").unwrap_or(6000);
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
