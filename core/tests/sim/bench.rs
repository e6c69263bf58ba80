//! An engine in a vice: tests say what happens at which millisecond after the trigger and look at what follows.

use std::time::Duration;

use graceshut::clock::At;
use graceshut::config::{AnnounceDelay, NormalGrace, Repeat};
use graceshut::engine::{
    Command, Ending, Engine, Event, ExitPlan, ExitRules, HookId, HookOutcome, HookSpec, Kind, Reason, ReasonKind, Record,
    Settings, ShutdownOutcome, TriggerAction, What,
};
use graceshut::error::Error;
use graceshut::plan::{PhasePatch, Plan};

pub const TERM: i32 = 15;
pub const INT: i32 = 2;
pub const HUP: i32 = 1;

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// T0 is at 1000 s.
pub fn at(n: u64) -> At {
    At(1_000_000_000_000).plus(ms(n))
}

/// Positions in the default plan.
pub const ANNOUNCE: usize = 0;
pub const DRAIN: usize = 1;
pub const FLUSH: usize = 2;
pub const CLOSE: usize = 3;
pub const FINAL: usize = 4;

/// Grace 10 s, the default plan, everything else as it comes.
pub fn settings() -> Settings {
    Settings {
        plan: Plan::build(&[]).unwrap(),
        grace: ms(10_000),
        grace_normal: NormalGrace::SameAsGrace,
        already_spent: Duration::ZERO,
        announce_delay: AnnounceDelay::Auto,
        kubernetes: false,
        repeat: Repeat::Expedite,
        exit: ExitRules::default(),
        systemd_extend: false,
    }
}

pub fn with_phases(patches: &[(&str, PhasePatch)]) -> Settings {
    let patches: Vec<_> = patches.iter().map(|(name, patch)| ((*name).to_owned(), patch.clone())).collect();
    Settings { plan: Plan::build(&patches).unwrap(), ..settings() }
}

pub fn spec(phase: usize, name: &str) -> HookSpec {
    HookSpec { phase, name: name.to_owned(), timeout: None, after: Vec::new(), optional: false, kind: Kind::NATIVE }
}

pub struct Bench {
    pub engine: Engine,
    /// Every command so far.
    pub commands: Vec<Command>,
}

impl Bench {
    pub fn new(settings: Settings) -> Bench {
        Bench { engine: Engine::new(settings, false), commands: Vec::new() }
    }

    pub fn held(settings: Settings) -> Bench {
        Bench { engine: Engine::new(settings, true), commands: Vec::new() }
    }

    pub fn hook(&mut self, phase: usize, name: &str) -> HookId {
        self.add(spec(phase, name))
    }

    pub fn after(&mut self, phase: usize, name: &str, after: &[&str]) -> HookId {
        self.add(HookSpec { after: after.iter().map(|n| (*n).to_owned()).collect(), ..spec(phase, name) })
    }

    pub fn add(&mut self, spec: HookSpec) -> HookId {
        self.engine.register(spec, at(0)).unwrap()
    }

    pub fn add_at(&mut self, n: u64, spec: HookSpec) -> Result<HookId, Error> {
        let id = self.engine.register(spec, at(n));
        self.take();
        id
    }

    fn take(&mut self) {
        while let Some(command) = self.engine.next_command() {
            self.commands.push(command);
        }
    }

    pub fn handle(&mut self, n: u64, event: Event) {
        self.engine.handle(event, at(n));
        self.take();
    }

    pub fn tick(&mut self, n: u64) {
        self.handle(n, Event::Tick);
    }

    /// Ticks whenever the engine asks for it, up to `n`, as a punctual driver does.
    pub fn run_to(&mut self, n: u64) {
        while self.engine.next_deadline() <= at(n) {
            let due = self.engine.next_deadline();
            self.engine.handle(Event::Tick, due);
            self.take();
        }
    }

    pub fn signal(&mut self, n: u64, signo: i32) {
        self.handle(n, Event::Signal { signo, at: at(n), sender: None, self_sent: false, grace: None });
    }

    pub fn raise(&mut self, n: u64, signo: i32) {
        self.handle(n, Event::Signal { signo, at: at(n), sender: None, self_sent: true, grace: None });
    }

    pub fn trigger(&mut self, n: u64, kind: ReasonKind, grace: Option<Duration>, host_code: Option<i32>) {
        self.handle(n, Event::Trigger { reason: Reason::new(kind, None), at: at(n), grace, host_code });
    }

    pub fn stop(&mut self, n: u64) {
        self.trigger(n, ReasonKind::Stop, None, None);
    }

    pub fn taken(&mut self, n: u64, id: HookId) {
        self.handle(n, Event::Taken(id));
    }

    pub fn begun(&mut self, n: u64, id: HookId) {
        self.handle(n, Event::Begun(id));
    }

    pub fn ok(&mut self, n: u64, id: HookId) {
        self.handle(n, Event::Done(id, Ending::Ok, None));
    }

    pub fn fail(&mut self, n: u64, id: HookId) {
        self.handle(n, Event::Done(id, Ending::Failed { message: "no".to_owned(), panic: false }, None));
    }

    pub fn exits(&mut self, n: u64, id: HookId, code: i32) {
        self.handle(n, Event::Done(id, Ending::Ok, Some(code)));
    }

    pub fn started(&self, id: HookId) -> bool {
        self.commands.contains(&Command::Start(id))
    }

    pub fn cancelled(&self, id: HookId) -> bool {
        self.commands.contains(&Command::Cancel(id))
    }

    pub fn outcome(&self, id: HookId) -> Option<HookOutcome> {
        self.engine.outcome_of(id)
    }

    pub fn phase(&self) -> Option<usize> {
        self.engine.current_phase()
    }

    pub fn deadline(&self) -> At {
        self.engine.deadline().unwrap()
    }

    pub fn finished(&self) -> Option<(ShutdownOutcome, ExitPlan)> {
        self.engine.finished()
    }

    pub fn records(&self) -> &[Record] {
        self.engine.records()
    }

    pub fn has(&self, what: &What) -> bool {
        self.records().iter().any(|r| r.what == *what)
    }

    /// What the triggers led to, in order.
    pub fn actions(&self) -> Vec<TriggerAction> {
        self.records()
            .iter()
            .filter_map(|r| if let What::Trigger { action, .. } = r.what { Some(action) } else { None })
            .collect()
    }
}
