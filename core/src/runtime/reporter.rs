//! The report's thread: follows the event list, tells systemd and the callbacks' queue, and at the end writes the report.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::api::Finished;
use super::events::EventView;
use super::{Core, Shared};
use crate::clock::{At, micros};
use crate::config::ReportTo;
use crate::engine::{Engine, HookId, Leaving, Record, What};
use crate::report::{self, Facts, HandlerInfo, HostInfo, Report};
use crate::signal;

/// How long writing the report may hold the leaving up.
pub(super) const WRITE_LIMIT: Duration = Duration::from_millis(250);

/// How long the report waits for a killed hook to say where it was: it is stopped already, give or take a scheduling delay.
/// The longer one applies before D.
const LAST_WORDS: Duration = Duration::from_millis(20);
const LAST_WORDS_IN_TIME: Duration = Duration::from_millis(250);

/// Records taken under the lock at a time.
const AT_A_TIME: usize = 64;

/// The thread's body.
pub(super) fn run(shared: &Arc<Shared>) {
    signal::block_all_but(None);
    let mut told = 0;
    let mut written = false;
    while !shared.closed.load(SeqCst) {
        let seen = shared.events.wake.seen();
        if shared.door.is_finished() && !written {
            written = true;
            shared.hear_last_words();
            shared.tell(&mut told);
            shared.write_report();
        }
        shared.tell(&mut told);
        if shared.events.status_was_asked() {
            shared.events.say_status(&shared.status_line());
        }
        shared.say_lines();
        shared.leave_if_due();
        shared.events.wake.wait(seen, shared.by_itself.until());
    }
}

fn tell_systemd(shared: &Shared, record: &Record) {
    match &record.what {
        What::Budgeted { .. } => shared.events.notify("STOPPING=1\nSTATUS=stopping"),
        What::PhaseStart(i, _) => {
            if let Some(phase) = shared.config.plan.phases().get(*i) {
                shared.events.notify(&format!("STATUS=stopping: {}", phase.name));
            }
        }
        What::Finished { outcome, .. } => shared.events.notify(&format!("STATUS=stopped: {}", outcome.word())),
        _ => {}
    }
}

/// A record as callbacks see it.
fn view(engine: &Engine, record: &Record) -> Option<EventView> {
    let t0 = engine.window().map_or(record.at, |(t0, _)| t0);
    let at_us = micros(record.at - t0);
    let phase = |i: usize| engine.plan().phases().get(i).map(|p| p.name.clone());
    let of_hook = |event, id: HookId| {
        let spec = engine.hook_spec(id);
        let (hook, phase) = (spec.map(|s| s.name.clone()), spec.and_then(|s| phase(s.phase)));
        EventView { event, at_us, phase, hook, ..EventView::default() }
    };
    let plain = |event| EventView { event, at_us, ..EventView::default() };
    Some(match &record.what {
        What::Trigger { reason, action } => EventView {
            outcome: Some(action.word().to_owned()),
            message: reason.signo.and_then(signal::name_of).map(str::to_owned).or_else(|| reason.message.clone()),
            ..plain("trigger")
        },
        What::Deadline(d) => EventView { value: Some(micros(*d - t0)), ..plain("deadline") },
        What::Rebased(late) => {
            EventView { value: Some(micros(*late)), message: Some("held up".to_owned()), ..plain("deadline") }
        }
        What::PhaseStart(i, budget) => EventView { phase: phase(*i), value: Some(micros(*budget)), ..plain("phase_start") },
        What::PhaseEnd(i) => EventView { phase: phase(*i), ..plain("phase_end") },
        What::PhaseSkip(i) => EventView { phase: phase(*i), outcome: Some("skipped".to_owned()), ..plain("phase_end") },
        What::HookStart(id, budget) => EventView { value: Some(micros(*budget)), ..of_hook("hook_start", *id) },
        What::HookCancel(id) => of_hook("hook_cancel", *id),
        What::HookEnd { hook, outcome, message, .. } => EventView {
            outcome: Some(outcome.word().to_owned()),
            message: message.clone().or_else(|| report::unasked(engine, &record.what).or(outcome.why()).map(str::to_owned)),
            ..of_hook("hook_end", *hook)
        },
        What::Finished { outcome, exit } => {
            EventView { outcome: Some(outcome.word().to_owned()), value: u64::try_from(exit.code).ok(), ..plain("finished") }
        }
        What::PrestopWait(most) => EventView { value: Some(micros(*most)), ..plain("prestop_wait") },
        What::Budgeted { .. }
        | What::HookExtend(..)
        | What::HookStopped(..)
        | What::HookReturned(_)
        | What::Left { .. }
        | What::InFlight { .. }
        | What::UnknownAfter(_) => {
            return None;
        }
    })
}

impl Shared {
    /// Tells systemd and the callbacks' queue of every record from `told` on. The lock is held for a few records at a time:
    /// hooks need it to begin and to end.
    fn tell(&self, told: &mut usize) {
        while self.events.tells_systemd() || self.events.listened_to() {
            let (records, views) = {
                let core = self.lock();
                let records: Vec<Record> = core.engine.records().iter().skip(*told).take(AT_A_TIME).cloned().collect();
                let heard = self.events.listened_to();
                let views: Vec<EventView> =
                    if heard { records.iter().filter_map(|r| view(&core.engine, r)).collect() } else { Vec::new() };
                (records, views)
            };
            *told += records.len();
            views.into_iter().for_each(|v| self.events.say(v));
            records.iter().for_each(|r| tell_systemd(self, r));
            if records.len() < AT_A_TIME {
                return;
            }
        }
    }

    /// Lines for stderr that other threads left, which must not be held up by it; none where no report is wanted.
    fn say_lines(&self) {
        while let Some(line) = self.events.next_line() {
            if self.config.report.value != ReportTo::None {
                // As for the report: what cannot be written is dropped.
                let _ = report::deliver(&ReportTo::Line, &line, "", At::now().plus(WRITE_LIMIT));
            }
        }
    }

    fn hear_last_words(&self) {
        let now = At::now();
        let d = self.with_engine(|e| e.deadline()).unwrap_or(At::NEVER);
        let limit = now.plus(LAST_WORDS).max(d.min(now.plus(LAST_WORDS_IN_TIME)));
        while self.with_engine(|e| e.is_any_dying()) && At::now() < limit {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The report as of now.
    pub(super) fn build_report(&self) -> Report {
        // Before the lock: the host's own code, and a look at the loader's list.
        let (host, handler, leave) = (self.host_info(), self.handler_state(), self.leave_word());
        self.report_of(&self.lock(), host, handler, leave)
    }

    fn host_info(&self) -> HostInfo {
        HostInfo {
            language: self.host.language().to_owned(),
            version: self.host.version(),
            graceshut: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    pub(super) fn report_of(&self, core: &Core, host: HostInfo, handler: Vec<HandlerInfo>, leave: &str) -> Report {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let facts = Facts {
            run_id: self.run_id.clone(),
            host,
            pid: self.pid,
            grace_origin: self.config.grace.origin.to_string(),
            already_spent: self.config.already_spent.value,
            handler,
            warnings: core.warnings.clone(),
            leave: leave.to_owned(),
            wall: (wall, At::now()),
        };
        report::fold(&core.engine, facts)
    }

    /// Who is to leave first, as far as is known when the plan is over (spec 6.6).
    fn leave_word(&self) -> &'static str {
        match () {
            () if !self.leaves() => "manual",
            () if self.may_leave_by_itself() => Leaving::ByItself.word(),
            () => Leaving::AtOnce.word(),
        }
    }

    /// Who handles the managed signals, by what the kernel says (spec 3.5).
    pub(super) fn handler_state(&self) -> Vec<HandlerInfo> {
        let replaced = signal::look(false);
        let armed = self.armed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        armed
            .iter()
            .map(|a| HandlerInfo {
                signal: signal::name_of(a.signo).map_or_else(|| a.signo.to_string(), str::to_owned),
                state: match replaced.iter().find(|r| r.signo == a.signo) {
                    _ if !a.taken => "ignored",
                    Some(replaced) if replaced.ignored => "ignored",
                    Some(_) => "replaced",
                    None => "ours",
                }
                .to_owned(),
                repairs: signal::repairs(a.signo),
                missed: self.watching.may_have_missed(a.signo),
            })
            .collect()
    }

    /// Writes the report and opens the door; a sink that hangs is overtaken by the engine's thread (see `leave`).
    fn write_report(self: &Arc<Self>) {
        let report = Arc::new(self.build_report());
        let exit = self.with_engine(|e| e.finished());
        let Some((_, exit)) = exit else { return };
        self.door.publish(Finished { report: Arc::clone(&report), exit });
        let limit = At::now().plus(WRITE_LIMIT);
        let line = report::human_line(&report);
        // Nothing can be done for a report that cannot be written: it never changes the shutdown (spec 11.1).
        let _ = report::deliver(&self.config.report.value, &line, &report.to_json(), limit);
        self.open_door();
    }
}
