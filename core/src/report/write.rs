//! The report to where it belongs (spec 11.1), within a limit, whatever state that place is in.
//!
//! Promises: 1. No descriptor that graceshut did not open is set non-blocking, nor changed in any other way.
//! 2. A pipe, terminal or socket is written only while it can take something, at most PIPE_BUF bytes at a time, and not past
//! the limit. 3. A writer without a reader never kills: SIGPIPE is blocked around the writing and taken back.
//! What remains: a write to a regular file on a dead network disk waits in the kernel; the watchdog is not on this thread.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::At;
use crate::config::ReportTo;

/// The longest human line, its line end included.
const LINE: usize = 1024;
/// What a pipe takes in one piece (PIPE_BUF).
const PIECE: usize = 4096;
const TERMINATION_LOG: &str = "/dev/termination-log";
/// Kubernetes keeps the last so many bytes of the termination log.
const TERMINATION_LIMIT: usize = 4096;

/// Writes the human `line` or the `json` object, whichever `to` wants, as one line, and gives up at `limit`.
///
/// A file appears whole or not at all, by a rename, where its folder allows that; else it is written in place. The termination
/// log gets the human line when the object is too long for Kubernetes to keep. A descriptor may be left with a part of it.
///
/// # Errors
/// The system's own, or [`ErrorKind::TimedOut`]; never for stderr, where what cannot be written is dropped.
pub fn deliver(to: &ReportTo, line: &str, json: &str, limit: At) -> Result<(), Error> {
    let object = || format!("{}\n", json.trim_end());
    match to {
        ReportTo::None => Ok(()),
        ReportTo::Line => {
            let _dropped = to_descriptor(libc::STDERR_FILENO, human(line).as_bytes(), limit);
            Ok(())
        }
        ReportTo::StderrJson => {
            let _dropped = to_descriptor(libc::STDERR_FILENO, object().as_bytes(), limit);
            Ok(())
        }
        ReportTo::Fd(fd) => to_descriptor(*fd, object().as_bytes(), limit),
        ReportTo::TerminationLog => {
            let text = Some(object()).filter(|o| o.len() <= TERMINATION_LIMIT).unwrap_or_else(|| human(line));
            in_place(Path::new(TERMINATION_LOG), text.as_bytes(), false, limit)
        }
        ReportTo::Path(path) => to_file(&with_pid(path), object().as_bytes(), limit),
    }
}

/// One line of at most 1 KiB: control characters become spaces, what is too long is cut between two characters.
fn human(line: &str) -> String {
    let mut text: String = line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = text.len().min(LINE - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('\n');
    text
}

fn with_pid(path: &Path) -> PathBuf {
    match path.to_str() {
        Some(text) if text.contains("%p") => PathBuf::from(text.replace("%p", &std::process::id().to_string())),
        _ => path.to_owned(),
    }
}

fn to_file(path: &Path, bytes: &[u8], limit: At) -> Result<(), Error> {
    // Opened by name these would be truncated or replaced; they are somebody's open descriptors.
    if let Some(fd) = descriptor_of(path) {
        return to_descriptor(fd, bytes, limit);
    }
    match fs::metadata(path) {
        Ok(m) if m.is_dir() => return Err(Error::from_raw_os_error(libc::EISDIR)),
        Ok(m) if !m.is_file() => return in_place(path, bytes, false, limit),
        _ => {}
    }
    // A link stays a link: its target is what gets replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match beside(&target) {
        Some((file, temporary)) => {
            if let Err(e) = to_descriptor(file.as_raw_fd(), bytes, limit) {
                let _gone = fs::remove_file(&temporary);
                return Err(e);
            }
            if fs::rename(&temporary, &target).is_ok() {
                return Ok(());
            }
            // A file mounted alone can be written but not replaced.
            let _gone = fs::remove_file(&temporary);
            in_place(&target, bytes, true, limit)
        }
        None => in_place(&target, bytes, true, limit),
    }
}

/// The descriptor that `path` is another name of.
fn descriptor_of(path: &Path) -> Option<i32> {
    match path.to_str()? {
        "/dev/stdout" => Some(libc::STDOUT_FILENO),
        "/dev/stderr" => Some(libc::STDERR_FILENO),
        other => {
            other.strip_prefix("/dev/fd/").or_else(|| other.strip_prefix("/proc/self/fd/"))?.parse().ok().filter(|fd| *fd >= 0)
        }
    }
}

/// A new file in the folder of `path`, or `None` where none can be made there.
fn beside(path: &Path) -> Option<(File, PathBuf)> {
    let mut name = OsString::from(".");
    name.push(path.file_name()?);
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let create = || OpenOptions::new().write(true).create_new(true).open(&temporary);
    let file = create().or_else(|e| {
        // Left by a process that had our pid and was killed: in a container every one is pid 1.
        if e.kind() == ErrorKind::AlreadyExists {
            fs::remove_file(&temporary)?;
            return create();
        }
        Err(e)
    });
    file.ok().map(|file| (file, temporary))
}

/// Writes to what `path` names now. The descriptor is ours, hence non-blocking: a FIFO without a reader is an error at once.
fn in_place(path: &Path, bytes: &[u8], create: bool, limit: At) -> Result<(), Error> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().write(true).create(create).truncate(true).custom_flags(flags).open(path)?;
    to_descriptor(file.as_raw_fd(), bytes, limit)
}

/// What decides how a descriptor is written without waiting in the write itself.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Pipe,
    Socket,
    Other,
}

fn to_descriptor(fd: i32, mut bytes: &[u8], limit: At) -> Result<(), Error> {
    let mut kind = kind_of(fd)?;
    let _quiet = NoSigpipe::begin();
    while !bytes.is_empty() {
        wait_writable(fd, limit)?;
        let piece = &bytes[..bytes.len().min(PIECE)];
        match write_some(fd, kind, piece) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(e) => match e.raw_os_error() {
                Some(libc::EINTR) => {}
                // Somebody else filled it between the look and the write.
                Some(libc::EAGAIN) if At::now() < limit => std::thread::sleep(Duration::from_millis(1)),
                Some(libc::EAGAIN) => return Err(ErrorKind::TimedOut.into()),
                // A kernel whose pipes know no RWF_NOWAIT: what poll said has to do.
                Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) if kind == Kind::Pipe => kind = Kind::Other,
                _ => return Err(e),
            },
        }
    }
    Ok(())
}

fn kind_of(fd: i32) -> Result<Kind, Error> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is writable and of the right type; a bad descriptor is an error, not undefined.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: fstat returned 0, hence filled it.
    let mode = unsafe { stat.assume_init() }.st_mode & libc::S_IFMT;
    Ok(match mode {
        libc::S_IFIFO => Kind::Pipe,
        libc::S_IFSOCK => Kind::Socket,
        _ => Kind::Other,
    })
}

/// Waits until `fd` takes something (or has an error to tell, which the write then does). Looks once also past the limit.
fn wait_writable(fd: i32, limit: At) -> Result<(), Error> {
    loop {
        let left = limit - At::now();
        let ms = i32::try_from(left.as_millis().saturating_add(u128::from(!left.is_zero()))).unwrap_or(i32::MAX);
        let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one valid pollfd, which outlives the call.
        match unsafe { libc::poll(&mut poll, 1, ms) } {
            0 => return Err(ErrorKind::TimedOut.into()),
            n if n > 0 && poll.revents & libc::POLLNVAL != 0 => return Err(Error::from_raw_os_error(libc::EBADF)),
            n if n > 0 => return Ok(()),
            _ => {
                let e = Error::last_os_error();
                if e.kind() != ErrorKind::Interrupted {
                    return Err(e);
                }
            }
        }
    }
}

fn write_some(fd: i32, kind: Kind, piece: &[u8]) -> Result<usize, Error> {
    let written = match kind {
        // SAFETY: `piece` is readable for its length; send keeps no pointer.
        Kind::Socket => unsafe { libc::send(fd, piece.as_ptr().cast(), piece.len(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) },
        Kind::Pipe => {
            let part = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
            // SAFETY: one iovec over `piece`, which is only read; offset -1 means "as write(2)". RWF_NOWAIT makes this one
            // call non-blocking and leaves the descriptor as it is.
            unsafe { libc::pwritev2(fd, &raw const part, 1, -1, libc::RWF_NOWAIT) }
        }
        // SAFETY: `piece` is readable for its length; write keeps no pointer.
        Kind::Other => unsafe { libc::write(fd, piece.as_ptr().cast(), piece.len()) },
    };
    usize::try_from(written).map_err(|_| Error::last_os_error())
}

/// SIGPIPE blocked on this thread while it lives; one that came meanwhile is taken, so that nobody else gets it.
struct NoSigpipe {
    before: libc::sigset_t,
    pending: bool,
}

impl NoSigpipe {
    fn begin() -> NoSigpipe {
        let pipe = sigpipe();
        let mut pending = sigpipe();
        let mut before = sigpipe();
        // SAFETY: a valid set to fill; this cannot fail.
        unsafe { libc::sigpending(&mut pending) };
        // SAFETY: two valid sets; the mask of the calling thread only.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, &mut before) };
        // SAFETY: `pending` was filled above.
        let pending = unsafe { libc::sigismember(&pending, libc::SIGPIPE) } == 1;
        NoSigpipe { before, pending }
    }
}

impl Drop for NoSigpipe {
    fn drop(&mut self) {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        if !self.pending {
            // SAFETY: a valid set and time; no information about the signal is asked for. With a time of 0 it only looks.
            unsafe { libc::sigtimedwait(&sigpipe(), std::ptr::null_mut(), &now) };
        }
        // SAFETY: the set that pthread_sigmask filled in `begin`.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

fn sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is valid and writable; sigemptyset initialises the whole set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised above; SIGPIPE is a valid signal.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: initialised above.
    unsafe { set.assume_init() }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
