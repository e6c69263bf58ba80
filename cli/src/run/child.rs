//! Starting a program: everything is made ready before the fork, and between fork and exec there are system calls alone.
//!
//! - No lost signal: a group is made by both sides, so that it exists when `start` returns; everything is blocked in the child
//!   until its dispositions are as they were inherited, so what came early waits and arrives.
//! - The program is told what `run` was told: mask and ignored signals exactly (`inherit`).

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use super::inherit::Inherited;
use super::sys;
use super::user::User;

/// How long a start may keep the loop from its signals.
const START_LIMIT: Duration = Duration::from_secs(1);

/// Where the program is put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A process group of its own, in this session.
    Group,
    /// A session of its own; a controlling terminal goes along.
    Session,
    /// Where `run` itself is.
    Here,
}

/// A program ready to be started, as often as wanted.
pub struct Program {
    shown: OsString,
    argv: Vec<CString>,
    /// Files to try, in the order of PATH.
    candidates: Vec<CString>,
    env: Vec<CString>,
    /// Which variable is LISTEN_PID and names this process: socket activation is for who reads it.
    listen_pid: Option<usize>,
    dir: Option<CString>,
    user: Option<User>,
}

/// Why a program could not be started, and what a shell would leave with.
#[derive(Debug)]
pub struct StartError {
    pub code: i32,
    pub message: String,
}

/// How it is started.
#[derive(Clone, Copy)]
pub struct How<'a> {
    pub place: Place,
    /// The terminal whose foreground the program's group becomes.
    pub foreground: Option<i32>,
    /// A terminal that a new session takes over.
    pub take_terminal: Option<i32>,
    /// What becomes its standard output and error.
    pub output: Option<(&'a OwnedFd, &'a OwnedFd)>,
    /// It does not outlive this process, however that ends.
    pub bound: bool,
    /// What it is to inherit.
    pub inherited: &'a Inherited,
}

impl Program {
    /// `argv` is never empty. `env` is the whole environment.
    pub fn new(argv: &[OsString], env: &[(OsString, OsString)]) -> Result<Program, StartError> {
        let shown = argv.first().cloned().unwrap_or_default();
        let refuse = |message: String| StartError { code: 127, message };
        if shown.is_empty() {
            return Err(refuse("the command is empty; its first word is the program".to_owned()));
        }
        let c =
            |bytes: Vec<u8>| CString::new(bytes).map_err(|_| refuse("a NUL byte in the command or its environment".to_owned()));
        let path = env.iter().find(|(k, _)| k == "PATH").map(|(_, v)| v.clone());
        let candidates = candidates(&shown, path.as_deref()).into_iter().map(c).collect::<Result<_, _>>()?;
        let own = sys::own_pid().to_string();
        let listen_pid = env.iter().position(|(k, v)| k == "LISTEN_PID" && *v == *own);
        let pair = |(k, v): &(OsString, OsString)| {
            let mut text = k.as_bytes().to_vec();
            text.push(b'=');
            text.extend_from_slice(v.as_bytes());
            c(text)
        };
        Ok(Program {
            argv: argv.iter().map(|a| c(a.as_bytes().to_vec())).collect::<Result<_, _>>()?,
            env: env.iter().map(pair).collect::<Result<_, _>>()?,
            shown,
            candidates,
            listen_pid,
            dir: None,
            user: None,
        })
    }

    pub fn in_dir(mut self, dir: Option<&Path>) -> Program {
        self.dir = dir.and_then(|d| CString::new(d.as_os_str().as_bytes()).ok());
        self
    }

    pub fn with_user(mut self, user: Option<User>) -> Program {
        self.user = user;
        self
    }

    /// Starts it; when this returns it runs, in its group, or the reason is known why it does not.
    pub fn start(&self, how: &How<'_>) -> Result<i32, StartError> {
        let failed = |what: &str, e: &io::Error| StartError { code: 126, message: format!("{what}: {e}") };
        let (told, tells) = sys::pipe().map_err(|e| failed("cannot make a pipe", &e))?;
        let mut prepared = Prepared::of(self);
        // SAFETY: the child makes system calls only and leaves by exec or _exit; see `become_program`.
        match unsafe { libc::fork() } {
            -1 => Err(failed("cannot fork", &io::Error::last_os_error())),
            0 => become_program(self, how, &mut prepared, tells.as_raw_fd()),
            pid => {
                drop(tells);
                if how.place == Place::Group {
                    // Refused once the child has exec'ed, which it does in its group.
                    let _ = sys::set_group(pid, pid);
                }
                let mut word = Vec::with_capacity(8);
                // Ends at exec, which closes the child's end. One that somebody stops before it gets there is not waited for:
                // signals have to be heard.
                if sys::poll(&[told.as_raw_fd()], Some(START_LIMIT)) {
                    let _ = std::fs::File::from(told).read_to_end(&mut word);
                }
                match word.try_into().map(i64::from_ne_bytes) {
                    Ok(word) => {
                        reap(pid);
                        Err(self.explain((word >> 32) as i32, word as i32))
                    }
                    Err(_) => Ok(pid),
                }
            }
        }
    }

    fn explain(&self, step: i32, errno: i32) -> StartError {
        let shown = self.shown.to_string_lossy();
        let e = io::Error::from_raw_os_error(errno);
        let why = e.to_string();
        let why = why.split(" (os error").next().unwrap_or(&why);
        match step {
            DIR => StartError { code: 126, message: format!("cannot enter the working folder of {shown:?}: {why}") },
            USER => StartError { code: 126, message: format!("cannot become the user of {shown:?}: {why}; only root may") },
            _ if matches!(errno, libc::ENOENT | libc::ENOTDIR) => {
                let hint = if shown.contains('/') { "is its path right?" } else { "is it in PATH?" };
                StartError { code: 127, message: format!("cannot execute {shown:?}: {why}; {hint}") }
            }
            _ => StartError { code: 126, message: format!("cannot execute {shown:?}: {why}") },
        }
    }
}

/// Takes the child that could not become its program.
fn reap(pid: i32) {
    // SAFETY: a null status is allowed; nobody else waits for this child.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
}

/// As execvp: a name without a slash is looked for along PATH.
fn candidates(program: &OsStr, path: Option<&OsStr>) -> Vec<Vec<u8>> {
    let name = program.as_bytes();
    if name.contains(&b'/') {
        return vec![name.to_vec()];
    }
    let path = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    let in_folder = |folder: &[u8]| {
        let mut full = if folder.is_empty() { b".".to_vec() } else { folder.to_vec() };
        full.push(b'/');
        full.extend_from_slice(name);
        full
    };
    path.as_bytes().split(|b| *b == b':').map(in_folder).collect()
}

/// Pointers for exec, made before the fork.
struct Prepared {
    argv: Vec<*const libc::c_char>,
    /// For a script without `#!`: the shell, a place for the file, the arguments.
    script: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    /// `LISTEN_PID=` with room for a pid.
    listen: [u8; 24],
}

impl Prepared {
    fn of(p: &Program) -> Prepared {
        let list = |all: &[CString]| all.iter().map(|a| a.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
        let argv = list(&p.argv);
        let mut script = vec![c"/bin/sh".as_ptr(), std::ptr::null()];
        script.extend_from_slice(argv.get(1..).unwrap_or(&[std::ptr::null()]));
        let mut listen = [0; 24];
        listen[..11].copy_from_slice(b"LISTEN_PID=");
        Prepared { argv, script, env: list(&p.env), listen }
    }

    /// Async-signal-safe.
    fn set_listen_pid(&mut self, at: usize) {
        let (mut pid, mut digits, mut n) = (sys::own_pid(), [0_u8; 10], 0);
        while pid > 0 && n < digits.len() {
            digits[n] = b'0' + (pid % 10) as u8;
            pid /= 10;
            n += 1;
        }
        for k in 0..n {
            self.listen[11 + k] = digits[n - 1 - k];
        }
        self.env[at] = self.listen.as_ptr().cast();
    }
}

const DIR: i32 = 1;
const USER: i32 = 2;
const EXEC: i32 = 3;

/// The child's way to its program. System calls only: other threads' locks may be taken for ever here.
fn become_program(p: &Program, how: &How<'_>, prepared: &mut Prepared, tells: i32) -> ! {
    match how.place {
        Place::Group => drop(sys::set_group(0, 0)),
        // SAFETY: setsid takes nothing; a fresh child leads no group, so it cannot fail.
        Place::Session => drop(unsafe { libc::setsid() }),
        Place::Here => {}
    }
    if let Some(fd) = how.take_terminal {
        // SAFETY: ioctl with an integer argument; where the terminal cannot be had, the program runs without.
        unsafe { libc::ioctl(fd, libc::TIOCSCTTY, 0) };
    }
    if let Some(fd) = how.foreground {
        let _ = sys::set_foreground(fd, sys::own_group());
    }
    if let Some((out, err)) = how.output {
        // SAFETY: dup2 takes two integers.
        unsafe { libc::dup2(out.as_raw_fd(), 1) };
        // SAFETY: as above.
        unsafe { libc::dup2(err.as_raw_fd(), 2) };
    }
    if let Some(user) = &p.user
        && !user.become_it()
    {
        give_up(tells, USER, errno());
    }
    if let Some(dir) = &p.dir {
        // SAFETY: `dir` is NUL-terminated.
        if unsafe { libc::chdir(dir.as_ptr()) } < 0 {
            give_up(tells, DIR, errno());
        }
    }
    if how.bound {
        // After setuid, which would undo it. Where it is refused, the loop ends the program all the same.
        let _ = sys::set_parent_death_signal(libc::SIGKILL);
    }
    if let Some(at) = p.listen_pid {
        prepared.set_listen_pid(at);
    }
    how.inherited.restore();
    let errno = execute(p, prepared);
    give_up(tells, EXEC, errno)
}

/// Returns only when nothing could be executed: why.
fn execute(p: &Program, prepared: &mut Prepared) -> i32 {
    let mut seen = libc::ENOENT;
    for file in &p.candidates {
        // SAFETY: all three are NUL-terminated and, the lists, null-terminated; they live in `p` and `prepared`.
        unsafe { libc::execve(file.as_ptr(), prepared.argv.as_ptr(), prepared.env.as_ptr()) };
        match errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::ENOEXEC => {
                prepared.script[1] = file.as_ptr();
                // SAFETY: as above.
                unsafe { libc::execve(c"/bin/sh".as_ptr(), prepared.script.as_ptr(), prepared.env.as_ptr()) };
                seen = libc::ENOEXEC;
                break;
            }
            libc::EACCES => seen = libc::EACCES,
            other => {
                seen = other;
                break;
            }
        }
    }
    seen
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn give_up(tells: i32, step: i32, errno: i32) -> ! {
    let word = (i64::from(step) << 32 | i64::from(errno)).to_ne_bytes();
    // SAFETY: `word` is readable for its length.
    unsafe { libc::write(tells, word.as_ptr().cast(), word.len()) };
    // SAFETY: _exit takes an integer.
    unsafe { libc::_exit(if matches!(errno, libc::ENOENT | libc::ENOTDIR) { 127 } else { 126 }) }
}

/// The environment as it is, for a child.
pub fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().map(|(k, v)| (OsString::from_vec(k.into_vec()), v)).collect()
}
