//! Signal behaviour is tested on a child: the test binary starts itself with `GS_CHILD` set, and the named function runs from
//! `.init_array`, before libtest makes threads. The child prints `ready`; every wait has a limit, the child has an alarm.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use graceshut::clock::At;
use graceshut::signal::{self, Caught, Chain, Managed};

pub const LIMIT: Duration = Duration::from_secs(20);

/// Declares the children of a test file: `children! { name => function, ... }`.
#[macro_export]
macro_rules! children {
    ($($name:literal => $function:path),* $(,)?) => {
        extern "C" fn gs_run_child() {
            let Ok(name) = std::env::var("GS_CHILD") else { return };
            common_signal::in_child();
            match name.as_str() {
                $($name => $function(),)*
                _ => { eprintln!("no child {name}"); std::process::exit(99) }
            }
            std::process::exit(0);
        }
        #[used]
        #[unsafe(link_section = ".init_array")]
        static GS_RUN_CHILD: extern "C" fn() = gs_run_child;
    };
}

/// An alarm with its default disposition ends a child that hangs.
pub fn in_child() {
    unsafe { libc::alarm(LIMIT.as_secs() as u32) };
}

pub struct Started {
    pub child: Child,
    seen: String,
    until: Instant,
}

pub fn start(name: &str) -> Started {
    start_with(name, &mut Command::new(std::env::current_exe().unwrap()))
}

pub fn start_with(name: &str, command: &mut Command) -> Started {
    let child =
        command.env("GS_CHILD", name).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    Started { child, seen: String::new(), until: Instant::now() + LIMIT }
}

impl Started {
    /// The child's next line, `None` at the end of its output.
    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.seen.find('\n') {
                let line = self.seen[..end].to_owned();
                self.seen.drain(..=end);
                return Some(line);
            }
            let out = self.child.stdout.as_mut().unwrap();
            let left = self.until.saturating_duration_since(Instant::now()).as_millis() as i32;
            let mut poll = libc::pollfd { fd: out.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            let ready = unsafe { libc::poll(&mut poll, 1, left) };
            assert!(ready != 0, "the child said nothing more within the limit");
            let mut buffer = [0; 4096];
            match out.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => self.seen.push_str(std::str::from_utf8(&buffer[..n]).unwrap()),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => panic!("{e}"),
            }
        }
    }

    pub fn expect(&mut self, wanted: &str) -> &mut Self {
        let line = self.line();
        assert_eq!(line.as_deref(), Some(wanted));
        self
    }

    pub fn kill(&mut self, signo: i32) -> &mut Self {
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signo) }, 0);
        self
    }

    pub fn wait(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < self.until, "the child did not end within the limit");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for a status of 0, showing what else the child had to say.
    pub fn ends_well(&mut self) {
        let status = self.wait();
        let mut rest = String::new();
        let _ = self.child.stdout.as_mut().unwrap().read_to_string(&mut rest);
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{}{rest}", self.seen);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ---- used inside children ----

pub fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

pub fn managed(signo: i32, chain: Chain) -> Managed {
    Managed { signo, chain, even_if_ignored: false }
}

pub fn arm(signals: &[i32], chain: Chain) {
    let wanted: Vec<_> = signals.iter().map(|s| managed(*s, chain)).collect();
    let armed = signal::arm(&wanted).unwrap();
    assert!(armed.iter().all(|a| a.taken), "{armed:?}");
}

/// Waits on the word until at least one signal was caught, and returns what there is.
pub fn caught(limit: Duration) -> Vec<Caught> {
    let until = At::now().plus(limit);
    let mut all = Vec::new();
    while all.is_empty() && At::now() < until {
        let seen = signal::wake().seen();
        signal::drain(&mut |c| all.push(c));
        if all.is_empty() {
            signal::wake().wait(seen, until);
        }
    }
    all
}

pub fn caught_now() -> Vec<i32> {
    let mut all = Vec::new();
    signal::drain(&mut |c| all.push(c.signo));
    all
}

pub type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

#[repr(C)]
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Raw {
    pub handler: usize,
    pub flags: u64,
    pub restorer: usize,
    pub mask: u64,
}

/// The kernel's own answer.
pub fn raw(signo: i32) -> Raw {
    let mut now = Raw::default();
    let failed = unsafe { libc::syscall(libc::SYS_rt_sigaction, signo, std::ptr::null::<Raw>(), &raw mut now, 8) };
    assert_eq!(failed, 0);
    now
}

/// Sets a handler (or SIG_DFL, SIG_IGN) through libc and returns the address it replaced.
pub fn set(signo: i32, handler: usize, flags: i32) -> usize {
    let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
    new.sa_sigaction = handler;
    new.sa_flags = flags;
    let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
    assert_eq!(unsafe { libc::sigaction(signo, &new, &mut old) }, 0);
    old.sa_sigaction
}

pub fn raise(signo: i32) {
    assert_eq!(unsafe { libc::kill(libc::getpid(), signo) }, 0);
}

/// A host's handler: counts its calls and remembers the arguments.
pub static HOST_CALLS: AtomicU32 = AtomicU32::new(0);
pub static HOST_SIGNO: AtomicI32 = AtomicI32::new(0);
pub static HOST_PID: AtomicI32 = AtomicI32::new(0);

pub extern "C" fn host_handler(signo: i32, info: *mut libc::siginfo_t, ctx: *mut libc::c_void) {
    HOST_CALLS.fetch_add(1, Ordering::SeqCst);
    HOST_SIGNO.store(signo, Ordering::SeqCst);
    if !ctx.is_null() {
        HOST_PID.store(unsafe { (*info).si_pid() }, Ordering::SeqCst);
    }
}

pub fn host_calls() -> u32 {
    HOST_CALLS.load(Ordering::SeqCst)
}

/// Waits for a child of the calling process, with a limit; the raw status.
pub fn reap(pid: i32) -> i32 {
    let until = Instant::now() + LIMIT;
    loop {
        let mut status = 0;
        match unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } {
            0 => assert!(Instant::now() < until, "child {pid} did not end"),
            p if p == pid => return status,
            _ => panic!("waitpid: {}", std::io::Error::last_os_error()),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `f` in a forked child, with `_exit` behind it, and returns the raw wait status.
pub fn forked(f: impl FnOnce() -> i32) -> i32 {
    match unsafe { libc::fork() } {
        0 => {
            in_child();
            let code = f();
            unsafe { libc::_exit(code) }
        }
        pid => {
            assert!(pid > 0);
            reap(pid)
        }
    }
}

pub fn killed_by(status: i32) -> Option<i32> {
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}

pub fn exited(status: i32) -> Option<i32> {
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
}
