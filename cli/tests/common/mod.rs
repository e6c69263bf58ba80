//! What the tests of the command share: running it, a folder to run it in, waiting with a limit.

#![allow(dead_code, reason = "each test file uses its part")]

use serde_json::Value;
use std::collections::HashSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A free port that no other test of this run was given.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap().get_or_insert_default().insert(port) {
            return port;
        }
    }
}

/// A folder of its own, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(what: &str) -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{what}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A run of the command to come.
pub struct Run(Command);

/// `graceshut` with these arguments, without any variable of ours or for colours.
pub fn graceshut(args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graceshut"));
    command.args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GRACESHUT_") {
            command.env_remove(name);
        }
    }
    Run(command)
}

/// What came of it.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn dir(mut self, folder: &Folder) -> Run {
        self.0.current_dir(&folder.0);
        self
    }

    pub fn in_path(mut self, folder: &Path) -> Run {
        self.0.current_dir(folder);
        self
    }

    /// Runs it as another user, who may not even reach the program's file by its path: a copy is put where everybody can.
    pub fn done_by(self, uid: u32) -> Done {
        let copy = std::env::temp_dir().join(format!("graceshut-{}", std::process::id()));
        fs::copy(env!("CARGO_BIN_EXE_graceshut"), &copy).unwrap();
        let mut command = Command::new(&copy);
        command.args(self.0.get_args()).uid(uid).gid(uid).current_dir("/").stdin(Stdio::null());
        let done = Run(command).done();
        fs::remove_file(copy).unwrap();
        done
    }

    pub fn env(mut self, name: &str, value: &str) -> Run {
        self.0.env(name, value);
        self
    }

    /// Runs it, at most for a minute.
    pub fn done(mut self) -> Done {
        let folder = Folder::new("run");
        let out = |name| File::create(folder.0.join(name)).unwrap();
        let mut child = self.0.stdout(out("out")).stderr(out("err")).spawn().unwrap();
        let status = wait(&mut child, Duration::from_secs(60));
        Done { code: status.code().unwrap_or(-1), stdout: folder.text("out"), stderr: folder.text("err") }
    }

    /// Runs it and expects this status.
    pub fn gives(self, code: i32) -> Done {
        let done = self.done();
        assert_eq!(done.code, code, "stdout: {}\nstderr: {}", done.stdout, done.stderr);
        done
    }

    pub fn ok(self) -> Done {
        self.gives(0)
    }
}

impl Done {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// The end of a child, in bounded time.
pub fn wait(child: &mut Child, limit: Duration) -> ExitStatus {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("a process hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `done`, within a limit.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// True when the machine has this program; in CI nothing is left out.
pub fn has(program: &str) -> bool {
    let found = if program.contains('/') {
        Path::new(program).exists()
    } else {
        std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(|d| d.join(program).is_file()))
    };
    if !found {
        assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "{program} is missing, and this is CI");
        eprintln!("left out: {program} is not on this machine");
    }
    found
}

/// A process that a test started; killed and waited for at the end.
pub struct Live(pub Child);

impl Live {
    pub fn pid(&self) -> String {
        self.0.id().to_string()
    }

    pub fn signal(&self, signo: i32) {
        // SAFETY: a plain system call; the child is ours and not waited for yet.
        assert_eq!(unsafe { libc::kill(self.0.id() as i32, signo) }, 0);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
