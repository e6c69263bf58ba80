//! Opening the endpoint: a listening socket on an address or a path, and taking the path away again.

use std::io::{Error as IoError, ErrorKind as IoKind};
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::fd::Fd;
use crate::config::AdminAt;
use crate::error::{Error, ErrorKind};
use crate::process;

/// Connections the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 64;

/// Where the server listens.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(super) listener: Fd,
    pub(super) unix: bool,
    /// As a client would name it, the port or pid filled in.
    at: String,
    /// A socket file of ours: its path, device and inode.
    file: Option<(PathBuf, u64, u64)>,
}

impl Endpoint {
    /// Listens at `at`; `None` where `at` is `AdminAt::None`. A socket file left by a process that is gone is replaced, a live one is not.
    ///
    /// # Errors
    /// `Os`, naming the address and what to do; true with it when somebody else listens there.
    pub(crate) fn open(at: &AdminAt) -> Result<Option<Endpoint>, (Error, bool)> {
        let refuse = |e: IoError, next: &str| {
            let taken = e.kind() == IoKind::AddrInUse;
            (Error::new(ErrorKind::Os, format!("admin = \"{at}\": {e}{}", if taken { next } else { "" })), taken)
        };
        match at {
            AdminAt::None => Ok(None),
            AdminAt::Tcp(address) => {
                let opened = TcpListener::bind(address).and_then(|listener| {
                    listener.set_nonblocking(true)?;
                    let at = listener.local_addr()?.to_string();
                    Ok((Fd::own(listener.into_raw_fd())?, at))
                });
                let (listener, at) = opened.map_err(|e| refuse(e, "; give this process an address of its own"))?;
                Ok(Some(Endpoint { listener, unix: false, at, file: None }))
            }
            AdminAt::Unix(path) => {
                let path = with_pid(path);
                let listener =
                    listen(&path).map_err(|e| refuse(e, "; give this process a path of its own (%p in it is the pid)"))?;
                let file = std::fs::symlink_metadata(&path).ok().map(|m| (path.clone(), m.dev(), m.ino()));
                Ok(Some(Endpoint { listener, unix: true, at: format!("unix:{}", path.display()), file }))
            }
        }
    }

    /// Where it listens, as a client would name it.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// What takes the socket file away.
    pub(crate) fn file(&self) -> SocketFile {
        SocketFile(self.file.clone())
    }
}

/// A socket file of ours, or none.
#[derive(Debug, Default)]
pub(crate) struct SocketFile(Option<(PathBuf, u64, u64)>);

impl SocketFile {
    /// Takes the file away if it is still ours.
    pub(crate) fn unlink(&self) {
        let Some((path, device, inode)) = &self.0 else { return };
        if std::fs::symlink_metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (*device, *inode)) {
            // Nobody is there to tell; the next process replaces it.
            let _ = std::fs::remove_file(path);
        }
    }
}

pub(super) fn with_pid(path: &Path) -> PathBuf {
    match path.to_str() {
        Some(text) if text.contains("%p") => PathBuf::from(text.replace("%p", &process::raw::pid().to_string())),
        _ => path.to_owned(),
    }
}

fn listen(path: &Path) -> Result<Fd, IoError> {
    let (address, length) = address_of(path)?;
    let fd = Fd::socket(libc::AF_UNIX, libc::SOCK_STREAM)?;
    // Before the bind: the file is born with this mode, whatever the umask, and nobody gets in between.
    // SAFETY: fchmod takes two integers; the socket is ours.
    if unsafe { libc::fchmod(fd.number(), 0o600) } != 0 {
        return Err(IoError::last_os_error());
    }
    // SAFETY: `address` is a valid sockaddr_un, readable for `length`.
    let bind = || match unsafe { libc::bind(fd.number(), (&raw const address).cast(), length) } {
        0 => Ok(()),
        _ => Err(IoError::last_os_error()),
    };
    if let Err(e) = bind() {
        if e.kind() != IoKind::AddrInUse || !is_left_over(path, &address, length)? {
            return Err(e);
        }
        std::fs::remove_file(path)?;
        bind()?;
    }
    // SAFETY: listen takes two integers.
    match unsafe { libc::listen(fd.number(), BACKLOG) } {
        0 => Ok(fd),
        _ => Err(IoError::last_os_error()),
    }
}

fn address_of(path: &Path) -> Result<(libc::sockaddr_un, libc::socklen_t), IoError> {
    // SAFETY: sockaddr_un is plain data for which zeros are valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= address.sun_path.len() {
        let most = address.sun_path.len() - 1;
        return Err(IoError::new(
            IoKind::InvalidInput,
            format!("the path is {} bytes long, a socket's has at most {most}", bytes.len()),
        ));
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    Ok((address, size_of::<libc::sockaddr_un>() as libc::socklen_t))
}

/// True for a socket file that nobody listens at any more.
fn is_left_over(path: &Path, address: &libc::sockaddr_un, length: libc::socklen_t) -> Result<bool, IoError> {
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let fd = Fd::socket(libc::AF_UNIX, libc::SOCK_STREAM)?;
    // SAFETY: `address` is a valid sockaddr_un, readable for `length`. Non-blocking: a full backlog is EAGAIN, which is alive.
    let connected = unsafe { libc::connect(fd.number(), std::ptr::from_ref(address).cast(), length) } == 0;
    Ok(!connected && IoError::last_os_error().kind() == IoKind::ConnectionRefused)
}
