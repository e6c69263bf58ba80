//! The engine's thread: drains what woke it into events, and carries out the commands. A page of code around a pure function.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::workers::Job;
use super::{Core, Shared, Slot};
use crate::clock::At;
use crate::config::{Action, Exit};
use crate::engine::{Command, Ending, Event, HookId, Lane};
use crate::hook::{Body, Completion, Context, HookError, HookResult};
use crate::inflight;
use crate::plan::margin_of;
use crate::signal::{self, Caught};

/// How often somebody else's handler is looked for where nobody tells (spec 3.5).
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a command comes to once its hook's body was taken out under the lock.
enum Action2 {
    Run(Lane, usize, Job),
    Tell(Command, Option<Arc<crate::hook::Ctx>>),
}

pub(super) struct Dispatch {
    shared: Arc<Shared>,
    actions: Vec<Action2>,
    look_at: At,
}

impl Dispatch {
    pub(super) fn new(shared: Arc<Shared>) -> Dispatch {
        let look_at = if shared.host.must_poll() { At::now().plus(LOOK_EVERY) } else { At::NEVER };
        Dispatch { shared, actions: Vec::with_capacity(64), look_at }
    }

    /// The thread's body; ends when the runtime is closed.
    pub(super) fn run(mut self) {
        let managed: Vec<i32> = self.shared.config.signals.iter().map(|s| s.signo).collect();
        signal::block_all_but(Some(&managed));
        while !self.shared.closed.load(SeqCst) {
            let seen = signal::wake().seen();
            self.take_signals();
            let next = self.step();
            if self.perform() {
                continue;
            }
            let now = At::now();
            self.look_for_strangers(now);
            let grow = [&self.shared.native, &self.shared.host_lane].map(|pool| {
                pool.grow(now);
                pool.grow_at()
            });
            signal::wake().wait(seen, next.min(grow[0]).min(grow[1]).min(self.look_at));
        }
    }

    fn take_signals(&mut self) {
        let shared = Arc::clone(&self.shared);
        signal::drain(&mut |caught| on_caught(&shared, caught));
    }

    /// Lets the engine act on time and on empty in-flight groups; takes its commands. Answers when to look again.
    fn step(&mut self) -> At {
        let shared = &self.shared;
        let mut guard = shared.lock();
        let core = &mut *guard;
        let now = At::now();
        if core.engine.next_deadline() <= now {
            core.engine.handle(Event::Tick, now);
        }
        settle_in_flight(core, now);
        while let Some(command) = core.engine.next_command() {
            match command {
                Command::Start(id) => self.actions.extend(start(core, shared, id)),
                Command::Word(word) => inflight::set_word(word),
                Command::CountInFlight(point) => core.engine.note_in_flight(point, inflight::total(), now),
                Command::Cancel(id) | Command::Abandon(id) | Command::Kill(id) => {
                    if !matches!(command, Command::Cancel(_)) {
                        core.waiting_for_zero.retain(|(waiting, _)| *waiting != id);
                    }
                    let ctx = core.slots.get(id.0 as usize).and_then(Option::as_ref).map(|s| Arc::clone(&s.ctx));
                    self.actions.push(Action2::Tell(command, ctx));
                }
                other => self.actions.push(Action2::Tell(other, None)),
            }
            settle_in_flight(core, now);
        }
        core.engine.next_deadline()
    }

    /// Carries the taken commands out, in order, without the lock. True when there were any.
    fn perform(&mut self) -> bool {
        let any = !self.actions.is_empty();
        let mut batch: Vec<Job> = Vec::new();
        let mut batch_for = (Lane::Native, 0);
        for action in self.actions.drain(..) {
            match action {
                Action2::Run(lane, phase, job) => {
                    if batch_for != (lane, phase) {
                        self.shared.pool(batch_for.0).push(batch_for.1, std::mem::take(&mut batch).into_iter());
                        batch_for = (lane, phase);
                    }
                    batch.push(job);
                }
                Action2::Tell(command, ctx) => {
                    if !batch.is_empty() {
                        self.shared.pool(batch_for.0).push(batch_for.1, std::mem::take(&mut batch).into_iter());
                    }
                    tell(&self.shared, command, ctx);
                }
            }
        }
        if !batch.is_empty() {
            self.shared.pool(batch_for.0).push(batch_for.1, batch.into_iter());
        }
        if any {
            self.shared.events.bell();
        }
        any
    }

    fn look_for_strangers(&mut self, now: At) {
        if now < self.look_at {
            return;
        }
        self.look_at = now.plus(LOOK_EVERY);
        for replaced in signal::look(true) {
            self.shared.events.say_replaced(&replaced);
        }
    }
}

/// Ends in-flight hooks whose group is empty (spec 9.3).
fn settle_in_flight(core: &mut Core, now: At) {
    let mut k = 0;
    while k < core.waiting_for_zero.len() {
        let (id, group) = core.waiting_for_zero[k];
        if group.map_or_else(inflight::total, |g| u64::from(g.count())) > 0 {
            k += 1;
            continue;
        }
        core.waiting_for_zero.swap_remove(k);
        core.engine.handle(Event::Done(id, Ending::Ok, None), now);
    }
}

/// Takes a hook's body out and makes a job of it.
fn start(core: &mut Core, shared: &Arc<Shared>, id: HookId) -> Option<Action2> {
    let Core { engine, slots, waiting_for_zero, .. } = core;
    let Slot { body, ctx } = slots.get_mut(id.0 as usize)?.as_mut()?;
    let (body, ctx) = (body.take()?, Arc::clone(ctx));
    let _ = shared;
    let (lane, phase) = (ctx.lane, ctx.phase_index);
    let context = Context { inner: ctx };
    let job: Job = match body {
        Body::Pause => return None,
        Body::Inflight(group) => {
            engine.handle(Event::Begun(id), At::now());
            waiting_for_zero.push((id, group));
            return None;
        }
        Body::Run(f) => Box::new(move || run_body(f, &context)),
        Body::Start(f) => Box::new(move || start_body(f, context)),
    };
    Some(Action2::Run(lane, phase, job))
}

type RunBody = Box<dyn FnOnce(&Context) -> HookResult + Send>;
type StartBody = Box<dyn FnOnce(Context, Completion) + Send>;

fn run_body(f: RunBody, context: &Context) {
    let completion = Completion::new(context.clone());
    if context.inner.lane == Lane::Native && !context.begin() {
        return; // its time passed while it waited for a worker; the completion's late word changes nothing
    }
    let result = super::exit::inside_hook(context, || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(context)))
            .unwrap_or_else(|panic| Err(HookError::Panicked(crate::hook::panic_message(&*panic))))
    });
    completion.finish(result);
}

fn start_body(f: StartBody, context: Context) {
    let completion = Completion::new(context.clone());
    if context.inner.lane == Lane::Native && !context.begin() {
        return;
    }
    let id = context.inner.id;
    let shared = Arc::clone(&context.inner.shared);
    let result = super::exit::inside_hook(&context.clone(), || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(context, completion)))
    });
    if let Err(panic) = result {
        // The completion was dropped while unwinding and said "failed"; say it better if that came second.
        let message = crate::hook::panic_message(&*panic);
        shared.engine_event(Event::Done(id, Ending::Failed { message, panic: true }, None));
    }
}

fn tell(shared: &Arc<Shared>, command: Command, ctx: Option<Arc<crate::hook::Ctx>>) {
    match command {
        Command::Cancel(_) => drop(ctx.map(|c| c.cancel())),
        Command::Kill(_) => drop(ctx.map(|c| c.kill())),
        Command::Abandon(id) => note_left(shared, id),
        Command::Deadline(deadline) => set_watchdog(shared, deadline),
        Command::ExtendTimeout(deadline) => shared.events.extend_timeout(deadline - At::now()),
        Command::Finish { exit, at_once, .. } => shared.on_finish(exit, at_once),
        Command::Start(_) | Command::Word(_) | Command::CountInFlight(_) => {}
    }
}

/// Says how much work was left when the wait for it was given up (spec 9.3).
fn note_left(shared: &Shared, id: HookId) {
    let core = shared.lock();
    if core.engine.hook_spec(id).is_some_and(|s| s.kind == crate::engine::Kind::INFLIGHT) {
        drop(core);
        shared.events.say_left(inflight::total());
    }
}

fn set_watchdog(shared: &Shared, deadline: At) {
    if !shared.watchdog_on {
        return;
    }
    let (margin, allowance, forced) = {
        let core = shared.lock();
        let margin = core.engine.window().map_or_else(|| margin_of(shared.config.grace.value), |(_, m)| m);
        let code = core.engine.reason().and_then(|r| r.signo).map_or(70, |signo| 128 + signo);
        (margin, core.engine.rebase_allowance(), shared.config.exit_code_forced.value.unwrap_or(code))
    };
    if !shared.door.is_finished() {
        shared.watchdog.set_code(forced);
    }
    shared.watchdog.set(deadline.plus(margin / 2), Duration::from_secs(1).max(margin), allowance + margin / 2);
}

/// What a caught signal does (spec 3.4).
fn on_caught(shared: &Arc<Shared>, caught: Caught) {
    let Some(rule) = shared.config.signals.iter().find(|s| s.signo == caught.signo) else { return };
    let action = match rule.action {
        Action::Reload if rule.auto && !shared.reload.has_hooks() => Action::Stop,
        action => action,
    };
    match action {
        Action::Stop => {
            // SI_TKILL (tgkill, raise) only ever comes from the process itself; SI_USER from whoever the pid says.
            let own = i32::try_from(shared.pid).unwrap_or(0);
            let self_sent = caught.code == libc::SI_TKILL || (caught.code == libc::SI_USER && caught.pid == own);
            let told = matches!(caught.code, libc::SI_USER | libc::SI_TKILL | libc::SI_QUEUE);
            let sender = told.then_some((caught.pid, caught.uid));
            shared.reload.stop_wins();
            let event = Event::Signal { signo: caught.signo, at: caught.at, sender, self_sent, grace: rule.grace };
            shared.lock().engine.handle(event, At::now());
        }
        Action::Reload => shared.request_reload(),
        Action::Status => shared.events.say_status(&shared.status_line()),
        Action::Ignore | Action::Default => {}
    }
}

impl Shared {
    /// True when the process leaves by graceshut (not in manual mode).
    pub(super) fn leaves(&self) -> bool {
        self.config.exit.value != Exit::Manual
    }

    /// The state in one line, for people.
    pub(super) fn status_line(&self) -> String {
        let state = self.state();
        let hooks = self.with_engine(|e| e.hook_ids().count());
        format!("graceshut: {state}, {hooks} hooks, {} in flight, grace {}", inflight::total(), crate::plan::format_duration(self.config.grace.value))
    }
}
