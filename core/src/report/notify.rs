//! Words to systemd over `NOTIFY_SOCKET` (sd_notify(3)): one datagram each, sent or dropped, never waited for.
//!
//! The socket is ours, opened once, so that no descriptor has to be had during the shutdown. It is not connected: systemd may
//! re-execute itself and bind anew in between. Sending allocates nothing.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::clock::micros;

/// The way to the service manager.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    to: SocketAddr,
}

impl Notify {
    /// `READY=1`: the service is up.
    pub const READY: &'static str = "READY=1";
    /// `STOPPING=1`: the shutdown has begun.
    pub const STOPPING: &'static str = "STOPPING=1";

    /// Opens the way that the value of `NOTIFY_SOCKET` names: an absolute path, or `@` and an abstract name. `None` where
    /// there is none, where it is of another family (vsock), or where no socket can be had: then nobody is told.
    #[must_use]
    pub fn from_env(notify_socket: Option<&OsStr>) -> Option<Notify> {
        let name = notify_socket?;
        let to = match name.as_bytes() {
            [b'@', rest @ ..] if !rest.is_empty() => SocketAddr::from_abstract_name(rest).ok()?,
            [b'/', ..] => SocketAddr::from_pathname(name).ok()?,
            _ => return None,
        };
        // The standard library opens it close-on-exec and sends with MSG_NOSIGNAL; non-blocking is set on our own socket only.
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Notify { socket, to })
    }

    /// Sends `lines`, each `KEY=value`, with a line end between two. Returns at once; what cannot be sent now is dropped.
    pub fn send(&self, lines: &str) {
        let _dropped = self.socket.send_to_addr(lines.as_bytes(), &self.to);
    }

    /// `STATUS=text`: one line for `systemctl status`; line ends in `text` become spaces.
    #[must_use]
    pub fn status(text: &str) -> String {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("STATUS={line}")
    }

    /// `EXTEND_TIMEOUT_USEC=n`: from now on `d` more before the stop timeout ends.
    #[must_use]
    pub fn extend(d: Duration) -> String {
        format!("EXTEND_TIMEOUT_USEC={}", micros(d))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Instant;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    #[test]
    fn a_socket_in_the_file_system_hears_every_word() {
        let path = std::env::temp_dir().join(format!("gs-notify-{}.sock", std::process::id()));
        let _absent = std::fs::remove_file(&path);
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let notify = Notify::from_env(Some(path.as_os_str())).unwrap();
        for word in
            [Notify::READY, Notify::STOPPING, &Notify::status("drain:\n3 left"), &Notify::extend(Duration::from_millis(1500))]
        {
            notify.send(word);
        }
        assert_eq!(received(&systemd), "READY=1");
        assert_eq!(received(&systemd), "STOPPING=1");
        assert_eq!(received(&systemd), "STATUS=drain: 3 left");
        assert_eq!(received(&systemd), "EXTEND_TIMEOUT_USEC=1500000");
        // Bound anew, as after a re-execution of systemd: the next word arrives.
        drop(systemd);
        std::fs::remove_file(&path).unwrap();
        notify.send(Notify::READY);
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        notify.send(Notify::STOPPING);
        assert_eq!(received(&systemd), "STOPPING=1");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_abstract_socket_hears_too() {
        let name = format!("gs-notify-{}", std::process::id());
        let systemd = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        systemd.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Notify::from_env(Some(OsStr::new(&format!("@{name}")))).unwrap().send(Notify::STOPPING);
        assert_eq!(received(&systemd), "STOPPING=1");
    }

    #[test]
    fn a_full_receiver_never_blocks_the_sender() {
        let name = format!("gs-notify-full-{}", std::process::id());
        let _deaf = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notify = Notify::from_env(Some(OsStr::new(&format!("@{name}")))).unwrap();
        let start = Instant::now();
        (0..10_000).for_each(|_| notify.send(Notify::STOPPING));
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_is_no_socket_is_nobody() {
        assert!(Notify::from_env(None).is_none());
        let long = format!("/{}", "x".repeat(200));
        for name in ["", "@", "relative", "vsock:2:9", &long] {
            assert!(Notify::from_env(Some(OsStr::new(name))).is_none(), "{name}");
        }
        Notify::from_env(Some(OsStr::new("/nobody/here"))).unwrap().send(Notify::STOPPING);
    }
}
