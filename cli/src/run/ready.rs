//! Is a program ready? Asked on a thread of its own, which ends with the answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

use graceshut::ReadyWhen;

use super::post::{Note, Post};

const EVERY: Duration = Duration::from_millis(50);
/// One question takes no longer.
const LIMIT: Duration = Duration::from_secs(1);

/// Tells `post` when program `unit` is ready, or that it was not within `limit`.
pub fn ask(unit: usize, when: &ReadyWhen, limit: Duration, post: &Post) {
    let (when, thread_post) = (when.clone(), post.clone());
    let work = move || {
        let until = Instant::now() + limit;
        let answer = loop {
            if is_ready(&when) {
                break Ok(());
            }
            if Instant::now() >= until {
                break Err(format!("not ready within {}", graceshut::format_duration(limit)));
            }
            std::thread::sleep(EVERY);
        };
        thread_post.send(Note::Ready(unit, answer));
    };
    if let Err(e) = std::thread::Builder::new().name("ready".to_owned()).spawn(work) {
        post.send(Note::Ready(unit, Err(format!("cannot ask whether it is ready: {e}"))));
    }
}

fn is_ready(when: &ReadyWhen) -> bool {
    match when {
        ReadyWhen::Started => true,
        ReadyWhen::Delay(d) => {
            std::thread::sleep(*d);
            true
        }
        ReadyWhen::File(path) => Path::new(path).exists(),
        ReadyWhen::Tcp(at) => TcpStream::connect_timeout(at, LIMIT).is_ok(),
        ReadyWhen::Http(url) => answers_2xx(url).unwrap_or(false),
    }
}

fn answers_2xx(url: &str) -> Option<bool> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let full = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let at: SocketAddr = full.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&at, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    stream.set_write_timeout(Some(LIMIT)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: graceshut-run\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    // "HTTP/1.1 2"
    let mut head = [0; 10];
    stream.read_exact(&mut head).ok()?;
    Some(head.starts_with(b"HTTP/1.") && head[8..] == *b" 2")
}
