//! The URLs of a check, and connections to them.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::wire::Wire;

/// Reads and writes come back at least this often, so that whoever waits can look around: nothing blocks for longer.
pub const SLICE: Duration = Duration::from_millis(50);
/// A handshake on a network one would run this check over takes far less; a dropped SYN is sent again after 1 s.
const CONNECT_LIMIT: Duration = Duration::from_millis(1500);

/// An `http://` or `https://` URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As it was given.
    pub text: String,
    secure: bool,
    host: String,
    /// The port, 80 or 443 if none was named.
    pub port: u16,
    /// Path and query, as the request line has them.
    pub path: String,
}

impl Url {
    /// Takes `http[s]://host[:port][/path][?query]` apart; host may be `[::1]`.
    pub fn parse(text: &str) -> Result<Url, String> {
        let (secure, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err("write it like http://127.0.0.1:8080/path".into()),
        };
        if text.bytes().any(|b| b <= b' ' || b == 0x7f) || !text.is_ascii() {
            return Err("spaces, control and non-ASCII characters must be percent-encoded".into());
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        if authority.contains('@') {
            return Err("user names and passwords in the URL are not supported".into());
        }
        let (host, port) = split_port(authority, standard_port(secure))?;
        if host.is_empty() {
            return Err("the URL has no host".into());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Url { text: text.to_owned(), secure, host: host.to_owned(), port, path })
    }

    /// The value of the `Host` header.
    pub fn host_header(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == standard_port(self.secure) { host } else { format!("{host}:{}", self.port) }
    }
}

fn standard_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn split_port(authority: &str, standard: u16) -> Result<(&str, u16), String> {
    let (host, port) = if let Some(inside) = authority.strip_prefix('[') {
        let (host, after) = inside.split_once(']').ok_or("the [ of the address is never closed")?;
        (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').unwrap_or_default()) })
    } else {
        authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
    };
    match port.map_or(Ok(standard), str::parse::<u16>) {
        Ok(port) if port != 0 => Ok((host, port)),
        _ => Err(format!("no valid port in {authority:?}")),
    }
}

/// A URL and the addresses its host stood for when the check began.
#[derive(Clone, Debug)]
pub struct Target {
    /// The URL.
    pub url: Url,
    addrs: Vec<SocketAddr>,
}

impl Target {
    /// Looks the host up.
    pub fn resolve(url: &Url) -> Result<Target, String> {
        let addrs = (url.host.as_str(), url.port)
            .to_socket_addrs()
            .map_err(|e| format!("cannot look up the host of {}: {e}", url.text))?
            .collect::<Vec<_>>();
        if addrs.is_empty() {
            return Err(format!("the host of {} has no address", url.text));
        }
        Ok(Target { url: url.clone(), addrs })
    }

    /// A new connection to the first address that takes one. Reads and writes on it end after [`SLICE`] at the latest.
    pub fn connect(&self) -> io::Result<Wire> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for addr in &self.addrs {
            match open(addr) {
                Ok(socket) if self.url.secure => return Wire::tls(socket, &self.url.host, Instant::now() + CONNECT_LIMIT),
                Ok(socket) => return Ok(Wire::Plain(socket)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// True if somebody accepts connections there.
    pub fn accepts(&self) -> bool {
        self.addrs.iter().any(|addr| open(addr).is_ok())
    }

    /// True if both lead to the same socket.
    pub fn same_port(&self, other: &Target) -> bool {
        self.url.port == other.url.port && self.addrs.iter().any(|a| other.addrs.contains(a))
    }

    /// True if somebody has the port already: it takes connections, or we could not listen on it ourselves.
    pub fn is_taken(&self) -> bool {
        self.addrs
            .iter()
            .any(|addr| open(addr).is_ok() || TcpListener::bind(addr).is_err_and(|e| e.kind() == io::ErrorKind::AddrInUse))
    }
}

fn open(addr: &SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(addr, CONNECT_LIMIT)?;
    // With nobody listening on a port of the ephemeral range, the kernel may pick that very port as our own, and TCP
    // then connects the socket to itself. That is nobody's answer.
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        close_hard(stream);
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
    }
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SLICE))?;
    stream.set_write_timeout(Some(SLICE))?;
    Ok(stream)
}

/// Closes without TIME_WAIT, which on a self-connected socket would keep the service from its port.
fn close_hard(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the descriptor is open (we own the stream) and the pointer and length describe one live `linger`.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn takes_urls_apart() {
        let url = Url::parse("http://127.0.0.1:8080/a/b?c=d#e").unwrap();
        assert_eq!((url.host_header().as_str(), url.port, url.path.as_str()), ("127.0.0.1:8080", 8080, "/a/b?c=d"));
        let url = Url::parse("http://[::1]:81").unwrap();
        assert_eq!((url.host_header().as_str(), url.port, url.path.as_str()), ("[::1]:81", 81, "/"));
        let url = Url::parse("https://[::1]/x").unwrap();
        assert_eq!((url.host_header().as_str(), url.port, url.secure), ("[::1]", 443, true));
        assert_eq!(Url::parse("https://a:80").unwrap().host_header(), "a:80");
        let url = Url::parse("http://localhost?x").unwrap();
        assert_eq!((url.host_header().as_str(), url.port, url.path.as_str()), ("localhost", 80, "/?x"));
    }

    #[test]
    fn refuses_what_it_cannot_serve() {
        for bad in [
            "",
            "127.0.0.1:80",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://a:0/",
            "http://a:99999/",
            "http://a:b/",
            "http://u:p@a/",
            "http://a/ b",
            "http://a/\r\nX: y",
            "http://[::1/",
            "http://[::1]x/",
            "http://[::1]:/",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn knows_a_taken_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Target::resolve(&Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap()).unwrap();
        assert!(target.is_taken());
        drop(listener);
        assert!(!target.is_taken());
        assert!(!target.accepts());
        assert_eq!(target.connect().map(drop).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
