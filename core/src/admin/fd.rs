//! Descriptors that somebody else may close, and whose numbers he may then get.

use std::io::{Error, Result};
use std::sync::{Arc, Weak};

use crate::process::fds::{Identity, identity};

/// A descriptor of ours, as long as its number still means what it meant.
#[derive(Debug)]
pub(super) struct Fd {
    number: i32,
    identity: Identity,
}

impl Fd {
    /// Owns `number` from here on.
    pub(super) fn own(number: i32) -> Result<Fd> {
        match identity(number) {
            Some(identity) => Ok(Fd { number, identity }),
            None => Err(Error::last_os_error()),
        }
    }

    /// A fresh socket, not inherited over exec and non-blocking.
    pub(super) fn socket(domain: i32, kind: i32) -> Result<Fd> {
        // SAFETY: socket takes three integers.
        match unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) } {
            -1 => Err(Error::last_os_error()),
            number => Fd::own(number),
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        identity(self.number) == Some(self.identity)
    }

    /// The number, if it is still ours.
    pub(super) fn get(&self) -> Option<i32> {
        self.is_ours().then_some(self.number)
    }

    /// The number and what it meant.
    pub(super) fn place(&self) -> (i32, Identity) {
        (self.number, self.identity)
    }

    /// For `poll`, which only looks.
    pub(super) fn number(&self) -> i32 {
        self.number
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        if let Some(fd) = self.get() {
            // SAFETY: ours, and nobody uses it after this.
            unsafe { libc::close(fd) };
        }
    }
}

/// Reads what is there into `to`; `None` for "nothing yet".
pub(super) fn receive(fd: &Fd, to: &mut [u8]) -> Option<Result<usize>> {
    let Some(number) = fd.get() else { return Some(Err(Error::from_raw_os_error(libc::EBADF))) };
    // SAFETY: `to` is writable for its length; recv keeps no pointer.
    let n = unsafe { libc::recv(number, to.as_mut_ptr().cast(), to.len(), libc::MSG_DONTWAIT) };
    later_or(n)
}

/// Sends what fits; `None` for "nothing yet". A peer that is gone is an error, never a signal.
pub(super) fn send(fd: &Fd, bytes: &[u8]) -> Option<Result<usize>> {
    let Some(number) = fd.get() else { return Some(Err(Error::from_raw_os_error(libc::EBADF))) };
    // SAFETY: `bytes` is readable for its length; send keeps no pointer.
    let n = unsafe { libc::send(number, bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    later_or(n)
}

fn later_or(n: isize) -> Option<Result<usize>> {
    if let Ok(n) = usize::try_from(n) {
        return Some(Ok(n));
    }
    let e = Error::last_os_error();
    if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) { None } else { Some(Err(e)) }
}

/// Ends the thread's sleep: a socket nobody writes to, shut down when it is time to look up. The thread owns it.
#[derive(Clone, Debug)]
pub(crate) struct Doorbell(Weak<Fd>);

impl Doorbell {
    pub(super) fn new() -> Result<(Arc<Fd>, Doorbell)> {
        let fd = Arc::new(Fd::socket(libc::AF_UNIX, libc::SOCK_DGRAM)?);
        let bell = Doorbell(Arc::downgrade(&fd));
        Ok((fd, bell))
    }

    /// Rings for good.
    pub(crate) fn ring(&self) {
        let fd = self.0.upgrade();
        if let Some(fd) = fd.as_ref().and_then(|fd| fd.get()) {
            // SAFETY: shutdown takes two integers; the socket is ours.
            unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
        }
    }
}
