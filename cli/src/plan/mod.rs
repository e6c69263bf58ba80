//! `graceshut plan`: what counts, who said so, and the schedule it comes to, before anything happens.
//!
//! Every number is core's own: [`resolve`] gives the configuration, [`Preview`] the schedule. Nothing is computed here.

mod draw;

use crate::duration;
use crate::terminal::Style;
use graceshut::config::{Config, Origin, Sources, resolve};
use graceshut::{Options, Preview};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const GRACE: &str = "GRACESHUT_GRACE";
const CONFIG: &str = "GRACESHUT_CONFIG";

/// Show the effective configuration with its origins, and draw the schedule of a shutdown.
#[derive(clap::Args, Clone, Debug)]
#[command(
    long_about = "Show the effective configuration with its origins, and draw the schedule of a shutdown.\n\n\
        Reads what a program started here would read: GRACESHUT_* in the environment, the configuration file, the marks of \
        the platform. What the program itself says in code cannot be seen from here: `runtime.plan()` in the program shows that.\n\n\
        In the schedule each phase has a line. `alone` is the most it can take, when the phases before it took nothing; `worst` \
        is what it is left with when every phase before it took all it may; by `over by` it is over, whatever happened. In the \
        drawing `=` is that worst case, `#` the part of it that is reserved, and `.` the time in which it may be running already \
        when the phases before it were quick (on a UTF-8 terminal `▒`, `█` and `·`).",
    after_long_help = "Exit status:\n  \
          0  shown\n  \
          2  the configuration is wrong; the message names the key, the value, and what to change\n\n\
        Examples:\n  \
          graceshut plan\n  \
          graceshut plan --config deploy/graceshut.toml --grace 30s      (what if the platform gave 30 s?)\n  \
          graceshut plan --hooks drain,flush --json"
)]
pub struct Args {
    /// The configuration file; by default the one in GRACESHUT_CONFIG, else graceshut.toml in this folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What if the grace were this? Beats every other source
    #[arg(long, value_name = "TIME", value_parser = duration::parse_positive)]
    pub grace: Option<Duration>,

    /// Which phases have hooks: `all`, `declared` (only those in the file), or names with commas between
    ///
    /// A default reserve counts only while its phase has hooks, and those a program registers in code cannot be seen from here.
    #[arg(long, value_name = "PHASES", default_value = "all")]
    pub hooks: String,

    /// Print one JSON object instead
    #[arg(long)]
    pub json: bool,
}

/// Shows the plan: 0, or 2 for a configuration that `install` would refuse.
pub fn run(args: &Args) -> ExitCode {
    match Planned::from(args) {
        Ok(planned) => {
            let text = if args.json { planned.json() } else { draw::page(&planned, Style::of_stdout()) };
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(message) => {
            let _ = writeln!(io::stderr(), "graceshut plan: {message}");
            ExitCode::from(2)
        }
    }
}

/// What counts, and what it comes to.
struct Planned {
    config: Config,
    schedule: Preview,
    /// Hooks the configuration declares, by phase.
    declared: Vec<usize>,
}

impl Planned {
    fn from(args: &Args) -> Result<Planned, String> {
        let mut config = resolve(Options::default(), &sources(args)).map_err(|e| explained(args, &e.to_string()))?;
        if args.grace.is_some() {
            config.grace.origin = Origin::Told("--grace");
        }
        let count = |name: &str| config.hooks.iter().filter(|h| h.phase == name).count();
        let declared: Vec<usize> = config.plan.names().map(count).collect();
        let hooks = assumed(&config, &args.hooks, &declared)?;
        let schedule = Preview::of(&config.plan, config.grace.value, config.margin, config.budget, &hooks);
        Ok(Planned { config, schedule, declared })
    }

    fn json(&self) -> String {
        let us = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let phases: Vec<Value> = self
            .schedule
            .rows
            .iter()
            .zip(&self.declared)
            .map(|(r, declared)| {
                json!({
                    "name": r.phase,
                    "order": if r.order == graceshut::Order::Serial { "serial" } else { "concurrent" },
                    "hooks_declared": declared,
                    "hooks_assumed": r.hooks > *declared,
                    "best_us": us(r.best),
                    "worst_us": us(r.worst),
                    "over_by_us": us(r.over_by),
                    "reserve_us": us(r.reserve),
                })
            })
            .collect();
        let all = json!({
            "graceshut_plan": 1,
            "grace_us": us(self.schedule.grace),
            "grace_origin": self.config.grace.origin.to_string(),
            "already_spent_us": us(self.config.already_spent.value),
            "margin_us": us(self.schedule.margin),
            "budget_us": us(self.schedule.budget),
            "phases": phases,
            "config": self.config.to_json(),
        });
        format!("{all:#}\n")
    }
}

/// The environment as it is, with the file and the grace that were asked for in their places.
fn sources(args: &Args) -> Sources {
    let mut sources = Sources::from_process();
    let mut set = |name: &str, value: OsString| {
        sources.vars.retain(|(n, _)| n != name);
        sources.vars.push((name.into(), value));
    };
    if let Some(path) = &args.config {
        set(CONFIG, path.clone().into());
    }
    if let Some(grace) = args.grace {
        set(GRACE, graceshut::format_duration(grace).into());
    }
    sources
}

/// The options stand in for variables: a message about one of these names the option.
fn explained(args: &Args, message: &str) -> String {
    let mut message = message.to_owned();
    if args.grace.is_some() {
        message = message.replace(&format!("environment {GRACE}"), "--grace").replace(GRACE, "--grace");
    }
    if args.config.is_some() {
        message = message.replace(&format!("environment {CONFIG}"), "--config").replace(CONFIG, "--config");
    }
    message
}

/// How many hooks each phase is taken to have.
fn assumed(config: &Config, asked: &str, declared: &[usize]) -> Result<Vec<usize>, String> {
    let named: Vec<&str> = match asked {
        "all" => config.plan.names().collect(),
        "declared" => Vec::new(),
        names => names.split(',').map(str::trim).collect(),
    };
    for name in &named {
        config.plan.find(name).map_err(|e| format!("--hooks: {e}"))?;
    }
    Ok(config.plan.names().zip(declared).map(|(n, d)| if named.contains(&n) { (*d).max(1) } else { *d }).collect())
}
