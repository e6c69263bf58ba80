//! `graceshut prestop`: what a container's preStop runs, also in images without a shell (spec 7.4, 7.5).

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use graceshut::AdminAt;
use graceshut::config::{Config, Sources, resolve};

use crate::duration;

/// Announce and drain before the TERM comes: the command for a container's preStop.
#[derive(clap::Args, Clone, Debug)]
#[command(
    long_about = "Announce and drain before the TERM comes: the command for a container's preStop.\n\n\
        The graceshut of this container is asked at its admin endpoint: --admin, else GRACESHUT_ADMIN or `admin` in \
        graceshut.toml as this command sees them, else as PID 1 does. Readiness turns red, `announce` and `drain` run, and the \
        command returns when they are over, or when the grace is. The TERM that follows is no repeat: the plan goes on.\n\n\
        Where no graceshut answers, the application has none: then the command is a plain delay, which is what such an \
        application needs while balancers take it out.",
    after_long_help = "Exit status:\n  \
          0    drained, or the delay is over\n  \
          1    not drained within the time\n  \
          125  the endpoint refused (token), or the configuration is wrong\n\n\
        In a pod:\n  \
          lifecycle: {preStop: {exec: {command: [\"/graceshut\", \"prestop\"]}}}"
)]
pub struct Args {
    /// The admin endpoint, as the key `admin` has it: IP:PORT or unix:/path
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,

    /// The delay where no graceshut answers
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    pub delay: Duration,

    /// The longest wait; by default the grace of the configuration
    #[arg(long, value_name = "TIME", value_parser = duration::parse_positive)]
    pub timeout: Option<Duration>,
}

const NOT_DRAINED: u8 = 1;
const OWN_ERROR: u8 = 125;
/// More than the state of an endpoint with 64 running hooks takes.
const LARGEST: u64 = 256 * 1024;

trait Stream: Read + Write {
    fn limit(&self, d: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn limit(&self, d: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(d))
    }
}

impl Stream for UnixStream {
    fn limit(&self, d: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(d))
    }
}

/// Runs the command.
pub fn run(args: Args) -> ExitCode {
    match prestop(&args) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            eprintln!("graceshut: {message}");
            ExitCode::from(OWN_ERROR)
        }
    }
}

fn prestop(args: &Args) -> Result<u8, String> {
    let (at, config) = find(args)?;
    let limit = args.timeout.unwrap_or(config.grace.value);
    let stream = match &at {
        AdminAt::None => None,
        at => connect(at),
    };
    let Some(mut stream) = stream else {
        eprintln!("graceshut: no graceshut answers at {at}; waiting {} instead", duration::human(args.delay));
        std::thread::sleep(args.delay);
        return Ok(0);
    };
    let token = config.admin_token.value.as_ref().and(std::env::var("GRACESHUT_ADMIN_TOKEN").ok());
    let status = ask(&mut *stream, token.as_deref(), limit);
    match status {
        Ok(200) => Ok(0),
        Ok(401 | 403) => Err(format!("{at} refuses a preStop without the right token; set GRACESHUT_ADMIN_TOKEN")),
        Ok(status) => {
            eprintln!("graceshut: {at} answered {status}; the drain goes on without anybody waiting for it");
            Ok(NOT_DRAINED)
        }
        Err(e) => {
            eprintln!("graceshut: not drained within {}: {e}", duration::human(limit));
            Ok(NOT_DRAINED)
        }
    }
}

/// Where to ask, and the configuration it comes from.
fn find(args: &Args) -> Result<(AdminAt, Config), String> {
    if let Some(at) = &args.admin {
        // SAFETY: no other thread is there.
        unsafe { std::env::set_var("GRACESHUT_ADMIN", at) };
    }
    let own = resolve(graceshut::Options::default(), &Sources::from_process()).map_err(|e| e.to_string())?;
    if own.admin.value != AdminAt::None {
        return Ok((own.admin.value.clone(), own));
    }
    Ok(match of_pid_1() {
        Some(config) => (config.admin.value.clone(), config),
        None => (AdminAt::None, own),
    })
}

/// The configuration as PID 1 was started with it. What it cannot be asked for is no error: perhaps there is no graceshut.
fn of_pid_1() -> Option<Config> {
    let list = |name: &str| -> Option<Vec<OsString>> {
        let bytes = std::fs::read(format!("/proc/1/{name}")).ok()?;
        Some(bytes.split(|b| *b == 0).filter(|w| !w.is_empty()).map(|w| OsString::from_vec(w.to_vec())).collect())
    };
    let split = |pair: OsString| {
        let bytes = pair.into_vec();
        let at = bytes.iter().position(|b| *b == b'=')?;
        Some((OsString::from_vec(bytes[..at].to_vec()), OsString::from_vec(bytes[at + 1..].to_vec())))
    };
    let mut vars: Vec<(OsString, OsString)> = list("environ")?.into_iter().filter_map(split).collect();
    let words = list("cmdline")?;
    let own_words = || words.iter().take_while(|w| *w != "--");
    for (option, variable) in [("--admin", "GRACESHUT_ADMIN"), ("--config", "GRACESHUT_CONFIG")] {
        if let Some(value) = value_of(&mut own_words(), option) {
            vars.retain(|(k, _)| k != variable);
            vars.push((variable.into(), value));
        }
    }
    let dir = std::fs::read_link("/proc/1/cwd").ok();
    let sources = Sources { vars, dir, ..Sources::from_process() };
    resolve(graceshut::Options::default(), &sources).ok()
}

fn value_of<'a>(words: &mut impl Iterator<Item = &'a OsString>, option: &str) -> Option<OsString> {
    while let Some(word) = words.next() {
        if word == option {
            return words.next().cloned();
        }
        if let Some(value) = word.to_str().and_then(|w| w.strip_prefix(option)?.strip_prefix('=')) {
            return Some(value.into());
        }
    }
    None
}

fn connect(at: &AdminAt) -> Option<Box<dyn Stream>> {
    match at {
        AdminAt::None => None,
        AdminAt::Tcp(at) => {
            let near = if at.ip().is_unspecified() { loopback(*at) } else { *at };
            TcpStream::connect_timeout(&near, Duration::from_secs(2)).ok().map(|s| Box::new(s) as Box<dyn Stream>)
        }
        AdminAt::Unix(path) => {
            let path = with_pid(path)?;
            UnixStream::connect(path).ok().map(|s| Box::new(s) as Box<dyn Stream>)
        }
    }
}

fn loopback(at: SocketAddr) -> SocketAddr {
    let ip = if at.is_ipv4() { std::net::Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(ip, at.port())
}

/// `%p` is the pid of who listens: PID 1's, else that of the one socket there is.
fn with_pid(path: &Path) -> Option<PathBuf> {
    let text = path.to_str()?;
    let Some((before, after)) = text.split_once("%p") else { return Some(path.to_owned()) };
    let of_1 = PathBuf::from(format!("{before}1{after}"));
    if of_1.exists() {
        return Some(of_1);
    }
    let folder = Path::new(before.rsplit_once('/').map_or(".", |(folder, _)| folder));
    let is_it = |p: &PathBuf| {
        let middle = p.to_str().and_then(|t| t.strip_prefix(before)?.strip_suffix(after));
        middle.is_some_and(|m| !m.is_empty() && m.bytes().all(|b| b.is_ascii_digit()))
    };
    let found: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path())).filter(is_it).collect();
    found.into_iter().find(|p| UnixStream::connect(p).is_ok())
}

fn ask(stream: &mut dyn Stream, token: Option<&str>, limit: Duration) -> io::Result<u16> {
    let until = Instant::now() + limit;
    let auth = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    let request = format!("POST /prestop HTTP/1.1\r\nHost: localhost\r\n{auth}Content-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.limit(left)?;
        let mut piece = [0; 1024];
        match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        }
        let text = String::from_utf8_lossy(&answer);
        if let Some(status) = text.lines().next().filter(|_| text.contains("\r\n")).and_then(|l| l.split(' ').nth(1)) {
            return status.parse().map_err(|_| io::ErrorKind::InvalidData.into());
        }
        if answer.len() as u64 > LARGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
