//! A signal to another process as a hook, optionally waiting until it is gone (by pidfd: no race with a reused number).

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::config::SignalSpec;
use crate::error::{Error, ErrorKind};
use crate::hook::{Context, HookError, HookResult};

/// How often a wait looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn check(spec: &SignalSpec, name: &str) -> Result<(), Error> {
    let refuse = |what: &str| Err(Error::new(ErrorKind::BadValue, format!("hook \"{name}\": {what}")));
    match (spec.pid, &spec.pidfile) {
        (None, None) => refuse("signal needs a pid or a pidfile"),
        (Some(pid), _) if pid <= 0 => refuse("a pid is above zero"),
        _ if !(1..=64).contains(&spec.signo) => refuse("a signal's number is from 1 to 64"),
        _ => Ok(()),
    }
}

pub(crate) fn run(spec: &SignalSpec, context: &Context) -> HookResult {
    let pid = match (&spec.pid, &spec.pidfile) {
        (Some(pid), _) => *pid,
        (None, Some(path)) => {
            let text =
                std::fs::read_to_string(path).map_err(|e| HookError::failed(format!("cannot read {}: {e}", path.display())))?;
            let pid: i32 = text.trim().parse().map_err(|_| HookError::failed(format!("{} holds no pid", path.display())))?;
            if pid <= 0 {
                return Err(HookError::failed(format!("{} holds no pid", path.display())));
            }
            pid
        }
        (None, None) => return Err(HookError::failed("no receiver")),
    };
    let Some(receiver) = open(pid)? else {
        return Ok(()); // Already gone: what the signal was for has happened.
    };
    send(&receiver, spec.signo)?;
    if spec.wait { wait_gone(&receiver, context) } else { Ok(()) }
}

fn open(pid: i32) -> Result<Option<OwnedFd>, HookError> {
    // SAFETY: pidfd_open takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd >= 0 {
        // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }));
    }
    let error = std::io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(None) } else { Err(HookError::failed(format!("pid {pid}: {error}"))) }
}

fn send(receiver: &OwnedFd, signo: i32) -> HookResult {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: pidfd_send_signal reads no memory when `info` is null.
    let r = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, receiver.as_raw_fd(), signo, info, 0) };
    let error = std::io::Error::last_os_error();
    if r == 0 || error.raw_os_error() == Some(libc::ESRCH) {
        Ok(())
    } else {
        Err(HookError::failed(format!("cannot signal: {error}")))
    }
}

fn wait_gone(receiver: &OwnedFd, context: &Context) -> HookResult {
    while !context.cancelled() {
        let mut poll = libc::pollfd { fd: receiver.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one valid pollfd.
        if unsafe { libc::poll(&mut poll, 1, LOOK.as_millis() as i32) } > 0 {
            return Ok(());
        }
    }
    Err(HookError::Cancelled)
}
