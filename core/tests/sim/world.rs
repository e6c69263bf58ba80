//! Plays a scenario on a virtual clock.

use std::collections::BTreeMap;
use std::time::Duration;

use graceshut::clock::At;
use graceshut::engine::{Command, Ending, Engine, Event, HookId, Lane, Reason, Removal};

use super::rng::Rng;
use super::scenario::{Deed, HookPlan, Manner, Outside, START, Scenario};
use super::trace::{Registered, Step, Trace};

enum Act {
    From(Outside),
    Taken(HookId),
    Begun(HookId),
    Done(HookId, Ending, Option<i32>),
    Deed(HookId, Deed),
}

struct Body {
    plan: HookPlan,
    begun: bool,
    over: bool,
}

pub struct World {
    engine: Engine,
    now: At,
    rng: Rng,
    queue: BTreeMap<(u64, u64), Act>,
    order: u64,
    bodies: Vec<Body>,
    trace: Trace,
    jitter: Duration,
    freezes: Vec<(At, At)>,
    host_closed: bool,
}

/// Plays `scenario` to its end.
pub fn play(scenario: &Scenario) -> Trace {
    let mut world = World::new(scenario);
    world.run();
    world.trace.records = world.engine.records().to_vec();
    world.trace
}

impl World {
    fn new(s: &Scenario) -> World {
        let start = At(0).plus(START);
        let mut engine = Engine::new(s.settings.clone(), s.held);
        engine.set_serving(s.serving);
        let trace = Trace {
            settings: s.settings.clone(),
            hooks: Vec::new(),
            records: Vec::new(),
            commands: Vec::new(),
            steps: Vec::new(),
            done: Vec::new(),
            proposed: None,
            first_code: None,
            host_code: None,
            latest: Duration::ZERO,
            late_sum: Duration::ZERO,
            late_claim: false,
            systemd_extended: false,
        };
        let mut world = World {
            engine,
            now: At(1),
            rng: Rng::new(s.seed ^ 0xD1CE),
            queue: BTreeMap::new(),
            order: 0,
            bodies: Vec::new(),
            trace,
            jitter: s.jitter,
            freezes: s.freezes.iter().map(|(from, long)| (start.plus(*from), start.plus(*from).plus(*long))).collect(),
            host_closed: false,
        };
        for hook in &s.hooks {
            world.register(hook);
        }
        for (at, what) in &s.script {
            world.later(start.plus(*at), Act::From(what.clone()));
        }
        world
    }

    fn later(&mut self, at: At, act: Act) {
        self.order += 1;
        self.queue.insert((at.0, self.order), act);
    }

    /// When something that is due at `t` really happens.
    fn land(&mut self, t: At) -> At {
        let t = t.plus(Duration::from_nanos(self.rng.below(self.jitter.as_nanos() as u64 + 1)));
        self.freezes.iter().find(|(from, to)| *from <= t && t < *to).map_or(t, |(_, to)| *to)
    }

    fn run(&mut self) {
        for _ in 0..20_000 {
            let due = self.engine.next_deadline();
            let tick = if due.is_never() { None } else { Some(self.land(due)) };
            let next = self.queue.keys().next().copied();
            let act_at = next.map(|(t, _)| self.land(At(t)));
            let act = match (tick, act_at) {
                (None, None) => return,
                (Some(tick), Some(at)) if at <= tick => Some(at),
                (Some(_), _) => None,
                (None, at) => at,
            };
            self.now = self.now.max(act.or(tick).unwrap_or(self.now));
            let late = self.now - due;
            if !due.is_never() && late > Duration::ZERO {
                self.trace.latest = self.trace.latest.max(late);
                self.trace.late_sum += late;
            }
            match (act, next.and_then(|key| act.and_then(|_| self.queue.remove(&key)))) {
                (Some(_), Some(act)) => self.perform(act),
                _ => self.handle(Event::Tick),
            }
        }
        panic!("the world does not come to rest");
    }

    fn handle(&mut self, event: Event) {
        if matches!(event, Event::Trigger { .. }) && self.engine.next_deadline() <= self.now {
            // So that it is known whether the plan was over before a code came.
            self.handle(Event::Tick);
        }
        let finished = self.engine.finished().is_some();
        if let Event::Trigger { host_code, .. } = &event
            && !finished
        {
            if !self.engine.is_stopping() {
                self.trace.first_code = *host_code;
            }
            self.trace.host_code = self.trace.host_code.or(*host_code);
        }
        if let Event::Done(id, _, code) = &event {
            self.trace.done.push((*id, self.now));
            if !finished {
                self.trace.proposed = self.trace.proposed.or(*code);
            }
        }
        self.engine.handle(event, self.now);
        self.after_call(true);
    }

    /// Notes the state and carries the commands out.
    fn after_call(&mut self, handled: bool) {
        let engine = &self.engine;
        let running =
            engine.hook_ids().filter_map(|id| Some((id, engine.soft_deadline(id)?, engine.hard_deadline(id)?))).collect();
        let step = Step {
            now: self.now,
            handled,
            deadline: engine.deadline(),
            phase_end: engine.phase_end(),
            running,
            records: engine.records().len(),
        };
        self.trace.steps.push(step);
        while let Some(command) = self.engine.next_command() {
            self.trace.commands.push((self.now, self.engine.records().len(), command.clone()));
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start(id) => {
                let at = self.now.plus(self.bodies[id.0 as usize].plan.begins_after);
                if id.0 % 2 == 0 && self.trace.spec(id).kind.lane == Lane::Host {
                    self.later(self.now, Act::Taken(id));
                }
                if !matches!(self.bodies[id.0 as usize].plan.manner, Manner::Spins) {
                    self.later(at, Act::Begun(id));
                }
            }
            Command::Cancel(id) => {
                if let (true, Manner::Heeds(d, error)) = self.manner_of(id) {
                    let ending = if error { Ending::Cancelled } else { Ending::Ok };
                    self.later(self.now.plus(d), Act::Done(id, ending, None));
                }
            }
            Command::Abandon(id) => {
                if let (true, Manner::Late(d)) = self.manner_of(id) {
                    self.later(self.now.plus(d), Act::Done(id, Ending::Ok, Some(9)));
                }
            }
            Command::Kill(id) => {
                let ending = Ending::Failed { message: "killed".to_owned(), panic: false };
                self.later(self.now.plus(Duration::from_millis(1)), Act::Done(id, ending, None));
            }
            Command::CountInFlight(point) => self.engine.note_in_flight(point, 3, self.now),
            Command::ExtendTimeout(_) => self.trace.systemd_extended = true,
            Command::Word(_) | Command::Deadline(_) | Command::Drained | Command::Hurry | Command::Finish { .. } => {}
        }
    }

    fn manner_of(&self, id: HookId) -> (bool, Manner) {
        let body = &self.bodies[id.0 as usize];
        (body.begun && !body.over, body.plan.manner.clone())
    }

    fn frozen_out(&self, id: HookId) -> bool {
        self.host_closed && self.trace.spec(id).kind.lane == Lane::Host
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::From(outside) => self.outside(outside),
            // Every other hook of the host's lane gets a worker at once, and then waits for the host.
            Act::Taken(id) => self.handle(Event::Taken(id)),
            Act::Begun(id) if !self.frozen_out(id) => {
                if !self.engine.may_begin(id) {
                    return;
                }
                self.handle(Event::Begun(id));
                if self.engine.has_begun(id) {
                    self.begin_body(id);
                }
            }
            Act::Done(id, ending, code) if !self.frozen_out(id) && !self.bodies[id.0 as usize].over => {
                self.bodies[id.0 as usize].over = true;
                self.handle(Event::Done(id, ending, code));
            }
            Act::Deed(id, deed) if !self.frozen_out(id) && !self.bodies[id.0 as usize].over => self.deed(id, deed),
            _ => {}
        }
    }

    fn begin_body(&mut self, id: HookId) {
        let body = &mut self.bodies[id.0 as usize];
        body.begun = true;
        let plan = body.plan.clone();
        for (at, deed) in plan.deeds {
            self.later(self.now.plus(at), Act::Deed(id, deed));
        }
        let (after, ending, code) = match plan.manner {
            Manner::Returns(d, code) => (d, Ending::Ok, code),
            Manner::Fails(d, panic) => (d, Ending::Failed { message: "no".to_owned(), panic }, None),
            _ => return,
        };
        self.later(self.now.plus(after), Act::Done(id, ending, code));
    }

    fn deed(&mut self, id: HookId, deed: Deed) {
        match deed {
            Deed::Register(plan) => self.register(&plan),
            Deed::Remove(dice) => self.remove(dice),
            Deed::Stop(grace) => {
                self.outside(Outside::Trigger { kind: graceshut::engine::ReasonKind::Stop, grace, host_code: None });
            }
            Deed::RaiseSignal(signo) => self.outside(Outside::Signal { signo, self_sent: true, grace: None }),
            Deed::Extend(more) => {
                let before = self.engine.hard_deadline(id);
                let granted = self.engine.extend(id, more, self.now);
                assert!(granted <= more, "granted more than was asked for");
                if let (Some(before), Some(after)) = (before, self.engine.hard_deadline(id))
                    && !before.is_never()
                {
                    assert_eq!(before.plus(granted), after, "granted is what the hard deadline moved by");
                }
                self.after_call(false);
            }
        }
    }

    fn outside(&mut self, outside: Outside) {
        let at = self.now;
        match outside {
            Outside::Signal { signo, self_sent, grace } => {
                self.handle(Event::Signal { signo, at, sender: None, self_sent, grace });
            }
            Outside::Trigger { kind, grace, host_code } => {
                self.handle(Event::Trigger { reason: Reason::new(kind, None), at, grace, host_code });
            }
            Outside::Ready => {
                self.engine.ready(self.now);
                self.after_call(false);
            }
            Outside::HostClosed => {
                self.host_closed = true;
                self.handle(Event::HostClosed);
            }
            Outside::Register(plan) => self.register(&plan),
            Outside::Remove(dice) => self.remove(dice),
        }
    }

    fn register(&mut self, plan: &HookPlan) {
        let from = self.engine.records().len();
        let stopping = self.engine.is_stopping();
        let empty = self.engine.hooks_in(plan.spec.phase) == 0;
        if let Ok(id) = self.engine.register(plan.spec.clone(), self.now) {
            assert_eq!(id.0 as usize, self.bodies.len());
            self.trace.late_claim |= stopping && empty;
            self.trace.hooks.push(Registered { spec: plan.spec.clone(), from, removed: None });
            self.bodies.push(Body { plan: plan.clone(), begun: false, over: false });
            self.after_call(false);
        }
    }

    fn remove(&mut self, dice: u64) {
        if self.bodies.is_empty() {
            return;
        }
        let id = HookId((dice % self.bodies.len() as u64) as u32);
        let records = self.engine.records().len();
        if self.engine.remove(id, self.now) == Removal::Removed {
            self.trace.hooks[id.0 as usize].removed = Some(records);
        }
        self.after_call(false);
    }
}
