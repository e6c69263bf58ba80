//! From the event list to the report. Keeps no state of its own: the same list gives the same report.

use std::time::Duration;

use super::{HandlerInfo, HookInfo, HostInfo, InFlightInfo, LeaveInfo, PhaseInfo, ReasonInfo, Report, TriggerInfo};
use crate::clock::{At, micros};
use crate::engine::{Engine, HookId, HookOutcome, InFlightPoint, Pause, Reason, Record, What};
use crate::signal::name_of;

/// What the event list does not say.
pub(crate) struct Facts {
    pub run_id: String,
    pub host: HostInfo,
    pub pid: u32,
    pub grace_origin: String,
    pub already_spent: Duration,
    pub handler: Vec<HandlerInfo>,
    pub warnings: Vec<String>,
    /// Who is to leave first.
    pub leave: String,
    /// Wall clock and monotonic clock at the same instant.
    pub wall: (Duration, At),
}

fn finite(d: Duration) -> Option<u64> {
    // A phase without a deadline was given all the time there is.
    if d > Duration::from_secs(400 * 86_400) { None } else { Some(micros(d)) }
}

fn signal_name(signo: i32) -> String {
    name_of(signo).map_or_else(|| signo.to_string(), str::to_owned)
}

/// Builds the report of `engine`'s run.
pub(crate) fn fold(engine: &Engine, facts: Facts) -> Report {
    let t0 = engine.window().map_or(At(0), |(t0, _)| t0);
    let (wall, mono) = facts.wall;
    let mut report = Report {
        graceshut: 1,
        run_id: facts.run_id,
        host: facts.host,
        pid: facts.pid,
        triggered_at_us: micros(wall.saturating_sub(mono - t0)),
        grace_us: None,
        grace_origin: facts.grace_origin,
        already_spent_us: micros(facts.already_spent),
        margin_us: 0,
        budget_us: None,
        reason: engine.reason().map_or_else(ReasonInfo::unknown, ReasonInfo::of),
        triggers: Vec::new(),
        phases: Vec::new(),
        in_flight: InFlightInfo::default(),
        outcome: "unfinished".to_owned(),
        exit_code: 0,
        exit_signal: None,
        used_us: 0,
        scheduling_delay_us: 0,
        rebased_us: None,
        handler: facts.handler,
        warnings: facts.warnings,
        leave: LeaveInfo { how: facts.leave, after_us: None, in_flight: None },
    };
    let mut hooks: Vec<Option<(usize, HookInfo)>> = Vec::new();
    for id in engine.hook_ids() {
        let slot = id.0 as usize;
        hooks.resize(slot + 1, None);
        hooks[slot] = engine.hook_spec(id).map(|s| (s.phase, HookInfo::new(&s.name, s.kind.label, s.optional)));
    }
    for record in engine.records() {
        apply(&mut report, &mut hooks, engine, t0, record);
    }
    let hidden = |id: usize| is_empty_pause(engine, HookId(id as u32), hooks.get(id).and_then(Option::as_ref));
    let shown: Vec<(usize, HookInfo)> =
        (0..hooks.len()).filter(|id| !hidden(*id)).filter_map(|id| hooks.get(id).cloned().flatten()).collect();
    for (phase, hook) in shown {
        let name = engine.plan().phases().get(phase).map(|p| p.name.as_str());
        if let Some(row) = report.phases.iter_mut().find(|r| Some(r.name.as_str()) == name) {
            row.hooks.push(hook);
        }
    }
    report
}

/// An announce delay of nothing is no news.
fn is_empty_pause(engine: &Engine, id: HookId, hook: Option<&(usize, HookInfo)>) -> bool {
    let announce = engine.hook_spec(id).is_some_and(|s| s.kind.pause == Some(Pause::Announce));
    announce && hook.is_none_or(|(_, h)| h.budget_us.unwrap_or(0) == 0)
}

fn apply(report: &mut Report, hooks: &mut [Option<(usize, HookInfo)>], engine: &Engine, t0: At, record: &Record) {
    let at_us = micros(record.at - t0);
    let phase_name = |i: usize| engine.plan().phases().get(i).map_or_else(String::new, |p| p.name.clone());
    match &record.what {
        What::Trigger { reason, action } => report.triggers.push(TriggerInfo {
            kind: reason.kind.word().to_owned(),
            signal: reason.signo.map(signal_name),
            at_us,
            action: action.word().to_owned(),
        }),
        What::Budgeted { grace, margin, budget } => {
            report.grace_us = grace.map(micros);
            report.margin_us = micros(*margin);
            report.budget_us = budget.map(micros);
            report.scheduling_delay_us = at_us;
        }
        What::Rebased(late) => report.rebased_us = Some(micros(*late)),
        What::PhaseStart(i, budget) => report.phases.push(PhaseInfo {
            name: phase_name(*i),
            state: "ran".to_owned(),
            start_us: at_us,
            budget_us: finite(*budget),
            used_us: 0,
            slack_us: None,
            hooks: Vec::new(),
            reserve_us: micros(engine.promised(*i)),
        }),
        What::PhaseEnd(i) => {
            let name = phase_name(*i);
            if let Some(row) = report.phases.iter_mut().find(|r| r.name == name) {
                row.used_us = at_us.saturating_sub(row.start_us);
                row.slack_us = row.budget_us.map(|b| b.saturating_sub(row.used_us));
            }
        }
        What::PhaseSkip(i) => report.phases.push(PhaseInfo {
            name: phase_name(*i),
            state: "skipped".to_owned(),
            start_us: at_us,
            budget_us: Some(0),
            used_us: 0,
            slack_us: Some(0),
            hooks: Vec::new(),
            reserve_us: micros(engine.promised(*i)),
        }),
        What::InFlight { point: InFlightPoint::DrainStart, count } => report.in_flight.at_drain_start = Some(*count),
        What::InFlight { point: InFlightPoint::DrainEnd, count } => report.in_flight.at_drain_end = Some(*count),
        What::Finished { outcome, exit } => {
            report.outcome = outcome.word().to_owned();
            report.exit_code = exit.code;
            report.exit_signal = exit.die_by.map(signal_name);
            report.used_us = at_us;
        }
        What::Left { how, in_flight, outcome, exit } => {
            report.outcome = outcome.word().to_owned();
            report.exit_code = exit.code;
            report.exit_signal = exit.die_by.map(signal_name);
            report.leave = LeaveInfo {
                how: how.word().to_owned(),
                after_us: Some(at_us.saturating_sub(report.used_us)),
                in_flight: Some(*in_flight),
            };
        }
        What::UnknownAfter(id) => {
            if let Some(spec) = engine.hook_spec(*id) {
                report.warnings.push(format!("hook \"{}\" runs after a name that no hook of its phase has", spec.name));
            }
        }
        What::HookStart(..) | What::HookExtend(..) | What::HookEnd { .. } | What::HookStopped(..) => {
            apply_hook(hooks, at_us, &record.what);
            let not_asked = unasked(engine, &record.what);
            if let (What::HookEnd { hook, .. }, Some(words)) = (&record.what, not_asked)
                && let Some(Some((_, info))) = hooks.get_mut(hook.0 as usize)
            {
                info.message = Some(words.to_owned());
            }
        }
        What::Deadline(_) | What::PrestopWait(_) | What::HookCancel(_) | What::HookReturned(_) => {}
    }
}

/// Words for a hook that ended as cancelled although graceshut had not cancelled it: the cause lies in the program, which may sweep
/// all its tasks away when it stops.
pub(crate) fn unasked(engine: &Engine, what: &What) -> Option<&'static str> {
    match what {
        What::HookEnd { hook, outcome: HookOutcome::Cancelled, message: None, .. } if !engine.was_asked_to_end(*hook) => {
            Some("cancelled by something else in the program: graceshut had not asked it to end")
        }
        _ => None,
    }
}

fn apply_hook(hooks: &mut [Option<(usize, HookInfo)>], at_us: u64, what: &What) {
    let (What::HookStart(id, _) | What::HookExtend(id, _) | What::HookEnd { hook: id, .. } | What::HookStopped(id, _)) = what
    else {
        return;
    };
    let Some(Some((_, info))) = hooks.get_mut(id.0 as usize) else { return };
    match what {
        What::HookStart(_, budget) => {
            info.start_us = Some(at_us);
            info.budget_us = finite(*budget);
        }
        What::HookStopped(_, place) => info.message = Some(place.clone()),
        What::HookExtend(_, more) => info.budget_us = info.budget_us.map(|b| b + micros(*more)),
        What::HookEnd { outcome, late, panic, message, .. } => {
            info.outcome = outcome.word().to_owned();
            info.why = outcome.why().map(str::to_owned);
            (info.late, info.panic) = (*late, *panic);
            info.message.clone_from(message);
            info.used_us = info.start_us.map_or(0, |s| at_us.saturating_sub(s));
        }
        _ => {}
    }
}

impl HookInfo {
    fn new(name: &str, kind: &str, optional: bool) -> HookInfo {
        HookInfo {
            name: name.to_owned(),
            kind: kind.to_owned(),
            outcome: "unfinished".to_owned(),
            why: None,
            late: false,
            panic: false,
            optional,
            message: None,
            start_us: None,
            budget_us: None,
            used_us: 0,
        }
    }
}

impl ReasonInfo {
    fn unknown() -> ReasonInfo {
        ReasonInfo { kind: "none".to_owned(), signal: None, sender_pid: None, sender_uid: None, message: None }
    }

    pub(crate) fn of(reason: &Reason) -> ReasonInfo {
        ReasonInfo {
            kind: reason.kind.word().to_owned(),
            signal: reason.signo.map(signal_name),
            sender_pid: reason.sender.map(|(pid, _)| pid),
            sender_uid: reason.sender.map(|(_, uid)| uid),
            message: reason.message.clone(),
        }
    }
}
