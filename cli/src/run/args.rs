//! What `graceshut run` takes on its command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::forward::{parse_remap, parse_rewrite};
use crate::{duration, signals};

/// Run a program so that it starts, is signalled and ends as it should: PID 1, wrapper, supervisor, timeout.
#[derive(clap::Args, Clone, Debug)]
#[command(
    long_about = "Run a program so that it starts, is signalled and ends as it should: PID 1 of a container, wrapper of a \
        script, supervisor of an app and its sidecar, timeout.\n\n\
        CMD gets a process group of its own, the terminal if there is one, and exactly the signal mask and ignored signals \
        that graceshut was started with. Every signal that can be is passed on. TERM and INT (and what [signals] in \
        graceshut.toml maps to stop) begin the shutdown, in graceshut's phases: hooks of `announce`, the announce delay, then \
        in `drain` the signal to CMD's group, a wait, and KILL when its time is over; what CMD started and left behind gets \
        TERM and a time of its own; then hooks of `flush`, `close` and `final`. All of it fits into --grace. When CMD ends by \
        itself the same phases run, and graceshut leaves with its status.\n\n\
        Nothing waits when nothing is left, no zombie and no orphan stays, and an idle graceshut never wakes.\n\n\
        Without CMD the programs are those of [[process]] in graceshut.toml.",
    after_long_help = "Exit status:\n  \
          n      the status of CMD, after --remap\n  \
          128+n  CMD was killed by the signal n (137: by KILL, when its time was over)\n  \
          1      CMD left with 0, but a hook around it failed (exit_code_degraded)\n  \
          124    --for was over and CMD was ended (137 when it took KILL)\n  \
          125    graceshut itself failed: wrong configuration, an address that is taken\n  \
          126    CMD was found and cannot be executed\n  \
          127    CMD was not found\n\n\
        Environment of CMD: GRACESHUT_GRACE is what CMD has of the grace. GRACESHUT_CONFIG is /dev/null where graceshut.toml \
        was read here (its hooks run here, not twice); --child-config names one for CMD. The variables for report, journal and \
        admin endpoint are taken out.\n\n\
        Examples:\n  \
          graceshut run -- ./server --port 8080              PID 1 or wrapper; TERM, up to 10 s, KILL\n  \
          graceshut run --grace 30s --remap 143:0 -- java -jar app.jar\n  \
          graceshut run --rewrite TERM:QUIT -- nginx -g 'daemon off;'\n  \
          graceshut run --for 3s --kill-after 10s -- make check\n  \
          graceshut run --config graceshut.toml              [[process]] db, app and sidecar\n\n\
        A link to graceshut named tini, dumb-init, catatonit or timeout behaves as that program (docs/run.md)."
)]
pub struct Args {
    /// Time from the signal until everything is over; the same as GRACESHUT_GRACE
    #[arg(long, value_name = "TIME", value_parser = duration::parse_positive)]
    pub grace: Option<Duration>,

    /// The signal that asks CMD to stop; by default the one that came, TERM where none did
    #[arg(long, value_name = "SIGNAL", value_parser = signals::parse)]
    pub stop_signal: Option<i32>,

    /// Signal CMD alone, not its process group
    #[arg(long)]
    pub child: bool,

    /// Put CMD into a session of its own, without the terminal
    #[arg(long)]
    pub session: bool,

    /// Adopt orphans of CMD, so that they are ended and reaped here (PID 1 does so anyway)
    #[arg(long)]
    pub subreaper: bool,

    /// Pass a signal on as another; TO 0 drops it; may be given several times
    #[arg(long, value_name = "FROM:TO", value_parser = parse_rewrite)]
    pub rewrite: Vec<(i32, i32)>,

    /// Leave with another status than CMD's; may be given several times
    #[arg(long, value_name = "FROM:TO", value_parser = parse_remap)]
    pub remap: Vec<(i32, i32)>,

    /// The signal that graceshut gets when its parent ends
    #[arg(long, value_name = "SIGNAL", value_parser = signals::parse)]
    pub pdeathsig: Option<i32>,

    /// The phase in which CMD is stopped
    #[arg(long, value_name = "PHASE", default_value = "drain")]
    pub phase: String,

    /// How long what CMD left behind may take after TERM, within the grace
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    pub rest_grace: Duration,

    /// End CMD after this long, with status 124, as timeout(1)
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse_positive)]
    pub for_: Option<Duration>,

    /// With --for: the signal to end it with
    #[arg(long, value_name = "SIGNAL", default_value = "TERM", value_parser = signals::parse, requires = "for_")]
    pub signal: i32,

    /// With --for: KILL this long after that signal; by default when the grace is over
    #[arg(long, value_name = "TIME", value_parser = duration::parse_positive, requires = "for_")]
    pub kill_after: Option<Duration>,

    /// With --for: the status of CMD instead of 124
    #[arg(long, requires = "for_")]
    pub preserve_status: bool,

    /// The configuration file; the same as GRACESHUT_CONFIG (by default graceshut.toml, if it is there)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The configuration file that CMD is to see
    #[arg(long, value_name = "FILE")]
    pub child_config: Option<PathBuf>,

    /// Where readiness and preStop are answered; the same as GRACESHUT_ADMIN
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,

    /// Where the report goes; the same as GRACESHUT_REPORT
    #[arg(long, value_name = "WHERE")]
    pub report: Option<String>,

    /// Write the pid of graceshut to this file, for `graceshut stop --pidfile`
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,

    /// Say what happens, on standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// The program and its arguments
    #[arg(value_name = "CMD", trailing_var_arg = true)]
    pub command: Vec<OsString>,
}
