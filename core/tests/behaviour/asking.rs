//! A client of the admin endpoint, and what its tests begin with.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use graceshut::{AdminAt, Token};
use serde_json::Value;

use crate::harness::*;

pub const TOKEN: &str = "0123456789abcdef";

/// At any free port, or where the test says.
pub fn options(n: u64) -> Options {
    let admin = match arg("GS_ADMIN").as_str() {
        "" => AdminAt::Tcp("127.0.0.1:0".parse().unwrap()),
        at => at.strip_prefix("unix:").map_or_else(|| AdminAt::Tcp(at.parse().unwrap()), |p| AdminAt::Unix(PathBuf::from(p))),
    };
    let admin_token = Some(arg("GS_TOKEN")).filter(|t| !t.is_empty()).map(|t| Token::new(&t).unwrap());
    Options { admin: Some(admin), admin_token, ..grace(n) }
}

pub fn at_of(gs: &Runtime) {
    say(&format!("at {}", gs.admin_address().unwrap()));
}

pub fn address(kid: &mut Running) -> String {
    kid.wait_for("at ").trim_start_matches("at ").to_owned()
}

/// Sends `text` and reads all that comes back.
pub fn send(at: &str, text: &str) -> std::io::Result<String> {
    let mut answer = Vec::new();
    let mut read = |mut s: Box<dyn ReadWrite>| {
        s.write_all(text.as_bytes())?;
        s.read_to_end(&mut answer)
    };
    match at.strip_prefix("unix:") {
        Some(path) => {
            let s = UnixStream::connect(path)?;
            s.set_read_timeout(Some(LIMIT))?;
            read(Box::new(s))?;
        }
        None => {
            let s = TcpStream::connect(at)?;
            s.set_read_timeout(Some(LIMIT))?;
            read(Box::new(s))?;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

/// Status and body.
#[track_caller]
pub fn ask(at: &str, line: &str) -> (u16, String) {
    let text = send(at, &format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap_or_else(|e| panic!("{line}: {e}"));
    parts(&text)
}

#[track_caller]
pub fn parts(text: &str) -> (u16, String) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.trim_end().to_owned())
}

#[track_caller]
pub fn status(at: &str) -> Value {
    let (code, body) = ask(at, "GET /status");
    assert_eq!(code, 200);
    serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"))
}

/// CPU time of the whole process in ticks (10 ms).
pub fn cpu_of(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    rest[11].parse::<u64>().unwrap() + rest[12].parse::<u64>().unwrap()
}

pub fn threads_of(pid: i32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.filter_map(|t| Some(std::fs::read_to_string(t.ok()?.path().join("comm")).ok()?.trim().to_owned())).collect()
}

impl Running {
    pub fn term_and(mut self, f: impl FnOnce(&mut Running)) -> Ended {
        self.term();
        f(&mut self);
        self.end()
    }
}
