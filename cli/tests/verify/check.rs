//! One check of one service, and what came of it.

use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::Duration;

use crate::common::{Folder, free_port, wait};

/// No check here takes a quarter of this.
const LIMIT: Duration = Duration::from_secs(60);

/// One check: its options, and what came of it.
pub struct Check {
    pub folder: Folder,
    pub port: u16,
    pub options: Vec<String>,
    pub env: Vec<(String, String)>,
}

impl Check {
    /// With no URLs.
    pub fn bare() -> Check {
        Check { folder: Folder::new("verify"), port: free_port(), options: Vec::new(), env: Vec::new() }
    }

    /// With a readiness URL and a load for half a second.
    pub fn loaded() -> Check {
        let check = Check::bare();
        let (ready, load) = (check.url("ready"), check.url("work"));
        check.with(&["--ready", &ready, "--load", &load, "--after", "500ms"])
    }

    /// With one connection that pauses long enough for everything to arrive in between.
    pub fn one_connection() -> Check {
        Check::loaded().with(&["--connections", "1", "--pause", "60ms", "--after", "1s"])
    }

    pub fn with(mut self, options: &[&str]) -> Check {
        // A later option replaces an earlier one of its name.
        for pair in options.chunks(2) {
            if let Some(at) = self.options.iter().position(|o| o == pair[0] && o != "--load") {
                self.options.drain(at..at + 2);
            }
            self.options.extend(pair.iter().map(|s| (*s).to_owned()));
        }
        self
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The same, over TLS.
    pub fn https(mut self) -> Check {
        for option in &mut self.options {
            *option = option.replace("http://", "https://");
        }
        self.env.push(("TLS".to_owned(), service("tls.pem")));
        self
    }

    pub fn spawn(&self, command: &[&str]) -> Child {
        let out = |name| File::create(self.folder.0.join(name)).unwrap();
        Command::new(env!("CARGO_BIN_EXE_graceshut"))
            .arg("verify")
            .args(&self.options)
            .args(["--json", &self.folder.path("out.json"), "--"])
            .args(command)
            .env_remove("GRACESHUT_REPORT")
            .envs(self.env.iter().cloned())
            .stdout(out("stdout"))
            .stderr(out("stderr"))
            .spawn()
            .unwrap()
    }

    /// Runs the check on any command.
    pub fn on(self, command: &[&str]) -> Done {
        let child = self.spawn(command);
        self.done(child)
    }

    /// Runs the check on a service of ours: its file, then the port and these arguments.
    pub fn service(self, file: &str, args: &[&str]) -> Done {
        let path = service(file);
        let port = self.port.to_string();
        let command = [&["python3", path.as_str(), port.as_str()], args].concat();
        self.on(&command)
    }

    pub fn done(self, mut child: Child) -> Done {
        let code = code_of(&mut child);
        let json = self.folder.text("out.json");
        Done {
            code,
            verdict: serde_json::from_str(&json).unwrap_or(Value::Null),
            json,
            stdout: self.folder.text("stdout"),
            stderr: self.folder.text("stderr"),
            port: self.port,
            folder: self.folder,
        }
    }
}

pub fn service(file: &str) -> String {
    format!("{}/tests/services/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// The exit code, in bounded time.
fn code_of(child: &mut Child) -> i32 {
    wait(child, LIMIT).code().expect("graceshut itself was killed by a signal")
}

pub struct Done {
    pub code: i32,
    pub json: String,
    pub verdict: Value,
    pub stdout: String,
    pub stderr: String,
    pub port: u16,
    pub folder: Folder,
}

impl Done {
    pub fn at(&self, pointer: &str) -> &Value {
        self.verdict.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in the verdict; {}", self.all()))
    }

    pub fn number(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_else(|| panic!("{pointer} is no number; {}", self.all()))
    }

    pub fn requests(&self, key: &str) -> i64 {
        self.number(&format!("/requests/{key}"))
    }

    pub fn failures(&self) -> Vec<&str> {
        self.at("/failures").as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect()
    }

    pub fn all(&self) -> String {
        format!("code {}\n{}\n{}\n{}", self.code, self.stdout, self.stderr, self.json)
    }

    pub fn last_line(&self) -> &str {
        self.stdout.lines().next_back().unwrap_or_default()
    }

    /// What holds of every verdict.
    pub fn sound(self) -> Done {
        assert_eq!(self.requests("sent"), self.requests("answered") + self.requests("lost"), "{}", self.all());
        let parts = ["answered_2xx", "refused_503", "answered_other"].map(|k| self.requests(k));
        assert_eq!(self.requests("answered"), parts.iter().sum::<i64>(), "{}", self.all());
        assert_eq!(self.at("/passed"), self.failures().is_empty());
        assert!(!self.stdout.contains('\x1b'), "colours without a terminal");
        self
    }

    pub fn passes(self) -> Done {
        assert_eq!(self.code, 0, "{}", self.all());
        assert_eq!(self.failures(), Vec::<&str>::new());
        assert!(self.last_line().starts_with("PASS  "), "{}", self.all());
        self.sound()
    }

    /// Fails with exactly these failures, each given by how it begins.
    pub fn fails(self, with: &[&str]) -> Done {
        assert_eq!(self.code, 1, "{}", self.all());
        let failures = self.failures();
        let same = failures.len() == with.len() && failures.iter().zip(with).all(|(f, w)| f.starts_with(w));
        assert!(same, "expected {with:?}; {}", self.all());
        assert_eq!(self.last_line(), format!("FAIL  {}", failures.join("; ")));
        self.sound()
    }

    /// Gives no verdict, and a message with each of these in it.
    pub fn gives_up(self, saying: &[&str]) -> Done {
        assert_eq!(self.code, 2, "{}", self.all());
        assert_eq!(self.stdout, "");
        assert_eq!(self.json, "");
        for text in saying {
            assert!(self.stderr.contains(text), "{text:?} is not said; {}", self.all());
        }
        assert!(TcpStream::connect(("127.0.0.1", self.port)).is_err(), "the service is still there");
        self
    }
}

pub fn is_alive(pid: i64, cmd: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ").trim_end() == cmd
}
