//! What a run is made of, rolled from a seed.

use std::time::Duration;

use graceshut::config::{AnnounceDelay, Exit, NormalGrace, Repeat};
use graceshut::engine::{ExitRules, HookSpec, Kind, ReasonKind, Settings};
use graceshut::plan::{Amount, OnFailure, Order, PhasePatch, Plan, margin_of};

use super::rng::Rng;

/// How a hook's body behaves once it was started.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Ends ok after this long, perhaps with an exit call.
    Returns(Duration, Option<i32>),
    Fails(Duration, bool),
    /// Begins and never ends.
    Blocks,
    /// Never even begins.
    Spins,
    /// Ends this long after it was given up.
    Late(Duration),
    /// Ends this long after its context was cancelled: with the cancellation error, or ok.
    Heeds(Duration, bool),
}

/// What a hook's body does on its way.
#[derive(Clone, Debug)]
pub enum Deed {
    Register(Box<HookPlan>),
    Remove(u64),
    Stop(Option<Duration>),
    RaiseSignal(i32),
    Extend(Duration),
}

#[derive(Clone, Debug)]
pub struct HookPlan {
    pub spec: HookSpec,
    pub begins_after: Duration,
    pub manner: Manner,
    pub deeds: Vec<(Duration, Deed)>,
}

/// What comes from outside.
#[derive(Clone, Debug)]
pub enum Outside {
    Signal { signo: i32, self_sent: bool, grace: Option<Duration> },
    Trigger { kind: ReasonKind, grace: Option<Duration>, host_code: Option<i32> },
    Ready,
    HostClosed,
    Register(Box<HookPlan>),
    Remove(u64),
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub settings: Settings,
    pub held: bool,
    pub serving: bool,
    pub hooks: Vec<HookPlan>,
    /// Times are from the first trigger, which is at [`START`].
    pub script: Vec<(Duration, Outside)>,
    /// Every call of the engine is late by up to this.
    pub jitter: Duration,
    /// The whole process stands still: from, for.
    pub freezes: Vec<(Duration, Duration)>,
}

/// The first trigger's time on the virtual clock.
pub const START: Duration = Duration::from_secs(100);

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn up_to(r: &mut Rng, d: Duration) -> Duration {
    Duration::from_nanos(r.below(d.as_nanos() as u64 + 1))
}

fn cap(r: &mut Rng) -> Amount {
    match r.below(5) {
        0 => Amount::percent(r.below(101) as u32),
        1 => Amount::fixed(ms(r.below(5000))),
        2 => Amount::percent_at_most(r.below(101) as u32, ms(r.below(8000))),
        _ => Amount::REST,
    }
}

fn reserve(r: &mut Rng) -> Amount {
    match r.below(4) {
        0 => Amount::ZERO,
        1 => Amount::fixed(ms(r.below(800))),
        2 => Amount::percent(r.below(25) as u32),
        _ => Amount::percent_at_most(r.below(30) as u32, ms(r.below(3000))),
    }
}

fn patch(r: &mut Rng) -> PhasePatch {
    PhasePatch {
        cap: r.chance(30).then(|| cap(r)),
        reserve: r.chance(40).then(|| reserve(r)),
        order: r.chance(40).then(|| r.pick(&[Order::Concurrent, Order::Serial])),
        on_failure: r.chance(25).then_some(OnFailure::SkipToReserved),
        enabled: r.chance(8).then_some(false),
        ..PhasePatch::default()
    }
}

fn plan(r: &mut Rng, budget: Duration) -> Plan {
    let mut patches: Vec<(String, PhasePatch)> = Vec::new();
    let defaults = ["announce", "drain", "flush", "close", "final"];
    for name in defaults {
        if r.chance(35) {
            patches.push((name.to_owned(), patch(r)));
        }
    }
    for k in 0..r.below(3) {
        let mut custom = patch(r);
        let place = Some(r.pick(&defaults).to_owned());
        if r.chance(50) {
            custom.before = place;
        } else {
            custom.after = place;
        }
        patches.push((format!("custom{k}"), custom));
    }
    Plan::build(&patches).ok().filter(|p| p.check(budget).is_ok()).unwrap_or_else(|| Plan::build(&[]).unwrap())
}

fn manner(r: &mut Rng, grace: Duration) -> Manner {
    let short = up_to(r, grace / 8);
    let long = up_to(r, grace / 2);
    match r.below(20) {
        0..=6 => Manner::Returns(short, None),
        7..=8 => Manner::Returns(long, None),
        9 => Manner::Returns(short, Some(r.below(5) as i32)),
        10..=11 => Manner::Fails(short, r.chance(30)),
        12..=13 => Manner::Blocks,
        14 => Manner::Spins,
        15..=16 => Manner::Late(up_to(r, grace / 2)),
        _ => Manner::Heeds(up_to(r, ms(120)), r.chance(40)),
    }
}

fn kind(r: &mut Rng, grace: Duration) -> Kind {
    match r.below(16) {
        0..=6 => Kind::NATIVE,
        7..=10 => Kind::HOST,
        11..=12 => Kind::EXEC,
        13 => Kind::INFLIGHT,
        14 => Kind::ANNOUNCE,
        _ => Kind::delay(up_to(r, grace / 4)),
    }
}

pub fn hook(r: &mut Rng, grace: Duration, phases: usize, depth: u32) -> HookPlan {
    let name = if r.chance(60) { r.pick(&NAMES).to_owned() } else { format!("own{}", r.below(1000)) };
    let after = if r.chance(30) { (0..=r.below(2)).map(|_| r.pick(&NAMES).to_owned()).collect() } else { Vec::new() };
    let spec = HookSpec {
        phase: r.index(phases),
        name,
        timeout: r.chance(30).then(|| up_to(r, grace / 2)),
        after,
        optional: r.chance(15),
        kind: kind(r, grace),
    };
    let mut deeds = Vec::new();
    while depth < 2 && r.chance(20) {
        let deed = match r.below(6) {
            0 | 1 => Deed::Register(Box::new(hook(r, grace, phases, depth + 1))),
            2 => Deed::Remove(r.next()),
            3 => Deed::Stop(r.chance(50).then(|| up_to(r, grace))),
            4 => Deed::RaiseSignal(r.pick(&[2, 15])),
            _ => Deed::Extend(up_to(r, grace / 2)),
        };
        deeds.push((up_to(r, grace / 8), deed));
    }
    let begins_after = if r.chance(80) { Duration::from_micros(r.below(300)) } else { up_to(r, grace / 10) };
    HookPlan { spec, begins_after, manner: manner(r, grace), deeds }
}

fn settings(r: &mut Rng) -> Settings {
    let grace = match r.below(4) {
        0 => ms(200 + r.below(800)),
        1 => Duration::from_secs(60 + r.below(60)),
        _ => ms(1000 + r.below(29_000)),
    };
    let already_spent = if r.chance(15) { up_to(r, grace / 3) } else { Duration::ZERO };
    let budget = grace - margin_of(grace) - already_spent;
    let code = |r: &mut Rng| r.chance(15).then(|| 40 + r.below(10) as i32);
    Settings {
        plan: plan(r, budget),
        grace,
        grace_normal: match r.below(4) {
            0 => NormalGrace::Unlimited,
            1 => NormalGrace::Limited(ms(200 + r.below(20_000))),
            _ => NormalGrace::SameAsGrace,
        },
        already_spent,
        announce_delay: if r.chance(50) { AnnounceDelay::Auto } else { AnnounceDelay::Fixed(up_to(r, grace / 4)) },
        kubernetes: r.chance(50),
        repeat: r.pick(&[Repeat::Expedite, Repeat::Expedite, Repeat::Interactive, Repeat::Orchestrated]),
        exit: ExitRules {
            exit: r.pick(&[Exit::Host, Exit::Host, Exit::Reraise, Exit::Manual]),
            clean: code(r),
            degraded: code(r),
            forced: code(r),
        },
        systemd_extend: r.chance(15),
    }
}

fn trigger(r: &mut Rng, grace: Duration) -> Outside {
    if r.chance(60) {
        return Outside::Signal {
            signo: r.pick(&[15, 15, 2, 1]),
            self_sent: r.chance(10),
            grace: r.chance(10).then(|| up_to(r, grace)),
        };
    }
    Outside::Trigger {
        kind: r.pick(&[ReasonKind::Stop, ReasonKind::HostEnd, ReasonKind::Uncaught, ReasonKind::Prestop, ReasonKind::Prestop]),
        grace: r.chance(30).then(|| up_to(r, grace)),
        host_code: r.chance(40).then(|| r.below(4) as i32),
    }
}

impl Scenario {
    pub fn roll(seed: u64) -> Scenario {
        let mut r = Rng::new(seed);
        let r = &mut r;
        let settings = settings(r);
        let grace = settings.grace;
        let phases = settings.plan.phases().len();
        let count = if r.chance(5) { 40 } else { r.below(13) };
        let hooks = (0..count).map(|_| hook(r, grace, phases, 0)).collect();
        let held = r.chance(20);
        let mut script = vec![(Duration::ZERO, trigger(r, grace))];
        while r.chance(45) {
            let at = if r.chance(30) { up_to(r, ms(700)) } else { up_to(r, grace + grace / 5) };
            script.push((at, trigger(r, grace)));
        }
        if held && r.chance(60) {
            script.push((up_to(r, ms(1200)), Outside::Ready));
        }
        if r.chance(15) {
            script.push((up_to(r, grace), Outside::HostClosed));
        }
        while r.chance(30) {
            script.push((up_to(r, grace), Outside::Register(Box::new(hook(r, grace, phases, 1)))));
        }
        while r.chance(20) {
            script.push((up_to(r, grace), Outside::Remove(r.next())));
        }
        // However it goes, it goes to an end: where no D is, a signal brings one.
        script.push((Duration::from_secs(400), Outside::Signal { signo: 2, self_sent: false, grace: None }));
        let freezes = if r.chance(12) { vec![(up_to(r, grace), up_to(r, ms(6000)))] } else { Vec::new() };
        Scenario {
            seed,
            held,
            serving: r.chance(50),
            hooks,
            script,
            jitter: r.pick(&[Duration::ZERO, Duration::from_micros(80), ms(3)]),
            freezes,
            settings,
        }
    }
}
