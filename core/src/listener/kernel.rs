//! What the kernel knows of a listening socket, and a filter on it. Linux.

use std::os::fd::RawFd;
use std::path::Path;

/// The state of a listener in TCP_INFO.
const TCP_LISTEN: u8 = 10;

fn get<T>(fd: RawFd, level: i32, name: i32, mut value: T) -> Option<T> {
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` and `len` are valid and writable, and `len` is the size of `value`; T is plain data.
    let rc = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut len) };
    (rc == 0).then_some(value)
}

/// How many connections wait to be accepted; `None` for what is no TCP listener. Never blocks.
#[must_use]
pub fn queued(fd: RawFd) -> Option<u32> {
    // SAFETY: tcp_info is plain data, for which zeros are a value.
    let info: libc::tcp_info = get(fd, libc::IPPROTO_TCP, libc::TCP_INFO, unsafe { std::mem::zeroed() })?;
    // In the state of a listener `tcpi_unacked` is the length of the accept queue (tcp_get_info in the kernel).
    (info.tcpi_state == TCP_LISTEN).then_some(info.tcpi_unacked)
}

/// This process's TCP listeners on `port`, for hosts that do not tell their descriptors. Reads /proc/self/fd.
#[must_use]
pub fn on_port(port: u16) -> Vec<RawFd> {
    let fds = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let fds = fds.filter_map(|e| e.file_name().to_str().and_then(|name| name.parse().ok()));
    fds.filter(|&fd| queued(fd).is_some() && local_port(fd) == Some(port)).collect()
}

fn local_port(fd: RawFd) -> Option<u16> {
    // SAFETY: sockaddr_in6 is plain data, for which zeros are a value.
    let mut at: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&at) as libc::socklen_t;
    // SAFETY: `at` and `len` are valid and writable, and `len` is the size of `at`.
    let rc = unsafe { libc::getsockname(fd, (&raw mut at).cast(), &raw mut len) };
    // The port stands at the same place in sockaddr_in.
    let is_ip = matches!(i32::from(at.sin6_family), libc::AF_INET | libc::AF_INET6);
    (rc == 0 && is_ip).then(|| u16::from_be(at.sin6_port))
}

/// Drops the first packet (SYN) of every connection attempt from now on: the attempt waits outside until its kernel sends
/// again, a second later. What is open and what is in the middle of a handshake is not touched. False where that cannot be
/// had: for what is no TCP socket, and for MPTCP, which takes no filter. Never blocks.
pub fn turn_away(fd: RawFd) -> bool {
    if get(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL, 0i32) != Some(libc::IPPROTO_TCP) {
        return false;
    }
    const fn line(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code, jt, jf, k }
    }
    // On the TCP header: flags & (SYN|RST|ACK) == SYN -> drop, else keep.
    let mut code = [
        line(0x30, 0, 0, 13),   // ldb [13]
        line(0x54, 0, 0, 0x16), // and #SYN|RST|ACK
        line(0x15, 0, 1, 0x02), // jeq #SYN, next, skip
        line(0x06, 0, 0, 0),    // ret #0
        line(0x06, 0, 0, u32::MAX),
    ];
    let program = libc::sock_fprog { len: code.len() as libc::c_ushort, filter: code.as_mut_ptr() };
    // SAFETY: `program` and the `code` it points to live during the call, which copies them.
    let rc = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    rc == 0
}

/// Ends listening for good: who waits in the queue is reset, and who comes later is refused at once. For a listener whose program
/// no longer accepts: turned away, newcomers would try again and again until their time is over. False for one that another
/// process has open as well (as [`is_shared`]), which is left alone, and for what does not listen. Reads /proc.
pub fn refuse(fd: RawFd) -> bool {
    if get(fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN, 0i32) != Some(1) || is_shared(fd) {
        return false;
    }
    // SAFETY: shutdown takes a descriptor and a constant; on a closed descriptor it fails.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) == 0 }
}

/// True when another process has this socket open as well, as far as this one may look, or an activator keeps it (systemd's
/// `LISTEN_FDS`). Reads /proc: a millisecond on a small machine, more on one with many processes.
#[must_use]
pub fn is_shared(fd: RawFd) -> bool {
    let links = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path());
    let Ok(socket) = std::fs::read_link(format!("/proc/self/fd/{fd}")) else { return false };
    if !socket.as_os_str().as_encoded_bytes().starts_with(b"socket:") {
        return false;
    }
    if std::env::var_os("LISTEN_FDS").is_some() {
        return true;
    }
    let me = std::process::id().to_string();
    let is_other =
        |p: &Path| p.file_name().is_some_and(|n| n.to_str().is_some_and(|n| n != me && n.bytes().all(|b| b.is_ascii_digit())));
    let has = |p: &Path| links(&p.join("fd")).any(|l| std::fs::read_link(l).is_ok_and(|to| to == socket));
    links(Path::new("/proc")).any(|p| is_other(&p) && has(&p))
}
