//! The engine's thread: drains what woke it into events, and carries out the commands. A page of code around a pure function.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::looks::Looks;
use super::reporter::WRITE_LIMIT;
use super::workers::Job;
use super::{Core, Shared, Slot};
use crate::clock::At;
use crate::config::{Action, Exit};
use crate::engine::{Command, Ending, Engine, Event, ExitPlan, HookId, Lane};
use crate::hook::{Body, Completion, Context, Ctx, HookError, HookResult};
use crate::inflight;
use crate::plan::margin_of;
use crate::signal::{self, Caught};

/// Commands carried out at a time: the list is made once, at install (spec 8.7).
const AT_A_TIME: usize = 64;
/// How long a signal is looked for that was handed on and may come back at once; longer where the main thread has everything
/// blocked, which hardly a program does, but many a runtime while it starts another program.
const MOMENT: Duration = Duration::from_millis(20);
const LONG_MOMENT: Duration = Duration::from_millis(250);
/// How long after the end of the plan the report may keep the door shut.
const DOOR_LIMIT: Duration = Duration::from_millis(2 * WRITE_LIMIT.as_millis() as u64);

/// A command that is carried out without the lock: it calls code that may be somebody's.
enum Tell {
    Cancel(Arc<Ctx>),
    Kill(Arc<Ctx>),
    /// Work in flight was given up.
    Left,
    Extend(At),
    Drained,
    Hurry,
    Finish(ExitPlan, bool),
}

pub(super) struct Dispatch {
    shared: Arc<Shared>,
    tells: Vec<Tell>,
    looks: Looks,
    /// When the door is opened although the report is not written.
    door_at: At,
}

/// What a [`step`](Dispatch::step) left to be done.
#[derive(Default)]
struct Todo {
    ring_native: bool,
    ring_host: bool,
    deadline: bool,
    more: bool,
}

impl Dispatch {
    pub(super) fn new(shared: Arc<Shared>) -> Dispatch {
        let looks = Looks::new(shared.host.must_poll(), At::now());
        Dispatch { shared, tells: Vec::with_capacity(AT_A_TIME), looks, door_at: At::NEVER }
    }

    /// The thread's body; ends when the runtime is closed.
    pub(super) fn run(mut self) {
        let managed: Vec<i32> = self.shared.config.signals.iter().map(|s| s.signo).collect();
        run_handlers_on_this_stack();
        signal::hand_on::from_this_thread();
        signal::block_all_but(Some(&managed));
        while !self.shared.closed.load(SeqCst) {
            let seen = signal::wake().seen();
            self.take_signals();
            let mut todo = Todo::default();
            let next = self.step(&mut todo);
            self.perform(&todo);
            if todo.more {
                continue;
            }
            let now = At::now();
            self.looks.look(&self.shared, now);
            self.open_stuck_door(now);
            let grow = [&self.shared.native, &self.shared.host_lane].map(|pool| {
                pool.grow(now);
                pool.grow_at()
            });
            signal::wake().wait(seen, next.min(grow[0]).min(grow[1]).min(self.looks.next()).min(self.door_at));
        }
    }

    fn take_signals(&mut self) {
        let shared = &self.shared;
        let away = signal::hand_on::away();
        let mut until = At(0);
        loop {
            let seen = signal::wake().seen();
            signal::drain(&mut |caught| on_caught(shared, caught));
            if signal::hand_on::away() & !away == 0 {
                return;
            }
            // Hooks, and the programs that they start, would have it blocked.
            let now = At::now();
            if until == At(0) {
                until = now.plus(if signal::main_thread::blocks_everything() { LONG_MOMENT } else { MOMENT });
            }
            if now >= until {
                return;
            }
            signal::wake().wait(seen, until);
        }
    }

    /// Lets the engine act on time and on empty in-flight groups; takes its commands. Answers when to look again.
    fn step(&mut self, todo: &mut Todo) -> At {
        let shared = &self.shared;
        let mut guard = shared.lock();
        let core = &mut *guard;
        let now = At::now();
        if core.engine.is_stopping() {
            signal::hand_on::ask_no_more();
        }
        if core.engine.next_deadline() <= now {
            core.engine.handle(Event::Tick, now);
        }
        settle_in_flight(core, now);
        while self.tells.len() < AT_A_TIME
            && let Some(command) = core.engine.next_command()
        {
            let ctx = |id: HookId| core.slots.get(id.0 as usize).and_then(Option::as_ref).map(|s| Arc::clone(&s.ctx));
            match command {
                Command::Start(id) => start(core, shared, id, todo),
                Command::Word(word) => inflight::set_word(word),
                Command::CountInFlight(point) => core.engine.note_in_flight(point, inflight::total(), now),
                // Before the hooks are rung for: timers are armed first (spec 5.6).
                Command::Deadline(deadline) => {
                    shared.events.set_t0(core.engine.window().map_or(now, |(t0, _)| t0));
                    todo.deadline |= set_watchdog(shared, &core.engine, deadline);
                }
                Command::Cancel(id) => self.tells.extend(ctx(id).map(Tell::Cancel)),
                Command::Kill(id) => self.tells.extend(ctx(id).map(Tell::Kill)),
                Command::Abandon(id) => {
                    if let Some(at) = core.waiting_for_zero.iter().position(|(waiting, _)| *waiting == id) {
                        core.waiting_for_zero.swap_remove(at);
                        self.tells.push(Tell::Left);
                    }
                }
                Command::Drained => self.tells.push(Tell::Drained),
                Command::Hurry => self.tells.push(Tell::Hurry),
                Command::ExtendTimeout(deadline) => self.tells.push(Tell::Extend(deadline)),
                Command::Finish { exit, at_once, .. } => self.tells.push(Tell::Finish(exit, at_once)),
            }
            settle_in_flight(core, now);
        }
        todo.more = core.engine.has_commands();
        core.engine.next_deadline()
    }

    /// Carries out what is left to do, without the lock. First of all hooks begin.
    fn perform(&mut self, todo: &Todo) {
        let shared = &self.shared;
        if todo.ring_native {
            shared.native.ring();
        }
        if todo.ring_host {
            shared.host_lane.ring();
        }
        if todo.deadline {
            shared.watchdog.notify();
        }
        let mut over = false;
        for tell in self.tells.drain(..) {
            if let Tell::Finish(..) = tell {
                over = true;
                self.door_at = At::now().plus(DOOR_LIMIT);
            }
            // A callback that panics costs itself, not this thread.
            let _ = catch_unwind(AssertUnwindSafe(|| carry_out(shared, tell)));
        }
        if over { shared.events.bell() } else { shared.events.bell_if_heard() }
    }

    /// The report hangs (a dead file server): somebody else opens the door.
    fn open_stuck_door(&mut self, now: At) {
        if now >= self.door_at {
            self.door_at = At::NEVER;
            self.shared.overtake_report();
        }
    }
}

/// Takes away the alternate stack the standard library gave this thread: 8 KiB are too little for the frames of two managed
/// signals at once on a CPU with wide registers (AVX-512: 3 KiB and more each). This thread's own has room for many, and
/// for what a chained handler of the host needs.
fn run_handlers_on_this_stack() {
    let none = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: `none` is a valid description and nothing runs on the alternate stack now. Should the call fail, the thread
    // keeps the one it has.
    unsafe { libc::sigaltstack(&none, std::ptr::null_mut()) };
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

/// Gives a hook's body to its lane.
fn start(core: &mut Core, shared: &Shared, id: HookId, todo: &mut Todo) {
    let Core { engine, slots, waiting_for_zero, .. } = core;
    let Some(Slot { body, ctx }) = slots.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
    let Some(body) = body.take() else { return };
    match body {
        Body::Pause => {}
        Body::Inflight(group) => {
            engine.handle(Event::Begun(id), At::now());
            waiting_for_zero.push((id, group));
        }
        body => {
            let (lane, phase) = (ctx.lane, ctx.phase_index);
            shared.pool(lane).add(phase, Job::Hook(body, Context { inner: Arc::clone(ctx) }));
            if lane == Lane::Host { todo.ring_host = true } else { todo.ring_native = true }
        }
    }
}

/// The body of a hook, on a worker.
pub(super) fn run_hook(body: Body, context: Context) {
    match body {
        Body::Run(f) => run_body(f, context),
        Body::Start(f) => start_body(f, context),
        Body::Pause | Body::Inflight(_) => {}
    }
}

type RunBody = Box<dyn FnOnce(&Context) -> HookResult + Send>;
type StartBody = Box<dyn FnOnce(Context, Completion) + Send>;

/// What a hook of the host's lane waits for from here on is the host, no longer a worker.
fn taken(context: &Context) {
    if context.inner.lane == Lane::Host {
        context.inner.shared.with_engine(|e| e.handle(Event::Taken(context.inner.id), At::now()));
    }
}

fn run_body(f: RunBody, context: Context) {
    let completion = Completion::new(context);
    let context = completion.context();
    taken(context);
    if context.inner.prepares {
        // It waits for its code first; see `Context::begin`.
        let id = context.inner.id;
        if !context.inner.shared.with_engine(|e| e.note_preparing(id)) {
            return;
        }
    } else if context.inner.lane == Lane::Native && !context.begin() {
        return; // its time passed while it waited for a worker; the completion's late word changes nothing
    }
    let result = super::exit::inside_hook(context, || {
        catch_unwind(AssertUnwindSafe(|| f(context)))
            .unwrap_or_else(|panic| Err(HookError::Panicked(crate::hook::panic_message(&*panic))))
    });
    completion.finish(result);
}

fn start_body(f: StartBody, context: Context) {
    let completion = Completion::new(context.clone());
    taken(&context);
    if context.inner.lane == Lane::Native && !context.begin() {
        return;
    }
    let result = super::exit::inside_hook(&context, || catch_unwind(AssertUnwindSafe(|| f(context.clone(), completion))));
    if let Err(panic) = result {
        // A completion that was dropped by this very panic kept silent (see its Drop); one given away may have spoken.
        let message = crate::hook::panic_message(&*panic);
        context.inner.shared.engine_event(Event::Done(context.inner.id, Ending::Failed { message, panic: true }, None));
    }
}

fn carry_out(shared: &Arc<Shared>, tell: Tell) {
    match tell {
        Tell::Cancel(ctx) => ctx.cancel(),
        Tell::Kill(ctx) => ctx.kill(),
        // Spec 9.3.
        Tell::Left => shared.events.say_left(inflight::total()),
        Tell::Extend(deadline) => shared.events.extend_timeout(deadline - At::now()),
        Tell::Drained => shared.drained.notify(),
        Tell::Hurry => shared.hurry(),
        Tell::Finish(exit, at_once) => shared.on_finish(exit, at_once),
    }
}

/// Stores the hard end for the watchdog; true when it is to be told.
fn set_watchdog(shared: &Shared, engine: &Engine, deadline: At) -> bool {
    if !shared.watchdog_on {
        return false;
    }
    let margin = engine.window().map_or_else(|| margin_of(shared.config.grace.value), |(_, m)| m);
    if engine.finished().is_none() {
        let code = engine.started_by().map_or(70, |signo| 128 + signo);
        shared.watchdog.set_code(shared.config.exit_code_forced.value.unwrap_or(code));
    }
    let allowance = engine.rebase_allowance() + margin / 2;
    shared.watchdog.set(deadline.plus(margin / 2), Duration::from_secs(1).max(margin), allowance);
    true
}

/// What a caught signal does (spec 3.4).
pub(super) fn on_caught(shared: &Arc<Shared>, caught: Caught) {
    let Some(rule) = shared.config.signals.iter().find(|s| s.signo == caught.signo) else { return };
    let of_program = signal::hand_on::was_taken(caught.signo);
    let handed_on = caught.code == libc::SI_QUEUE && i32::try_from(shared.pid) == Ok(caught.pid);
    if handed_on && !of_program {
        signal::hand_on::came_back(caught.signo);
    }
    let action = match rule.action {
        Action::Reload if rule.auto && !shared.reload.has_hooks() => {
            // A program that does something about HUP itself does not mean to stop by it.
            if of_program || shared.has_own_handler(caught.signo) { Action::Ignore } else { Action::Stop }
        }
        action => action,
    };
    match action {
        Action::Stop => on_stop(shared, &caught, rule.grace),
        Action::Reload => shared.request_reload(),
        // Written by the report's thread: stderr may be stuck.
        Action::Status => shared.events.ask_status(),
        Action::Ignore | Action::Default => {}
    }
    if of_program && action != Action::Reload {
        shared.by_itself.hand_on(caught.signo);
        signal::hand_on::hand_on(caught.signo);
    }
}

fn on_stop(shared: &Arc<Shared>, caught: &Caught, grace: Option<Duration>) {
    // SI_TKILL (tgkill, raise) only ever comes from the process itself; SI_USER from whoever the pid says.
    let own = i32::try_from(shared.pid).unwrap_or(0);
    let self_sent = caught.code == libc::SI_TKILL || (caught.code == libc::SI_USER && caught.pid == own);
    // What the engine handed on to the program, or a binding kept from the host's server and now hands on, by a code of its own
    // (`sigqueue` to itself): no news, and not the re-raise at the end of a stop of the program's own, which only begins (spec 6.6).
    if caught.code == libc::SI_QUEUE && caught.pid == own && shared.lock().engine.is_stopping() {
        return shared.came_back(caught.signo);
    }
    if self_sent && shared.host.hears_of(caught.signo) && shared.with_engine(|e| e.started_by().is_some()) {
        return; // the program's own matter: KeyboardInterrupt after uvicorn's stop, which it catches
    }
    let told = matches!(caught.code, libc::SI_USER | libc::SI_TKILL | libc::SI_QUEUE);
    let sender = told.then_some((caught.pid, caught.uid));
    shared.reload.stop_wins();
    let event = Event::Signal { signo: caught.signo, at: caught.at, sender, self_sent, grace };
    shared.lock().engine.handle(event, At::now());
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
        let grace = crate::plan::format_duration(self.config.grace.value);
        format!("graceshut: {state}, {hooks} hooks, {} in flight, grace {grace}", inflight::total())
    }
}
