//! Closing a listener without cutting anybody off (spec 9.4): the rule on a clock of the test's, the kernel's part for real.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::undocumented_unsafe_blocks, missing_docs)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use graceshut::clock::At;
use graceshut::listener::{self, Linger, Seen};

const LIMIT: Duration = Duration::from_secs(10);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn listeners() -> Vec<TcpListener> {
    ["127.0.0.1:0", "[::1]:0"].into_iter().map(|at| TcpListener::bind(at).unwrap()).collect()
}

/// The kernel's queue is filled by another thread of its own, soon.
fn wait_queued(l: &TcpListener, n: u32) {
    let until = Instant::now() + LIMIT;
    while listener::queued(l.as_raw_fd()) != Some(n) {
        assert!(Instant::now() < until, "{:?} wait, not {n}", listener::queued(l.as_raw_fd()));
        std::thread::sleep(ms(1));
    }
}

/// The step in milliseconds after the start at which it says "close".
fn closes_at(linger: &mut Linger, fds: &[RawFd], mut seen: impl FnMut(u64) -> (bool, bool)) -> u64 {
    (0..10_000)
        .step_by(10)
        .find(|&at| {
            let (came, busy) = seen(at);
            linger.step(At(1_000_000_000).plus(ms(at)), Seen { came, connected: came, busy, listeners: fds })
        })
        .unwrap()
}

fn linger(remaining: Option<u64>) -> Linger {
    Linger::new(At(1_000_000_000), remaining.map(ms))
}

#[test]
fn r9_4_it_closes_when_nobody_has_come_for_a_while() {
    for l in listeners() {
        let fds = [l.as_raw_fd()];
        assert_eq!(closes_at(&mut linger(None), &fds, |_| (false, false)), 200, "150 quiet, 50 empty");
        assert_eq!(closes_at(&mut linger(None), &fds, |at| (at <= 300, false)), 500);
        assert_eq!(closes_at(&mut linger(None), &fds, |at| (false, at < 400)), 450, "somebody was still to be answered");
    }
}

#[test]
fn r9_4_patience_ends_and_is_a_third_of_what_is_left() {
    for l in listeners() {
        let fds = [l.as_raw_fd()];
        // They keep coming up to the turn; those who come later are met by the filter.
        assert_eq!(closes_at(&mut linger(None), &fds, |at| (at <= 1000, true)), 1050);
        assert_eq!(closes_at(&mut linger(Some(900)), &fds, |at| (at <= 300, true)), 350);
        assert_eq!(closes_at(&mut linger(Some(0)), &fds, |_| (true, true)), 0);
    }
}

#[test]
fn r9_4_requests_on_kept_connections_do_not_hold_the_door() {
    for l in listeners() {
        let fds = [l.as_raw_fd()];
        let mut one = linger(None);
        let step = |at: u64, one: &mut Linger, connected: bool| {
            one.step(At(1_000_000_000).plus(ms(at)), Seen { came: true, connected, busy: true, listeners: &fds })
        };
        // A client that asks again on the connection it has, for ever, and one that connects until 1200 ms.
        let closed = (0..10_000).step_by(10).find(|&at| step(at, &mut one, at <= 1200)).unwrap();
        assert_eq!(closed, 1250);
    }
}

#[test]
fn r9_4_the_queue_is_emptied_first() {
    for l in listeners() {
        let (fds, at) = ([l.as_raw_fd()], l.local_addr().unwrap());
        let first = TcpStream::connect(at).unwrap();
        wait_queued(&l, 1);
        let mut one = linger(None);
        let mut taken = None;
        let closed = closes_at(&mut one, &fds, |at| {
            if at == 1200 {
                taken = Some(l.accept().unwrap());
            }
            (false, false)
        });
        assert_eq!(closed, 1240, "patience, and 50 ms after the accept");
        drop(first);
        // Never taken: the limit.
        let l = TcpListener::bind("127.0.0.1:0").unwrap();
        let _waits = TcpStream::connect(l.local_addr().unwrap()).unwrap();
        wait_queued(&l, 1);
        assert_eq!(closes_at(&mut linger(None), &[l.as_raw_fd()], |_| (false, false)), 3000);
        let l = TcpListener::bind("127.0.0.1:0").unwrap();
        let _waits = TcpStream::connect(l.local_addr().unwrap()).unwrap();
        wait_queued(&l, 1);
        assert_eq!(closes_at(&mut linger(Some(900)), &[l.as_raw_fd()], |_| (false, false)), 300 + 450);
    }
}

#[test]
fn turned_away_waits_outside_and_what_was_there_is_served() {
    for l in listeners() {
        let at = l.local_addr().unwrap();
        let mut early = TcpStream::connect(at).unwrap();
        early.write_all(b"request").unwrap();
        wait_queued(&l, 1);
        assert!(listener::turn_away(l.as_raw_fd()));
        let late = TcpStream::connect_timeout(&at, ms(200));
        assert!(matches!(late.unwrap_err().kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock), "it stands before the door");
        wait_queued(&l, 1);
        let (mut served, _) = l.accept().unwrap();
        drop(l);
        let mut text = [0; 7];
        served.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"request");
        assert_eq!(TcpStream::connect(at).unwrap_err().kind(), ErrorKind::ConnectionRefused, "refused, not reset");
        // What is open goes on.
        early.write_all(b"more").unwrap();
        served.read_exact(&mut text[..4]).unwrap();
    }
}

/// What Go's `net.Listen` makes: a filter is refused.
#[test]
fn mptcp_takes_no_filter_and_is_closed_over_an_empty_queue() {
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, libc::IPPROTO_MPTCP) };
    if fd < 0 {
        // A kernel without MPTCP: then nobody has such a listener.
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EPROTONOSUPPORT));
        return;
    }
    let l = unsafe { TcpListener::from_raw_fd(fd) };
    assert_eq!(unsafe { libc::listen(fd, 16) }, 0);
    assert!(!listener::turn_away(fd));
    let at = SocketAddr::from(([127, 0, 0, 1], l.local_addr().unwrap().port()));
    let _waits = TcpStream::connect(at).unwrap();
    wait_queued(&l, 1);
    l.accept().unwrap();
    // Newcomers all the time: 100 ms after the end of patience.
    assert_eq!(closes_at(&mut linger(None), &[fd], |_| (true, false)), 1100);
}

#[test]
fn a_listener_that_another_process_has_is_left_alone() {
    let l = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(!listener::is_shared(l.as_raw_fd()));
    // dup clears close-on-exec: the child has it too.
    let copy = unsafe { libc::dup(l.as_raw_fd()) };
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    unsafe { libc::close(copy) };
    assert!(listener::is_shared(l.as_raw_fd()));
    let _waits = TcpStream::connect(l.local_addr().unwrap()).unwrap();
    wait_queued(&l, 1);
    assert_eq!(closes_at(&mut linger(None), &[l.as_raw_fd()], |_| (false, false)), 1000, "its queue is not ours to empty");
    TcpStream::connect(l.local_addr().unwrap()).expect("no filter stays on it");
    let mut prefork = linger(Some(300)).all_holders_stop();
    assert_eq!(closes_at(&mut prefork, &[l.as_raw_fd()], |_| (false, false)), 100 + 150, "all of them end: the limit");
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(!listener::is_shared(l.as_raw_fd()));
}

#[test]
fn those_on_a_port_are_found() {
    for l in listeners() {
        let at = l.local_addr().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(at).unwrap();
        let _accepted = l.accept().unwrap();
        assert_eq!(listener::on_port(at.port()), [l.as_raw_fd()], "no connection, and not {other:?}");
        drop(l);
        assert!(listener::on_port(at.port()).is_empty());
    }
}

#[test]
fn what_is_no_listener_is_passed_over() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let pair = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(pair.local_addr().unwrap()).unwrap();
    let fds = [-1, 9999, file.as_raw_fd(), stream.as_raw_fd()];
    for fd in fds {
        assert_eq!(listener::queued(fd), None);
    }
    for fd in [-1, 9999, file.as_raw_fd()] {
        assert!(!listener::turn_away(fd) && !listener::is_shared(fd));
    }
    assert_eq!(closes_at(&mut linger(None), &[], |_| (false, false)), 150);
    assert_eq!(closes_at(&mut linger(None), &fds, |_| (false, false)), 150);
}

#[test]
fn r9_4_refused_newcomers_hear_of_it_at_once_unless_the_listener_is_shared() {
    for l in listeners() {
        let at = l.local_addr().unwrap();
        assert!(listener::turn_away(l.as_raw_fd()));
        assert!(listener::refuse(l.as_raw_fd()));
        let begun = Instant::now();
        let refused = TcpStream::connect_timeout(&at, LIMIT).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "after {:?}", begun.elapsed());
        assert!(!listener::refuse(l.as_raw_fd()), "it listens no longer");
    }
    let shared = TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = shared.as_raw_fd();
    // SAFETY: F_SETFD takes an open descriptor and flags.
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }, 0);
    let mut holder = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Its echo says that it is `cat` by now, with what it has inherited.
    holder.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    holder.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    assert!(!listener::refuse(fd));
    assert!(TcpStream::connect_timeout(&shared.local_addr().unwrap(), LIMIT).is_ok());
    drop(holder.stdin.take());
    holder.wait().unwrap();
}
