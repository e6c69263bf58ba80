//! A shutdown while it happens: the admin endpoint asked ten times a second, or a report file waited for.

use super::text::colour;
use super::timeline::{Tone, time, tone};
use crate::terminal::Style;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const EVERY: Duration = Duration::from_millis(100);
/// One answer takes at most this.
const ANSWER: Duration = Duration::from_secs(2);
/// After the process is gone its report is waited for this long.
const REPORT: Duration = Duration::from_secs(5);

/// Shows it until the process is gone, then whatever `show` makes of the report files.
pub fn run(target: &str, files: &[PathBuf], show: impl Fn(&[PathBuf]) -> Result<bool, String>) -> Result<bool, String> {
    let started = SystemTime::now();
    let Some(endpoint) = Endpoint::parse(target)? else {
        let file = PathBuf::from(target);
        say(&format!("waiting for {target} to be written; end with Ctrl-C"));
        while !is_new(&file, started) {
            thread::sleep(EVERY);
        }
        return show(&[file]);
    };
    let outcome = watch(&endpoint)?;
    let until = Instant::now() + REPORT;
    for file in files {
        while !is_new(file, started) {
            if Instant::now() > until {
                return Err(format!(
                    "the process is gone, but it wrote no {}; does its GRACESHUT_REPORT name this file?",
                    file.display()
                ));
            }
            thread::sleep(EVERY);
        }
    }
    if files.is_empty() { Ok(outcome.as_deref() == Some("clean")) } else { show(files) }
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "graceshut report: {text}");
}

/// Written since; the clock of a file is coarser than ours.
fn is_new(file: &Path, since: SystemTime) -> bool {
    let modified = fs::metadata(file).and_then(|m| m.modified());
    modified.is_ok_and(|m| m + Duration::from_millis(50) >= since)
}

enum Endpoint {
    Tcp(String),
    Unix(PathBuf),
}

impl Endpoint {
    /// An address, or `None` for the name of a file.
    fn parse(target: &str) -> Result<Option<Endpoint>, String> {
        if let Some(path) = target.strip_prefix("unix:") {
            return Ok(Some(Endpoint::Unix(path.into())));
        }
        let rest = target.strip_prefix("http://").map(|r| r.split('/').next().unwrap_or(r));
        if target.starts_with("https://") {
            return Err(format!(
                "{target}: the admin endpoint speaks plain HTTP; write host:port, http://host:port or unix:/path"
            ));
        }
        let address = rest.unwrap_or(target);
        let port = address.rsplit_once(':').and_then(|(_, p)| p.parse::<u16>().ok());
        if rest.is_none() && (port.is_none() || target.contains('/')) {
            return Ok(None);
        }
        if port.is_none() {
            return Err(format!("{target} has no port; write it like 127.0.0.1:9901"));
        }
        Ok(Some(Endpoint::Tcp(address.to_owned())))
    }

    fn status(&self) -> io::Result<Value> {
        let answer = match self {
            Endpoint::Tcp(address) => {
                let to = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
                let stream = TcpStream::connect_timeout(&to, ANSWER)?;
                stream.set_read_timeout(Some(ANSWER))?;
                ask(stream)?
            }
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(ANSWER))?;
                ask(stream)?
            }
        };
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let no_status = || io::Error::new(io::ErrorKind::InvalidData, "no status of graceshut");
        serde_json::from_str(body)
            .map_err(|_| no_status())
            .and_then(|v: Value| if v["graceshut"] == 1 { Ok(v) } else { Err(no_status()) })
    }

    fn shown(&self) -> String {
        match self {
            Endpoint::Tcp(address) => address.clone(),
            Endpoint::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

fn ask(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Watches until the process is gone; the outcome, if it was seen.
fn watch(endpoint: &Endpoint) -> Result<Option<String>, String> {
    let mut status = endpoint.status().map_err(|e| unreachable(endpoint, &e))?;
    let live = io::stdout().is_terminal();
    let mut screen = Screen { style: Style::of_stdout(), live, lines: 0, last: String::new(), phases: Vec::new() };
    let mut silent = 0;
    loop {
        screen.see(&status);
        thread::sleep(EVERY);
        match endpoint.status() {
            Ok(now) => {
                status = now;
                silent = 0;
            }
            // The endpoint is there until the process is gone; one that is only busy answers the next time.
            Err(e) if e.kind() == io::ErrorKind::TimedOut || e.kind() == io::ErrorKind::WouldBlock => {
                silent += 1;
                if silent > 5 {
                    return Err(format!("{} does not answer any more; is the machine stuck?", endpoint.shown()));
                }
            }
            Err(_) => break,
        }
    }
    screen.gone();
    Ok(status["outcome"].as_str().map(str::to_owned))
}

fn unreachable(endpoint: &Endpoint, e: &io::Error) -> String {
    let shown = endpoint.shown();
    match e.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{shown}: no permission; the socket is its owner's alone: run as the service's user")
        }
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            format!("{shown} answers, but not as graceshut's admin endpoint; is this the service's own port?")
        }
        _ => format!(
            "{shown}: {e}; a service has this endpoint only when asked: GRACESHUT_ADMIN={shown} (or `admin` in graceshut.toml)"
        ),
    }
}

/// A phase or hook as it was seen, in microseconds since the trigger.
struct Seen {
    name: String,
    first: u64,
    last: u64,
}

struct Screen {
    style: Style,
    live: bool,
    lines: usize,
    last: String,
    phases: Vec<(Seen, Vec<Seen>)>,
}

impl Screen {
    fn see(&mut self, status: &Value) {
        let since = status["since_us"].as_u64().unwrap_or(0);
        if let Some(name) = status["phase"].as_str() {
            if self.phases.last().is_none_or(|(p, _)| p.name != name) {
                self.phases.push((Seen { name: name.to_owned(), first: since, last: since }, Vec::new()));
            }
            for (phase, hooks) in self.phases.iter_mut().rev().take(1) {
                phase.last = since;
                for hook in status["running"].as_array().into_iter().flatten() {
                    let name = hook["name"].as_str().unwrap_or("?");
                    match hooks.iter_mut().find(|h| h.name == name) {
                        Some(h) => h.last = since,
                        None => hooks.push(Seen { name: name.to_owned(), first: since, last: since }),
                    }
                }
            }
        }
        if self.live { self.redraw(status) } else { self.line(status) }
    }

    /// One line whenever something else is going on.
    fn line(&mut self, status: &Value) {
        let running: Vec<&str> =
            status["running"].as_array().into_iter().flatten().filter_map(|h| h["name"].as_str()).collect();
        let phase = status["phase"].as_str().unwrap_or("-");
        let now = format!("{} {phase} {}", head(status), running.join(", "));
        if now == self.last {
            return;
        }
        let at = status["since_us"].as_u64().map_or(String::new(), |us| format!("+{} ", time(us)));
        let _ = writeln!(io::stdout(), "{at}{}", now.trim_end());
        self.last = now;
    }

    fn redraw(&mut self, status: &Value) {
        let mut page = String::new();
        let (since, left) = (status["since_us"].as_u64(), status["remaining_us"].as_u64());
        let state = status["outcome"].as_str().unwrap_or(status["state"].as_str().unwrap_or("?"));
        let paint = if status["outcome"].is_null() { "1" } else { colour(tone(state)) };
        let _ = writeln!(
            page,
            "pid {}  {}  {}",
            status["pid"],
            self.style.paint(paint, state),
            crate::verify::plain(&facts(status), self.style.width.saturating_sub(40))
        );
        if let (Some(since), Some(left)) = (since, left) {
            let _ = writeln!(page, "{:<16} {} {} left", "budget", self.bar(0, since, since + left), time(left));
            for (phase, hooks) in &self.phases {
                let is_now = status["phase"].as_str() == Some(&phase.name);
                let _ = writeln!(
                    page,
                    "{:<16} {} {}",
                    phase.name,
                    self.bar(phase.first, phase.last, since + left),
                    time(phase.last - phase.first)
                );
                for h in hooks {
                    let on = if is_now && h.last == since { " running" } else { "" };
                    let name = format!("  {}", crate::verify::plain(&h.name, 14));
                    let _ =
                        writeln!(page, "{name:<16} {} {}{on}", self.bar(h.first, h.last, since + left), time(h.last - h.first));
                }
            }
        }
        let mut out = if self.lines > 0 { format!("\x1b[{}A\x1b[J", self.lines) } else { String::new() };
        self.lines = page.lines().count();
        out.push_str(&page);
        let _ = io::stdout().write_all(out.as_bytes());
        let _ = io::stdout().flush();
    }

    fn bar(&self, from: u64, to: u64, end: u64) -> String {
        let columns = self.style.width.saturating_sub(44).max(16);
        let at = |us: u64| ((us as f64 / end.max(1) as f64) * columns as f64) as usize;
        let (first, last) = (at(from).min(columns - 1), at(to).min(columns));
        let (used, given) = if self.style.blocks { ('█', '░') } else { ('#', '.') };
        let cell = |i: usize| {
            if i >= first && i < last.max(first + 1) {
                used
            } else if i < first {
                ' '
            } else {
                given
            }
        };
        (0..columns).map(cell).collect()
    }

    fn gone(&mut self) {
        let quiet = self.style.paint(colour(Tone::Quiet), "the process is gone");
        let _ = writeln!(io::stdout(), "{quiet}");
    }
}

fn head(status: &Value) -> String {
    let state = status["state"].as_str().unwrap_or("?");
    status["outcome"].as_str().map_or(state.to_owned(), |o| format!("{state} {o}, exit status {}", status["exit_code"]))
}

fn facts(status: &Value) -> String {
    let mut facts = Vec::new();
    if let Some(reason) = status["reason"].as_object() {
        let signal = reason.get("signal").and_then(Value::as_str);
        facts.extend(signal.or(reason.get("kind").and_then(Value::as_str)).map(|r| format!("reason {r}")));
    } else {
        facts.push(format!("{} hooks, waiting for a signal", status["hooks"]));
    }
    facts.extend(status["since_us"].as_u64().map(|us| format!("since {}", time(us))));
    facts.extend(status["in_flight"].as_u64().map(|n| format!("{n} in flight")));
    facts.extend((status["waiting_for_signal"] == true).then(|| "preStop done, waiting for the signal".to_owned()));
    facts.join(", ")
}
