//! From what everybody said to what counts: [`Config`], each value with its origin, checked as a whole.

use std::path::Path;
use std::time::Duration;

use super::admin::{self, AdminAt, Token};
use super::layers::Layers;
use super::options::{Action, AnnounceDelay, Exit, HookDecl, Leave, NormalGrace, Options, Repeat, ReportTo};
use super::origin::{Origin, Setting};
use super::signame;
use super::sources::Sources;
use crate::error::{Error, ErrorKind};
use crate::plan::{Plan, format_duration, margin_of};

/// Grace where nobody said anything and no platform is known.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// Below this no plan makes sense (spec 5.3).
const SHORTEST_GRACE: Duration = Duration::from_millis(200);

/// One signal of the map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignalSetting {
    /// Its number.
    pub signo: i32,
    /// What it does.
    pub action: Action,
    /// The default of HUP: `action` is `Reload`, but without a reload hook it is `Stop`.
    pub auto: bool,
    /// Somebody named this signal: then it is taken even where it was inherited as ignored (spec 3.4).
    pub explicit: bool,
    /// A grace of its own; not below 200 ms.
    pub grace: Option<Duration>,
    /// Who said what it does.
    pub origin: Origin,
    /// Who gave it its grace.
    pub(super) grace_origin: Origin,
}

/// Everything that counts, resolved and checked. Made by [`resolve`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Wall time from the trigger until something outside kills the process.
    pub grace: Setting<Duration>,
    /// Kept back for the report (spec 5.3).
    pub margin: Duration,
    /// B: grace less what was already spent less the margin.
    pub budget: Duration,
    /// Grace of host end and `stop()`.
    pub grace_normal: Setting<NormalGrace>,
    /// Time used before the trigger, outside graceshut.
    pub already_spent: Setting<Duration>,
    /// How long readiness is red before work is refused.
    pub announce_delay: Setting<AnnounceDelay>,
    /// True in a pod, which `announce_delay = auto` asks.
    pub kubernetes: bool,
    /// This process accepts connections.
    pub serving: Setting<bool>,
    /// Every signal that is in the map, by number. All others are untouched.
    pub signals: Vec<SignalSetting>,
    /// What a second signal does.
    pub repeat: Setting<Repeat>,
    /// How the process leaves.
    pub exit: Setting<Exit>,
    /// Status of a clean shutdown after a signal; `None`: 0, and INT dies by INT.
    pub exit_code_clean: Setting<Option<i32>>,
    /// Status that replaces 0 when degraded; `None`: 1.
    pub exit_code_degraded: Setting<Option<i32>>,
    /// Status when forced; `None`: 128 + signal, 70 without one.
    pub exit_code_forced: Setting<Option<i32>>,
    /// The most the host's own exit may take; `None`: until the watchdog.
    pub exit_cap: Setting<Option<Duration>>,
    /// Who leaves first after a signal.
    pub leave: Setting<Leave>,
    /// Whether the hard end is in force.
    pub watchdog: Setting<bool>,
    /// Most hook workers at a time.
    pub max_workers: Setting<u32>,
    /// Where the report goes; a path is absolute where the working directory was known.
    pub report: Setting<ReportTo>,
    /// Whether systemd is asked for more time.
    pub systemd_extend: Setting<bool>,
    /// Whether `drain` waits for work in flight.
    pub inflight: Setting<bool>,
    /// Whether triggers wait for `ready()`.
    pub hold: Setting<bool>,
    /// Where the admin endpoint listens; a path is absolute where the working directory was known.
    pub admin: Setting<AdminAt>,
    /// What `/prestop` asks of strangers.
    pub admin_token: Setting<Option<Token>>,
    /// Whether the end of the parent process is a trigger.
    pub parent_death: Setting<bool>,
    /// Whether the end of stdin is.
    pub stdin_eof: Setting<bool>,
    /// The phases, checked against the budget.
    pub plan: Plan,
    /// Who said what about each phase of the plan, in its order.
    pub(super) phase_origins: Vec<PhaseOrigins>,
    /// The declared hooks, the file's first; their phases are in the plan.
    pub hooks: Vec<HookDecl>,
    /// Who declared each hook.
    pub(super) hook_origins: Vec<Origin>,
}

/// Who said what about one phase.
#[derive(Clone, Debug)]
pub(super) struct PhaseOrigins {
    pub(super) cap: Origin,
    pub(super) reserve: Origin,
    pub(super) order: Origin,
    pub(super) on_failure: Origin,
}

/// Lays `code` under file and environment and over platform and default, key by key, and checks what comes out.
///
/// # Errors
/// Those of [`read`](super::read()) for file and environment; [`ErrorKind::Os`] for a file that cannot be read,
/// [`ErrorKind::NotUtf8`] for one, or for a variable, that is no text; [`ErrorKind::BadTime`] for a grace under 200 ms or a
/// budget of nothing; [`ErrorKind::BadPlan`] and [`ErrorKind::PlanDoesNotFit`] for the phases; [`ErrorKind::UnknownPhase`]
/// for a hook's.
pub fn resolve(code: Options, sources: &Sources) -> Result<Config, Error> {
    let layers = Layers::gather(code, sources)?;
    let grace = layers
        .find("grace", |o| o.grace)
        .or_else(|| sources.around.grace())
        .unwrap_or(Setting::new(DEFAULT_GRACE, Origin::Default));
    let already_spent = layers.pick("already_spent", |o| o.already_spent, Duration::ZERO);
    let grace_normal = layers.pick("grace_normal", |o| o.grace_normal, NormalGrace::SameAsGrace);
    long_enough("grace", grace.value, &grace.origin)?;
    if let NormalGrace::Limited(d) = grace_normal.value {
        long_enough("grace_normal", d, &grace_normal.origin)?;
    }
    let margin = margin_of(grace.value);
    let budget = budget_of(&grace, &already_spent, margin)?;
    let plan = Plan::build(&layers.phases())?;
    plan.check(budget)?;
    let hooks = layers.hooks();
    for (i, hook) in hooks.iter().enumerate() {
        let place =
            |e: Error| Error::new(e.kind(), format!("hook[{i}] ({}): phase = \"{}\": {e}", hook.origin, hook.value.phase));
        plan.find(&hook.value.phase).map_err(place)?;
    }
    let signals = signal_map(&layers)?;
    Ok(Config {
        margin,
        budget,
        grace_normal,
        announce_delay: layers.pick("announce_delay", |o| o.announce_delay, AnnounceDelay::Auto),
        kubernetes: sources.around.kubernetes(),
        serving: layers.pick("serving", |o| o.serving, false),
        signals,
        repeat: layers.pick("repeat", |o| o.repeat, Repeat::default()),
        exit: layers.pick("exit", |o| o.exit, Exit::default()),
        exit_code_clean: layers.pick("exit_code_clean", |o| o.exit_code_clean.map(Some), None),
        exit_code_degraded: layers.pick("exit_code_degraded", |o| o.exit_code_degraded.map(Some), None),
        exit_code_forced: layers.pick("exit_code_forced", |o| o.exit_code_forced.map(Some), None),
        exit_cap: layers.pick("exit_cap", |o| o.exit_cap.map(Some), None),
        leave: layers.pick("leave", |o| o.leave, Leave::default()),
        watchdog: layers.pick("watchdog", |o| o.watchdog, true),
        max_workers: layers.pick("max_workers", |o| o.max_workers, 64),
        report: absolute(layers.pick("report", |o| o.report.clone(), ReportTo::default()), sources.dir.as_deref()),
        systemd_extend: layers.pick("systemd_extend", |o| o.systemd_extend, false),
        inflight: layers.pick("inflight", |o| o.inflight, true),
        hold: layers.pick("hold", |o| o.hold, false),
        admin: admin::absolute(layers.pick("admin", |o| o.admin.clone(), AdminAt::None), sources.dir.as_deref()),
        admin_token: layers.pick("admin_token", |o| o.admin_token.clone().map(Some), None),
        parent_death: layers.pick("parent_death", |o| o.parent_death, false),
        stdin_eof: layers.pick("stdin_eof", |o| o.stdin_eof, false),
        phase_origins: plan.names().map(|name| phase_origins(&layers, name)).collect(),
        plan,
        hook_origins: hooks.iter().map(|h| h.origin.clone()).collect(),
        hooks: hooks.into_iter().map(|h| h.value).collect(),
        grace,
        already_spent,
    })
}

fn long_enough(key: &str, grace: Duration, origin: &Origin) -> Result<(), Error> {
    if grace >= SHORTEST_GRACE {
        return Ok(());
    }
    let grace = format_duration(grace);
    Err(Error::new(ErrorKind::BadTime, format!("{key} = {grace} ({origin}) is too short; give at least 200ms")))
}

fn budget_of(grace: &Setting<Duration>, spent: &Setting<Duration>, margin: Duration) -> Result<Duration, Error> {
    let used = spent.value.saturating_add(margin);
    match grace.value.checked_sub(used) {
        Some(budget) if !budget.is_zero() => Ok(budget),
        _ => Err(Error::new(
            ErrorKind::BadTime,
            format!(
                "nothing is left to shut down in: grace {} ({}) - already_spent {} ({}) - margin {} = {}{}; raise grace or lower already_spent",
                format_duration(grace.value),
                grace.origin,
                format_duration(spent.value),
                spent.origin,
                format_duration(margin),
                if used == grace.value { "" } else { "-" },
                format_duration(used.saturating_sub(grace.value)),
            ),
        )),
    }
}

fn signal_map(layers: &Layers) -> Result<Vec<SignalSetting>, Error> {
    let named: Vec<i32> = layers.named_signals().chain([libc::SIGHUP, libc::SIGINT, libc::SIGTERM]).collect();
    let numbers = (1..=libc::SIGRTMAX()).filter(|signo| named.contains(signo));
    let setting = |signo: i32| {
        let auto = signo == libc::SIGHUP;
        let action = if auto { Action::Reload } else { Action::Stop };
        let (origin, grace_origin) = (Origin::Default, Origin::Default);
        let usual = SignalSetting { signo, action, auto, explicit: false, grace: None, origin, grace_origin };
        let Some((rule, grace)) = layers.signal(signo) else { return Ok(usual) };
        if let Some(g) = &grace {
            long_enough(&format!("signals.{}.grace", signame::name_of(signo)), g.value, &g.origin)?;
        }
        let said = SignalSetting { action: rule.value.action, auto: false, explicit: true, origin: rule.origin, ..usual };
        Ok(match grace {
            Some(g) => SignalSetting { grace: Some(g.value), grace_origin: g.origin, ..said },
            None => said,
        })
    };
    numbers.map(setting).collect()
}

fn phase_origins(layers: &Layers, name: &str) -> PhaseOrigins {
    PhaseOrigins {
        cap: layers.phase_origin(name, |p| p.cap.is_some()),
        reserve: layers.phase_origin(name, |p| p.reserve.is_some()),
        order: layers.phase_origin(name, |p| p.order.is_some()),
        on_failure: layers.phase_origin(name, |p| p.on_failure.is_some()),
    }
}

/// The host may change its working directory before the report is written.
fn absolute(report: Setting<ReportTo>, dir: Option<&Path>) -> Setting<ReportTo> {
    match (report.value, dir) {
        (ReportTo::Path(path), Some(dir)) => Setting::new(ReportTo::Path(dir.join(path)), report.origin),
        (value, _) => Setting::new(value, report.origin),
    }
}
