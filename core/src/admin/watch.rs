//! Two ends that a descriptor tells of (spec 2.3): the parent process's, and stdin's. Nothing is read from either.

use std::io::Error as IoError;

use super::fd::Fd;
use crate::error::{Error, ErrorKind};
use crate::process::fds::{Identity, identity};

/// The parent process, held by a pidfd: a number the kernel gives to nobody else meanwhile.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(super) pidfd: Fd,
}

impl Parent {
    /// The parent of this process. `None` where there is none to be seen: a process in a pid namespace of its own.
    ///
    /// # Errors
    /// `Unsupported` before Linux 5.3; `Os`.
    pub(crate) fn watch() -> Result<Option<Parent>, Error> {
        loop {
            // SAFETY: getppid takes nothing and cannot fail.
            let parent = unsafe { libc::getppid() };
            if parent == 0 {
                return Ok(None);
            }
            // SAFETY: pidfd_open takes two integers; the descriptor is not inherited over exec.
            let number = unsafe { libc::syscall(libc::SYS_pidfd_open, parent, 0) };
            // SAFETY: as above. Another parent by now: the first one died, and its number may be somebody else's.
            let same = unsafe { libc::getppid() } == parent;
            match i32::try_from(number) {
                Ok(number) if number >= 0 => {
                    let pidfd = Fd::own(number).map_err(|e| Error::os("parent_death: pidfd", &e))?;
                    if same {
                        return Ok(Some(Parent { pidfd }));
                    }
                }
                _ if !same => {}
                _ => return Err(refusal(&IoError::last_os_error())),
            }
        }
    }
}

fn refusal(e: &IoError) -> Error {
    if e.raw_os_error() == Some(libc::ENOSYS) {
        return Error::new(
            ErrorKind::Unsupported,
            "parent_death = true: this kernel has no pidfd (Linux 5.3); leave the key out",
        );
    }
    Error::os("parent_death = true: cannot watch the parent process", e)
}

/// Stdin as it was at install; not ours, only looked at.
#[derive(Debug)]
pub(crate) struct Stdin {
    identity: Identity,
}

impl Stdin {
    /// `None` where stdin is closed.
    pub(crate) fn watch() -> Option<Stdin> {
        identity(libc::STDIN_FILENO).map(|identity| Stdin { identity })
    }

    /// True while the host has not put something else in its place.
    pub(super) fn is_the_same(&self) -> bool {
        identity(libc::STDIN_FILENO) == Some(self.identity)
    }
}
