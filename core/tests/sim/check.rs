//! The judges. Each takes a trace and says what is wrong with it; none knows how the engine works inside.

use std::collections::HashMap;
use std::time::Duration;

use graceshut::clock::At;
use graceshut::config::Exit;
use graceshut::engine::{
    Command, ExitPlan, HookId, HookOutcome, NotStarted, ReasonKind, ShutdownOutcome, Skip, TriggerAction, What,
};
use graceshut::plan::Order;

use super::trace::Trace;

type Verdict = Result<(), String>;
/// One judge and its name.
pub type Judge = (&'static str, fn(&Trace) -> Verdict);

pub const ALL: &[Judge] = &[
    ("records are in order", records_in_order),
    ("phases run one after another", phases_in_order),
    ("every hook ends exactly once", one_outcome),
    ("hooks start inside their phase, after what they wait for", starts),
    ("soft <= hard <= phase end <= D", boxes),
    ("nothing due is left lying", nothing_due),
    ("budgets follow 5.1", budgets),
    ("reserves are kept", reserves),
    ("D never grows", deadline_falls),
    ("commands make sense", commands),
    ("the outcome follows 6.3", outcome),
    ("the exit status follows 6.4", exit_status),
    ("a preStop waits as 7.4 says", prestop_waits),
    ("over by D", over_in_time),
];

macro_rules! ensure {
    ($ok:expr, $($words:tt)*) => {
        if !$ok {
            return Err(format!($($words)*));
        }
    };
}

pub fn records_in_order(t: &Trace) -> Verdict {
    let mut last = At(0);
    for (k, r) in t.records.iter().enumerate() {
        if matches!(r.what, What::Trigger { .. }) {
            ensure!(r.at <= t.records.get(k + 1).map_or(At::NEVER, |n| n.at), "trigger {k} lies after what followed it");
        } else {
            ensure!(r.at >= last, "record {k} at {:?} is before {last:?}: {:?}", r.at, r.what);
            last = r.at;
        }
    }
    Ok(())
}

pub fn phases_in_order(t: &Trace) -> Verdict {
    let mut next = 0;
    let mut open = None;
    for r in &t.records {
        match r.what {
            What::PhaseStart(i, _) => {
                ensure!(open.is_none() && i == next, "phase {i} starts, expected {next}, open {open:?}");
                open = Some(i);
            }
            What::PhaseEnd(i) => {
                ensure!(open == Some(i), "phase {i} ends, open {open:?}");
                (open, next) = (None, i + 1);
            }
            What::PhaseSkip(i) => {
                ensure!(open.is_none() && i == next, "phase {i} is skipped, expected {next}, open {open:?}");
                next = i + 1;
            }
            What::HookStart(id, _) => {
                ensure!(open == Some(t.spec(id).phase), "hook {id:?} starts outside its phase, open {open:?}");
            }
            What::Finished { .. } => {
                ensure!(open.is_none() && next == t.settings.plan.phases().len(), "finished at phase {next}, open {open:?}");
            }
            _ => {}
        }
    }
    Ok(())
}

pub fn one_outcome(t: &Trace) -> Verdict {
    let mut ends: HashMap<HookId, usize> = HashMap::new();
    let mut starts: HashMap<HookId, usize> = HashMap::new();
    for r in &t.records {
        match &r.what {
            What::HookStart(id, _) => *starts.entry(*id).or_default() += 1,
            What::HookEnd { hook, outcome, .. } => {
                *ends.entry(*hook).or_default() += 1;
                let started = starts.contains_key(hook);
                let never = matches!(outcome, HookOutcome::Skipped(s) if *s != Skip::HostClosed);
                ensure!(!(started && never), "{hook:?} was started and then skipped");
                ensure!(started || matches!(outcome, HookOutcome::Skipped(_)), "{hook:?} ended {outcome:?} without a start");
            }
            _ => {}
        }
    }
    let finished = t.records.iter().any(|r| matches!(r.what, What::Finished { .. }));
    for (k, hook) in t.hooks.iter().enumerate() {
        let id = HookId(k as u32);
        let (s, e) = (starts.get(&id).copied().unwrap_or(0), ends.get(&id).copied().unwrap_or(0));
        ensure!(s <= 1, "{id:?} started {s} times");
        let want = usize::from(finished && hook.removed.is_none());
        ensure!(e == want, "{id:?} ended {e} times, expected {want}");
    }
    Ok(())
}

pub fn starts(t: &Trace) -> Verdict {
    let mut ended = vec![usize::MAX; t.hooks.len()];
    for (k, r) in t.records.iter().enumerate() {
        if let What::HookEnd { hook, .. } = r.what {
            ended[hook.0 as usize] = k;
        }
    }
    let mut running: Vec<HookId> = Vec::new();
    for (k, r) in t.records.iter().enumerate() {
        match r.what {
            What::HookStart(id, _) => {
                let spec = t.spec(id);
                let serial = t.settings.plan.phases()[spec.phase].order == Order::Serial;
                ensure!(!serial || running.is_empty(), "{id:?} starts beside {running:?} in a serial phase");
                running.push(id);
                for (m, other) in t.hooks.iter().enumerate() {
                    let awaited = other.spec.phase == spec.phase && spec.after.contains(&other.spec.name);
                    let there = other.from <= k && other.removed.is_none_or(|r| r > k);
                    ensure!(
                        !(awaited && there && ended[m] > k),
                        "{id:?} starts before hook {m} of name {} ended",
                        other.spec.name
                    );
                }
            }
            What::HookEnd { hook, .. } => running.retain(|id| *id != hook),
            _ => {}
        }
    }
    Ok(())
}

pub fn boxes(t: &Trace) -> Verdict {
    for (k, s) in t.steps.iter().enumerate() {
        let d = s.deadline.unwrap_or(At::NEVER).max(s.now);
        let end = s.phase_end.unwrap_or(d).max(s.now);
        ensure!(end <= d, "step {k}: the phase ends at {end:?}, after D {d:?}");
        for (id, soft, hard) in &s.running {
            let pause = t.spec(*id).kind.pause.is_some();
            ensure!(*soft <= *hard || pause, "step {k}: {id:?} soft {soft:?} after hard {hard:?}");
            ensure!(*hard <= end, "step {k}: {id:?} hard {hard:?} after its phase's end {end:?}");
        }
    }
    Ok(())
}

pub fn nothing_due(t: &Trace) -> Verdict {
    for (k, s) in t.steps.iter().enumerate().filter(|(_, s)| s.handled) {
        for (id, soft, hard) in &s.running {
            ensure!(*hard > s.now, "step {k}: {id:?} runs at {:?}, past its hard deadline {hard:?}", s.now);
            let cancelled = t.records[..s.records].iter().any(|r| r.what == What::HookCancel(*id));
            ensure!(cancelled || *soft > s.now, "step {k}: {id:?} is past its soft deadline and not cancelled");
        }
    }
    Ok(())
}

/// What the trace says of D and B at each record.
struct Window {
    t0: At,
    d: At,
    b: Option<Duration>,
    /// Of the trigger that was recorded last.
    trigger: At,
}

impl Window {
    fn new() -> Window {
        Window { t0: At(0), d: At::NEVER, b: None, trigger: At(0) }
    }

    fn see(&mut self, at: At, what: &What) {
        match what {
            What::Trigger { action: TriggerAction::Started, .. } => (self.t0, self.trigger) = (at, at),
            What::Trigger { .. } => self.trigger = at,
            What::Budgeted { budget, .. } => {
                self.b = *budget;
                self.d = budget.map_or(At::NEVER, |b| self.t0.plus(b));
            }
            What::Deadline(d) => {
                self.b = self.b.or(Some(*d - self.trigger));
                self.d = *d;
            }
            _ => {}
        }
    }
}

fn reserve_of(t: &Trace, i: usize, k: usize, b: Duration) -> Duration {
    let p = &t.settings.plan.phases()[i];
    if p.reserve_explicit || t.live(i, k) > 0 { p.reserve.resolve(Some(b)).min(p.cap.resolve(Some(b))) } else { Duration::ZERO }
}

/// Spec 5.1 to the nanosecond, recomputed at every phase start.
pub fn budgets(t: &Trace) -> Verdict {
    let mut w = Window::new();
    for (k, r) in t.records.iter().enumerate() {
        w.see(r.at, &r.what);
        let What::PhaseStart(i, given) = r.what else { continue };
        let p = &t.settings.plan.phases()[i];
        let Some(b) = w.b else {
            ensure!(
                given >= p.cap.resolve(None).min(Duration::from_secs(1 << 32)),
                "phase {i} got {given:?} without a deadline"
            );
            continue;
        };
        let own = reserve_of(t, i, k, b);
        let later: Duration = (i + 1..t.settings.plan.phases().len()).map(|j| reserve_of(t, j, k, b)).sum();
        let left = w.d - r.at;
        let want = if left >= own + later {
            (left - later).min(p.cap.resolve(Some(b)))
        } else {
            own.mul_f64(left.as_secs_f64() / (own + later).as_secs_f64())
        };
        let off = want.abs_diff(given);
        ensure!(
            off < Duration::from_micros(1),
            "phase {i} got {given:?}, 5.1 says {want:?} (left {left:?}, own {own:?}, later {later:?})"
        );
    }
    Ok(())
}

/// While D stayed where it was, each phase has its whole reserve, less how late the engine was called.
pub fn reserves(t: &Trace) -> Verdict {
    let mut w = Window::new();
    let Some(b) = t.records.iter().find_map(|r| if let What::Budgeted { budget, .. } = r.what { budget } else { None }) else {
        return Ok(());
    };
    // Reserves that the plan cannot hold, as with a trigger whose own grace is small, are scaled from the start.
    let at_trigger = t.records.iter().position(|r| matches!(r.what, What::Budgeted { .. })).unwrap_or(0);
    let sum: Duration = (0..t.settings.plan.phases().len()).map(|j| reserve_of(t, j, at_trigger, b)).sum();
    if sum > b || t.late_claim {
        return Ok(());
    }
    let heard = t.records.iter().find(|r| matches!(r.what, What::Budgeted { .. })).map_or(At(0), |r| r.at);
    for (k, r) in t.records.iter().enumerate() {
        w.see(r.at, &r.what);
        match r.what {
            What::Deadline(_) => return Ok(()),
            What::PhaseStart(i, given) => {
                let slack = t.late_sum + (heard - w.t0) + Duration::from_nanos(100);
                let own = reserve_of(t, i, k, b);
                ensure!(given + slack >= own, "phase {i} got {given:?} of its reserve {own:?}, late {:?}", t.late_sum);
            }
            _ => {}
        }
    }
    Ok(())
}

pub fn deadline_falls(t: &Trace) -> Verdict {
    let mut last = At::NEVER;
    let mut from = 0;
    for (k, s) in t.steps.iter().enumerate() {
        let rebased = t.records[from..s.records].iter().any(|r| matches!(r.what, What::Rebased(_)));
        from = s.records;
        let Some(d) = s.deadline else { continue };
        ensure!(d <= last || rebased || t.systemd_extended, "step {k}: D grew from {last:?} to {d:?}");
        last = d;
    }
    let rebases = t.records.iter().filter(|r| matches!(r.what, What::Rebased(_))).count();
    ensure!(rebases <= 1, "D was re-based {rebases} times");
    Ok(())
}

pub fn commands(t: &Trace) -> Verdict {
    #[derive(Default)]
    struct Told {
        start: bool,
        cancel: bool,
        end: bool,
    }
    let mut told: HashMap<HookId, Told> = HashMap::new();
    let (mut word, mut finished) = (0, false);
    for (at, _, command) in &t.commands {
        match command {
            Command::Start(id) => {
                let told = told.entry(*id).or_default();
                ensure!(!told.start, "{id:?} is started twice");
                ensure!(!finished, "{id:?} is started after the end");
                ensure!(t.spec(*id).kind.pause.is_none(), "the pause {id:?} is started");
                told.start = true;
            }
            Command::Cancel(id) | Command::Abandon(id) | Command::Kill(id) => {
                let told = told.entry(*id).or_default();
                ensure!(told.start, "{command:?} before its start");
                ensure!(!told.end, "{command:?} after it was given up");
                let said = t.done.iter().any(|(done, when)| done == id && when < at);
                ensure!(!said, "{command:?} after it ended");
                if let Command::Cancel(_) = command {
                    ensure!(!told.cancel, "{id:?} is cancelled twice");
                    told.cancel = true;
                } else {
                    told.end = true;
                    ensure!(
                        !matches!(command, Command::Kill(_)) || t.spec(*id).kind.killable,
                        "{command:?} of a hook that cannot be"
                    );
                }
            }
            Command::Word(n) => {
                ensure!(*n == word + 1 && *n <= 2, "the word goes from {word} to {n}");
                word = *n;
            }
            Command::Finish { at_once, .. } => {
                ensure!(!finished || *at_once, "finished twice");
                finished = true;
            }
            Command::Hurry => ensure!(finished, "a hurry before the end"),
            Command::Deadline(_) | Command::CountInFlight(_) | Command::ExtendTimeout(_) | Command::Drained => {}
        }
    }
    ensure!(finished && word == 2, "finished: {finished}, word: {word}");
    for r in &t.records {
        if let What::HookEnd { hook, outcome: HookOutcome::Abandoned, .. } = r.what {
            let told = told.entry(hook).or_default();
            let returned = t.done.iter().any(|(id, _)| *id == hook);
            ensure!(told.end || returned, "{hook:?} was abandoned and nobody told");
            ensure!(told.cancel || returned || !heard_of(t, hook), "{hook:?} was abandoned and never cancelled");
        }
    }
    Ok(())
}

/// A hook of a host that has closed cannot be told anything.
fn heard_of(t: &Trace, hook: HookId) -> bool {
    t.spec(hook).kind.lane != graceshut::engine::Lane::Host
}

/// `by_signal`: a signal began the shutdown; then what the host's end kept from running is undone (6.3).
fn degrades(outcome: HookOutcome, by_signal: bool) -> bool {
    outcome != HookOutcome::Ok && (by_signal || outcome != HookOutcome::Skipped(Skip::HostClosed))
}

fn finished(t: &Trace) -> Result<(At, ShutdownOutcome, ExitPlan), String> {
    let mut all = t.records.iter().filter_map(|r| match r.what {
        What::Finished { outcome, exit } => Some((r.at, outcome, exit)),
        _ => None,
    });
    let one = all.next().ok_or("it never finished")?;
    if all.next().is_some() {
        return Err("it finished twice".to_owned());
    }
    Ok(one)
}

pub fn outcome(t: &Trace) -> Verdict {
    let (_, outcome, _) = finished(t)?;
    let (mut cut, mut degraded) = (false, false);
    let (mut first, mut by_signal) = (None, false);
    let mut w = Window::new();
    // Moves of D beyond the first ones are not in the list; the steps have them all.
    let last_d = t.steps.last().and_then(|s| s.deadline).unwrap_or(At::NEVER);
    for r in &t.records {
        w.see(r.at, &r.what);
        if let What::Trigger { reason, action } = &r.what {
            let first = *first.get_or_insert(reason.kind);
            let may_begin = first == reason.kind || first == ReasonKind::Prestop;
            by_signal |= may_begin && reason.signo.is_some() && *action != TriggerAction::Duplicate;
        }
        match &r.what {
            What::Finished { .. } => break,
            What::Rebased(_) => cut = true,
            What::Trigger { action: TriggerAction::Expedited | TriggerAction::Left, .. } => cut = true,
            What::HookEnd { hook, outcome, .. } if !t.spec(*hook).optional && degrades(*outcome, by_signal) => {
                degraded = true;
                let undone = matches!(
                    outcome,
                    HookOutcome::Abandoned
                        | HookOutcome::Killed
                        | HookOutcome::NotStarted(NotStarted::HostBusy | NotStarted::NoWorker)
                        | HookOutcome::Skipped(Skip::Deadline)
                );
                cut |= undone && r.at >= w.d.min(last_d.max(r.at));
                ensure!(*outcome != HookOutcome::Skipped(Skip::Deadline) || r.at >= w.d, "{hook:?} skipped for a D to come");
            }
            _ => {}
        }
    }
    let want = match (cut, degraded) {
        (true, _) => ShutdownOutcome::Forced,
        (_, true) => ShutdownOutcome::Degraded,
        _ => ShutdownOutcome::Clean,
    };
    ensure!(outcome == want, "ended {outcome:?}, 6.3 says {want:?}");
    Ok(())
}

pub fn exit_status(t: &Trace) -> Verdict {
    let (_, outcome, exit) = finished(t)?;
    let triggers = || {
        t.records
            .iter()
            .filter_map(|r| if let What::Trigger { reason, action } = &r.what { Some((reason, action)) } else { None })
    };
    let (first, _) = triggers().next().ok_or("no trigger")?;
    let end = t.records.iter().position(|r| matches!(r.what, What::Finished { .. })).unwrap_or(0);
    let cut_by = t.records[..end].iter().rev().find_map(|r| match &r.what {
        What::Trigger { reason, action: TriggerAction::Expedited | TriggerAction::Left } => reason.signo,
        _ => None,
    });
    let rules = t.settings.exit;
    let code = t.proposed.or(t.host_code).unwrap_or(0);
    let plain = |code| ExitPlan { code, die_by: None };
    // After a preStop the first signal that was accepted counts as the one that started it.
    let started_by = match first.kind {
        ReasonKind::Prestop => t.records[..end].iter().find_map(|r| match &r.what {
            What::Trigger { reason, action } if *action != TriggerAction::Duplicate => reason.signo,
            _ => None,
        }),
        _ => first.signo,
    };
    let want = match (first.kind, outcome, started_by) {
        (ReasonKind::Uncaught, _, _) => plain(t.first_code.unwrap_or(1)),
        (_, ShutdownOutcome::Forced, by) => plain(rules.forced.unwrap_or(cut_by.or(by).map_or(70, |n| 128 + n))),
        (_, ShutdownOutcome::Degraded, _) if code != 0 => plain(code),
        (_, ShutdownOutcome::Degraded, _) => plain(rules.degraded.unwrap_or(1)),
        (_, ShutdownOutcome::Clean, None) => plain(code),
        (_, ShutdownOutcome::Clean, Some(_)) if code != 0 => plain(code),
        (_, ShutdownOutcome::Clean, Some(n)) if rules.exit == Exit::Reraise => ExitPlan { code: 128 + n, die_by: Some(n) },
        (_, ShutdownOutcome::Clean, Some(2)) if rules.clean.is_none() => ExitPlan { code: 130, die_by: Some(2) },
        (_, ShutdownOutcome::Clean, Some(_)) => plain(rules.clean.unwrap_or(0)),
    };
    ensure!(exit == want, "leaves with {exit:?}, 6.4 says {want:?} ({outcome:?}, {first:?})");
    Ok(())
}

pub fn over_in_time(t: &Trace) -> Verdict {
    let (at, _, _) = finished(t)?;
    let Some(first) = t.records.iter().find(|r| matches!(r.what, What::Budgeted { .. })) else {
        return Err("no budget".into());
    };
    // D as it stood when the plan was over.
    let d = t.steps.iter().find(|s| s.now >= at && s.deadline.is_some() && s.phase_end.is_none() && s.now == at);
    let d = d.and_then(|s| s.deadline).ok_or("no D at the end")?;
    let latest = d.max(first.at).plus(t.latest);
    ensure!(at <= latest, "over at {at:?}, D {d:?}, called late by {:?}", t.latest);
    Ok(())
}

/// Announce and drain are over, and nothing but the preStop has come: then, and only then, the plan stands still until another
/// trigger comes, or until what is left is what the later phases are promised.
pub fn prestop_waits(t: &Trace) -> Verdict {
    let by_prestop = |what: &What| matches!(what, What::Trigger { reason, .. } if reason.kind == ReasonKind::Prestop);
    let other = |what: &What| matches!(what, What::Trigger { .. }) && !by_prestop(what);
    let told = t.commands.iter().filter(|c| c.2 == Command::Drained).count();
    let waits: Vec<usize> = (0..t.records.len()).filter(|k| matches!(t.records[*k].what, What::PrestopWait(_))).collect();
    if !t.records.first().is_some_and(|r| by_prestop(&r.what)) {
        ensure!(waits.is_empty() && told == 0, "waits {} times without a preStop, told {told} times", waits.len());
        return Ok(());
    }
    ensure!(told == 1, "who asked for the preStop is told {told} times");
    let first_signal = t.records.iter().find_map(|r| match &r.what {
        What::Trigger { reason, action } if reason.signo.is_some() && *action != TriggerAction::Duplicate => Some(*action),
        _ => None,
    });
    ensure!(first_signal.is_none_or(|a| a == TriggerAction::Recorded), "the signal after a preStop was {first_signal:?}");
    // Drain is over where the first phase after it starts or is skipped; without a drain, where announce would end.
    let plan = &t.settings.plan;
    let from = plan.index("drain").or_else(|| plan.index("announce")).map_or(0, |i| i + 1);
    let beyond = |what: &What| match what {
        What::PhaseStart(i, _) | What::PhaseSkip(i) => *i >= from,
        What::Finished { .. } => true,
        _ => false,
    };
    let on = t.records.iter().position(|r| beyond(&r.what)).ok_or("it never went on")?;
    let cut = t.records[..on].iter().any(|r| matches!(r.what, What::Rebased(_)));
    let released = |until: usize| t.records[..until].iter().any(|r| other(&r.what));
    match waits[..] {
        [k] => {
            let What::PrestopWait(most) = t.records[k].what else { return Err("no wait".into()) };
            ensure!(k < on && !released(k), "waits although another trigger had come, or too late");
            let end = t.records[k].at.plus(most);
            let went_on = t.records[on].at;
            // Hooks that come and go in later phases move the end, and so does D.
            let gone = t.hooks.iter().any(|h| h.removed.is_some_and(|r| r > k && r <= on));
            ensure!(went_on <= end.plus(t.latest) || cut || gone, "went on at {went_on:?}, it had until {end:?}");
            let left = w_left(t, on, from);
            ensure!(released(on) || cut || left <= Duration::from_nanos(100), "went on with nothing new and {left:?} to spare");
            ensure!(
                !t.steps.iter().any(|s| s.now > t.records[k].at && s.now < went_on && !s.running.is_empty()),
                "hooks run meanwhile"
            );
        }
        [] => {
            // Nothing to wait for: another trigger, a cut, or no time beyond the reserves.
            let left = w_left(t, on, from);
            ensure!(released(on) || cut || left <= Duration::from_nanos(100), "did not wait with {left:?} to spare");
        }
        _ => return Err(format!("waits {} times", waits.len())),
    }
    Ok(())
}

/// What lies between record `k` and the reserves of phase `from` and later ones.
fn w_left(t: &Trace, k: usize, from: usize) -> Duration {
    let mut w = Window::new();
    t.records[..k].iter().for_each(|r| w.see(r.at, &r.what));
    let Some(b) = w.b else { return Duration::ZERO };
    let kept: Duration = (from..t.settings.plan.phases().len()).map(|j| reserve_of(t, j, k, b)).sum();
    (w.d - t.records[k].at).saturating_sub(kept)
}
