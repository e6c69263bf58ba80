//! Signals as they arrive: every one is blocked, and read from one descriptor, so that none is lost and none interrupts.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub signo: i32,
    /// Pid and uid of the sender, where a process sent it.
    pub sender: Option<(i32, u32)>,
}

/// Where they are read from.
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Every signal; they have to be blocked already ([`inherit::take`](super::inherit::take)).
    pub fn open() -> io::Result<Signals> {
        // SAFETY: sigset_t is plain data for which zeros are valid.
        let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: `all` is writable.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: `all` is a valid set; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
        Ok(Signals { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    pub fn fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// The next one, if one came.
    pub fn next(&self) -> Option<Taken> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        loop {
            // SAFETY: signalfd_siginfo is plain data for which zeros are valid.
            let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
            // SAFETY: `info` is writable for SIZE bytes.
            let n = unsafe { libc::read(self.fd(), (&raw mut info).cast(), SIZE) };
            if n != SIZE as isize {
                return None;
            }
            let signo = info.ssi_signo.cast_signed();
            let told = matches!(info.ssi_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL);
            let sender = told.then_some((info.ssi_pid.cast_signed(), info.ssi_uid));
            // A write of our own to a closed pipe: nobody's signal.
            if signo == libc::SIGPIPE && sender.is_some_and(|(pid, _)| pid == super::sys::own_pid()) {
                continue;
            }
            return Some(Taken { signo, sender });
        }
    }
}
