//! The system calls of `run`, each behind a safe function: what may go wrong is an `io::Result` or an answer.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// `waitpid` for children of this very thread: those that hooks start on other threads are theirs to wait for.
const WNOTHREAD: libc::c_int = 0x2000_0000;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl Status {
    /// As a shell tells it: 128+n for a signal.
    pub fn code(self) -> i32 {
        match self {
            Status::Exited(code) => code,
            Status::Killed(signo) => 128 + signo,
        }
    }
}

/// What waiting found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    Ended(i32, Status),
    Stopped(i32, i32),
    /// There are children, none of which has anything to tell.
    Nothing,
    /// There are no children.
    NoChildren,
}

/// Takes the next child of this thread that ended or stopped.
pub fn wait_any() -> Waited {
    loop {
        let mut status = 0;
        // SAFETY: `status` is writable and outlives the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED | WNOTHREAD) };
        if pid == 0 {
            return Waited::Nothing;
        }
        if pid < 0 {
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => continue,
                _ => return Waited::NoChildren,
            }
        }
        if libc::WIFEXITED(status) {
            return Waited::Ended(pid, Status::Exited(libc::WEXITSTATUS(status)));
        }
        if libc::WIFSIGNALED(status) {
            return Waited::Ended(pid, Status::Killed(libc::WTERMSIG(status)));
        }
        if libc::WIFSTOPPED(status) {
            return Waited::Stopped(pid, libc::WSTOPSIG(status));
        }
    }
}

/// Sends `signo` to one process, or to the group `-pid`.
pub fn kill(pid: i32, signo: i32) -> io::Result<()> {
    // SAFETY: kill takes two integers.
    answer(unsafe { libc::kill(pid, signo) })
}

/// True while the process or the group `-pid` exists, be it as a zombie.
pub fn exists(pid: i32) -> bool {
    match kill(pid, 0) {
        Ok(()) => true,
        Err(e) => e.raw_os_error() == Some(libc::EPERM),
    }
}

pub fn own_pid() -> i32 {
    // SAFETY: getpid takes nothing and cannot fail.
    unsafe { libc::getpid() }
}

/// Orphans among the descendants come to this process.
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: prctl with an integer argument.
    answer(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })
}

/// The kernel sends `signo` here when the parent ends.
pub fn set_parent_death_signal(signo: i32) -> io::Result<()> {
    // SAFETY: prctl with an integer argument.
    answer(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signo, 0, 0, 0) })
}

/// Stops this process, as Ctrl-Z does; returns when somebody continued it.
pub fn stop_self() {
    let _ = kill(own_pid(), libc::SIGSTOP); // a process may always signal itself
}

/// The foreground process group of the terminal `fd`; `None` where it is no controlling terminal of ours.
pub fn foreground(fd: i32) -> Option<i32> {
    // SAFETY: tcgetpgrp takes an integer.
    let group = unsafe { libc::tcgetpgrp(fd) };
    (group > 0).then_some(group)
}

/// Makes `group` the foreground one. TTOU is blocked here, so this never stops the caller.
pub fn set_foreground(fd: i32, group: i32) -> io::Result<()> {
    // SAFETY: tcsetpgrp takes two integers.
    answer(unsafe { libc::tcsetpgrp(fd, group) })
}

pub fn own_group() -> i32 {
    // SAFETY: getpgrp takes nothing and cannot fail.
    unsafe { libc::getpgrp() }
}

/// Puts `pid` into the group `group` (0: one of its own).
pub fn set_group(pid: i32, group: i32) -> io::Result<()> {
    // SAFETY: setpgid takes two integers.
    answer(unsafe { libc::setpgid(pid, group) })
}

/// A counter that a poll can wait for.
pub fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes two integers.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// A descriptor that refers to the process `pid`, whatever becomes of its number.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(i32::try_from(fd).unwrap_or(-1))
}

/// Signals the very process behind a pidfd.
pub fn pidfd_signal(pidfd: &OwnedFd, signo: i32) -> io::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: pidfd_send_signal reads no memory when its info is null.
    let r = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signo, none, 0) };
    answer(i32::try_from(r).unwrap_or(-1))
}

/// A pipe whose ends are closed over exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: `fds` has room for two descriptors.
    answer(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok((owned(fds[0])?, owned(fds[1])?))
}

/// Waits until one of `fds` can be read or `limit` is over (for ever without one). True when one can.
pub fn poll(fds: &[i32], limit: Option<Duration>) -> bool {
    let mut set: Vec<libc::pollfd> = fds.iter().map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 }).collect();
    // Rounded up: a wait that ends early would be a wake-up for nothing.
    let ms = limit.map_or(-1, |l| i32::try_from(l.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
    // SAFETY: `set` is a slice of valid pollfds, which outlives the call.
    unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, ms) > 0 }
}

fn answer(r: i32) -> io::Result<()> {
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
