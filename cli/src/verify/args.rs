//! What `graceshut verify` takes on its command line.

use super::rounds::balancer::Behind;
use super::scarce::Scarce;
use super::target::Url;
use crate::{duration, signals};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Start a service, load it, stop it, and tell what was lost.
#[derive(clap::Args, Clone, Debug)]
#[command(
    long_about = "Start a service, load it, stop it, and tell what was lost.\n\n\
        CMD is started in a session of its own, with no input. Once it is ready, real HTTP/1.1 clients with \
        keep-alive connections send it GETs and POSTs. After a while the main process, and only it, gets the signal, \
        as from docker stop or a kubelet. The clients go on until each has been told to go away: by a refused \
        connection, or by an answer 503. Then the verdict.\n\n\
        When is CMD ready?\n  \
          with --ready URL   when URL answers 2xx\n  \
          with --load only   when each load URL gives an answer that is not 5xx\n  \
          with neither       when CMD prints a line with the word `ready`\n\n\
        What is lost? A request of which at least one byte was handed to the kernel and which got no complete answer. \
        Not lost, since any client may safely send it again: a request that found the connection refused, or its idle \
        connection already closed, before a byte of it was sent; and one that was answered 503 after the signal.\n\n\
        What CMD prints goes to standard error, each line after `| `; the verdict goes to standard output.",
    after_long_help = "The check passes when\n  \
          - no request was lost, before or after the signal;\n  \
          - no answer was 5xx, except 503 after the signal;\n  \
          - the main process left within --grace, with status 0, or 128+n or death by the very signal n it was sent;\n  \
          - none of its processes was alive 200 ms later, and none of its ports still took connections.\n\n\
        Exit status:\n  \
          0      passed\n  \
          1      the service failed the check; the last line names each failure\n  \
          2      no verdict: wrong usage, CMD not found, port taken, never ready, ended before it was ready\n  \
          128+n  graceshut itself got the signal n; the service was killed\n\n\
        Environment of CMD:\n  \
          GRACESHUT_REPORT  path at which a service that has graceshut in it leaves its report of the shutdown; it is\n                    \
          read, shown as a table, and embedded in the --json file. An existing value is kept.\n\n\
        Examples:\n  \
          graceshut verify --ready http://127.0.0.1:8080/ready --load http://127.0.0.1:8080/items -- ./server --port 8080\n  \
          graceshut verify --load http://127.0.0.1:8000/ --post-share 0% --json verify.json -- python3 app.py\n  \
          graceshut verify --rounds 20 --ready http://127.0.0.1:8080/ready --load http://127.0.0.1:8080/ -- ./server --port {port}\n  \
          graceshut verify --scarce cpu --second-signal=2s --junit verify.xml --load http://127.0.0.1:8080/ -- ./server\n  \
          graceshut verify --signal INT --grace 3s -- node worker.js      (prints `ready`; no load)"
)]
pub struct Args {
    /// URL that answers 2xx while the service wants traffic (http:// only)
    ///
    /// Asked every 20 ms, each time on a connection of its own. Also tells when readiness turned red after the signal.
    #[arg(long, value_name = "URL", value_parser = Url::parse)]
    pub ready: Option<Url>,

    /// URL to load with GETs and POSTs; may be given several times (http:// or https://, whose certificate is not looked at)
    #[arg(long, value_name = "URL", value_parser = Url::parse)]
    pub load: Vec<Url>,

    /// Keep-alive connections, each with one request at a time; shared out evenly over the load URLs
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub connections: u16,

    /// How many of the requests are POSTs (with a small JSON body); the rest are GETs
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = parse_percent)]
    pub post_share: u8,

    /// Pause between two requests of one connection, on average
    ///
    /// Each pause is between half and one and a half of this. Pauses are what make connections idle at times, as real
    /// ones are: without any, a service that wrongly closes idle connections would not be found out.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = duration::parse)]
    pub pause: Duration,

    /// The signal to send, by name or number
    #[arg(long, value_name = "SIGNAL", default_value = "TERM", value_parser = signals::parse)]
    pub signal: i32,

    /// How long to load the service before the signal is sent
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    pub after: Duration,

    /// Load until so many requests were sent, though no shorter than --after
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub requests: u64,

    /// Send the signal a second time, TIME (1s) after the first, if the service is still there
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1s", value_parser = duration::parse_positive)]
    pub second_signal: Option<Duration>,

    /// Hold a resource short while the service leaves
    #[arg(long, value_name = "WHAT", value_enum)]
    pub scarce: Option<Scarce>,

    /// Restart two instances of CMD in turn, N times in all, behind a load balancer, under load
    ///
    /// The load balancer listens on the port of the --load URL. Each instance gets a port of its own in the variable PORT and
    /// in place of {port} in CMD; its readiness is asked at the path of --ready.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["scarce", "second_signal", "report"])]
    pub rounds: Option<u32>,

    /// The load balancer of --rounds
    #[arg(long, value_name = "WHICH", value_enum, default_value = "auto")]
    pub behind: Behind,

    /// How long the service may take from the signal to its exit; then its process group is killed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse_positive)]
    pub grace: Duration,

    /// How long the service may take from its start to being ready
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration::parse_positive)]
    pub ready_timeout: Duration,

    /// Where the service is told to leave its own report (GRACESHUT_REPORT), and where that stays
    ///
    /// By default a temporary file, which is removed; its content is in the --json file. `%p` stands for the process id.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Write the verdict to FILE, as one JSON object; FILE stays empty if there is no verdict
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the verdict to FILE as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Compare with an earlier run: its --json file
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,

    /// The service to start, with its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Reads `50%` or `50`.
fn parse_percent(text: &str) -> Result<u8, String> {
    match text.strip_suffix('%').unwrap_or(text).parse::<u8>() {
        Ok(n) if n <= 100 => Ok(n),
        _ => Err(format!("not a percentage: {text:?}; write it like 50%")),
    }
}
