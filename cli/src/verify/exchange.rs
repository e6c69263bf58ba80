//! One request on one connection, and what exactly became of it.

use super::http::Answer;
use super::wire::Wire;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A complete answer came.
    Answered {
        /// Its status.
        status: u16,
        /// The connection may be used again.
        keep: bool,
        /// From the first byte sent to the last byte read.
        took: Duration,
    },
    /// The kernel took not a single byte of it: nobody can have begun to serve it.
    NothingSent,
    /// At least one byte was handed to the kernel, and no complete answer came.
    CutOff {
        /// The peer closed the connection without having read the request.
        unread: bool,
        /// Where and how.
        what: String,
    },
}

/// Sends `request` and reads its answer. `give_up` is asked at least every [`super::target::SLICE`] while nothing
/// comes; the reason it gives ends the wait, which is the only bound on it.
pub fn exchange(stream: &mut Wire, request: &[u8], give_up: &dyn Fn() -> Option<String>) -> Outcome {
    let began = Instant::now();
    let acked_before = bytes_acked(stream.socket());
    let (sent, mut trouble) = send(stream, request, give_up);
    if sent == 0 {
        return Outcome::NothingSent;
    }
    // Also after a write that failed half way there may be an answer to read: a server may refuse before it has
    // read everything.
    let mut answer = Answer::new();
    let mut buffer = [0; 16 * 1024];
    let mut end = End::Other;
    let why = loop {
        match stream.read(&mut buffer) {
            Ok(0) if answer.end_of_stream() => return answered(&answer, began),
            Ok(0) => {
                end = End::Closed;
                break "connection closed".to_owned();
            }
            Ok(n) => match answer.feed(&buffer[..n]) {
                Ok(true) => return answered(&answer, began),
                Ok(false) => {}
                Err(nonsense) => break format!("answer not understood: {nonsense}"),
            },
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if let Some(reason) = give_up() {
                    break reason;
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                end = End::Reset;
                break "connection reset".to_owned();
            }
            Err(e) => break trouble.take().unwrap_or_else(|| e.to_string()),
        }
    };
    // A peer that closes with a request unread resets the connection. One that had closed before the request arrived
    // has said so already (the end we read), and its kernel never acknowledges the request. Only one that took the
    // request and then closed in good order did begin with it.
    let arrived = acked_before.zip(bytes_acked(stream.socket())).is_some_and(|(before, after)| after > before);
    let unread = !answer.started() && (end == End::Reset || end == End::Closed && !arrived);
    Outcome::CutOff { unread, what: format!("{why} {}", answer.position()) }
}

/// How the connection ended under a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
    /// It did not: our patience did, or nonsense came.
    Other,
}

/// How many bytes of ours the peer's kernel has acknowledged; `None` where ours is too old to know.
fn bytes_acked(stream: &TcpStream) -> Option<u64> {
    // `struct tcp_info` only ever grows; its field tcpi_bytes_acked (Linux 4.1) is at 120, after 8 bytes, 24 words of 32
    // bits and 2 of 64.
    const AT: usize = 120;
    let mut info = [0_u8; AT + 8];
    let mut length = info.len() as libc::socklen_t;
    // SAFETY: the descriptor is open (borrowed from a live stream); pointer and length describe the live buffer.
    let rc = unsafe {
        libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut length)
    };
    let whole = rc == 0 && length as usize == info.len();
    whole.then(|| info[AT..].try_into().map(u64::from_ne_bytes).ok()).flatten()
}

fn answered(answer: &Answer, began: Instant) -> Outcome {
    Outcome::Answered { status: answer.status, keep: answer.keeps_connection(), took: began.elapsed() }
}

/// Hands the request to the kernel. How much of it was taken, and what stopped it from taking the rest.
fn send(stream: &mut Wire, request: &[u8], give_up: &dyn Fn() -> Option<String>) -> (usize, Option<String>) {
    let mut sent = 0;
    while sent < request.len() {
        match stream.write(&request[sent..]) {
            Ok(n) => sent += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if let Some(reason) = give_up() {
                    return (sent, Some(reason));
                }
            }
            Err(e) => return (sent, Some(e.to_string())),
        }
    }
    (sent, None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// Runs one exchange against a peer that does `peer` with the connection once it has read the request.
    fn with_peer(peer: impl FnOnce(TcpStream) + Send + 'static) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).unwrap();
            peer(stream);
        });
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let limit = Instant::now() + Duration::from_secs(10);
        let outcome =
            exchange(&mut Wire::Plain(stream), b"ping", &|| (Instant::now() > limit).then(|| "test limit".to_owned()));
        server.join().unwrap();
        outcome
    }

    fn cut_off(outcome: Outcome) -> (bool, String) {
        match outcome {
            Outcome::CutOff { unread, what } => (unread, what),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_in_two_pieces_is_an_answer() {
        let outcome = with_peer(|mut s| {
            s.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap();
            // Longer than a read slice, so that the wait in between is gone through.
            thread::sleep(Duration::from_millis(60));
            s.write_all(b"ngth: 2\r\n\r\nhi").unwrap();
        });
        assert!(matches!(outcome, Outcome::Answered { status: 200, keep: true, took } if took >= Duration::from_millis(50)));
    }

    #[test]
    fn closed_without_a_byte() {
        let (unread, what) = cut_off(with_peer(drop));
        assert_eq!((unread, what.as_str()), (false, "connection closed before the first byte of the answer"));
    }

    #[test]
    fn closed_before_the_request_came_or_before_it_was_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        for read_all in [true, false] {
            let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut theirs, _) = listener.accept().unwrap();
            // A first request and answer, as on a connection that is used again.
            theirs.write_all(answer).unwrap();
            ours.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut ours = Wire::Plain(ours);
            let limit = Instant::now() + Duration::from_secs(10);
            let give_up = || (Instant::now() > limit).then(|| "test limit".to_owned());
            assert!(matches!(exchange(&mut ours, b"ping", &give_up), Outcome::Answered { .. }));
            theirs.read_exact(&mut [0; 4]).unwrap();
            let outcome = if read_all {
                drop(theirs);
                exchange(&mut ours, b"ping", &give_up)
            } else {
                let server = thread::spawn(move || {
                    // Looks at the second request without taking it, then closes.
                    theirs.peek(&mut [0; 4]).unwrap();
                });
                let outcome = exchange(&mut ours, b"ping", &give_up);
                server.join().unwrap();
                outcome
            };
            let (unread, what) = cut_off(outcome);
            assert!(unread, "{what}");
        }
    }

    #[test]
    fn closed_in_the_body() {
        let (unread, what) =
            cut_off(with_peer(|mut s| s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").unwrap()));
        assert_eq!((unread, what.as_str()), (false, "connection closed in the body, after 3 of 9 bytes"));
    }

    #[test]
    fn reset_in_the_head() {
        let (unread, what) = cut_off(with_peer(|mut s| {
            s.write_all(b"HTTP/1.1 2").unwrap();
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            // SAFETY: the descriptor is open and the pointer and length describe one live `linger`.
            let rc = unsafe {
                libc::setsockopt(
                    s.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    (&raw const linger).cast(),
                    size_of::<libc::linger>() as libc::socklen_t,
                )
            };
            assert_eq!(rc, 0);
        }));
        assert!(what.starts_with("connection reset"), "{what}");
        assert!(!unread, "an answer that began is an answer to something read");
    }

    #[test]
    fn patience_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (unread, what) = cut_off(exchange(&mut Wire::Plain(stream), b"ping", &|| Some("no answer".to_owned())));
        assert_eq!((unread, what.as_str()), (false, "no answer before the first byte of the answer"));
    }

    #[test]
    fn a_write_that_fails_at_once_sent_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(exchange(&mut Wire::Plain(stream), b"ping", &|| None), Outcome::NothingSent);
    }
}
