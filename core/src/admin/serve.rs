//! The thread's loop: one `poll` over the listener, the connections and what else there is to watch.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::fd::{Doorbell, Fd, receive, send};
use super::http::{self, Asked, Peer};
use super::watch::{Parent, Stdin};
use crate::clock::At;
use crate::config::Token;
use crate::error::Error;
use crate::process::fds::leave_to_parent;
use crate::signal;

/// Connections at a time.
pub(super) const MOST: usize = 32;
/// Of these, the ones that wait for a preStop's drain.
const MOST_WAITING: usize = 8;
/// How long a request may take to arrive, and an answer to leave.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// A connection that has not said anything whole for this long gives its place away when somebody needs it.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long a client is given to read the answer to its end.
const LINGER: Duration = Duration::from_millis(500);
/// How often a waiting preStop is looked at. Only then does the thread wake by itself.
const GLANCE: Duration = Duration::from_millis(1);
/// How long nothing is accepted after the system had no room.
const REST: Duration = Duration::from_millis(100);

/// Whoever knows the answers. Called on the server's thread; must not block.
pub(crate) trait Desk {
    /// False when the thread is to end.
    fn is_open(&self) -> bool;
    /// True when the process may be sent work.
    fn is_ready(&self) -> bool;
    /// The state as a JSON object.
    fn status(&self) -> String;
    /// Triggers a preStop.
    fn prestop(&self);
    /// True when a preStop has nothing to wait for any more.
    fn is_past_prestop(&self) -> bool;
    /// The parent process is gone.
    fn parent_died(&self);
    /// Stdin has ended.
    fn stdin_ended(&self);
}

enum Stage {
    /// The request has not arrived as a whole.
    Reading(Vec<u8>),
    /// A preStop drains.
    Waiting,
    /// The answer, and how much of it is sent.
    Writing(Vec<u8>, usize),
    /// The client reads and closes. Closed before it has sent everything, it would be reset and lose the answer.
    Lingering(usize),
}

struct Connection {
    fd: Fd,
    peer: Peer,
    stage: Stage,
    since: At,
    until: At,
}

/// What the thread owns.
pub(crate) struct Server {
    doorbell: Arc<Fd>,
    endpoint: Option<Endpoint>,
    parent: Option<Parent>,
    stdin: Option<Stdin>,
    token: Option<Token>,
    connections: Vec<Connection>,
    /// Given up to accept one connection more when the process has no descriptor left.
    spare: Option<Fd>,
    rest_until: At,
}

/// What a descriptor in the poll set stands for.
const DOORBELL: usize = 0;
const LISTENER: usize = 1;
const PARENT: usize = 2;
const STDIN: usize = 3;
const FIXED: usize = 4;

impl Server {
    /// The server, and what wakes its thread to look at [`Desk::is_open`].
    ///
    /// # Errors
    /// `Os` when there is no descriptor left.
    pub(crate) fn new(
        endpoint: Option<Endpoint>,
        parent: Option<Parent>,
        stdin: Option<Stdin>,
        token: Option<Token>,
    ) -> Result<(Server, Doorbell), Error> {
        let (doorbell, bell) = Doorbell::new().map_err(|e| Error::os("admin: cannot make a socket", &e))?;
        let connections = Vec::with_capacity(MOST);
        let mut server = Server { doorbell, endpoint, parent, stdin, token, connections, spare: None, rest_until: At(0) };
        server.keep_spare();
        Ok((server, bell))
    }

    /// The thread's body.
    pub(crate) fn run(mut self, desk: &dyn Desk) {
        signal::block_all_but(None);
        let mut set = Vec::with_capacity(FIXED + MOST);
        while desk.is_open() && self.has_work() {
            let now = At::now();
            self.fill(&mut set, now);
            if !poll(&mut set, self.next_look(now)) {
                break;
            }
            if set[DOORBELL].revents != 0 && !desk.is_open() {
                break;
            }
            // A doorbell that is gone would be ready for ever.
            if set[DOORBELL].revents & libc::POLLNVAL != 0 || set[DOORBELL].revents != 0 && !self.doorbell.is_ours() {
                break;
            }
            self.look_at_ends(&set, desk);
            // A panic in an answer costs the connections there are, not the thread.
            let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.serve(&set, desk)));
            if served.is_err() {
                self.connections.clear();
            }
        }
        leave_to_parent(std::iter::empty());
    }

    fn has_work(&self) -> bool {
        self.endpoint.is_some() || self.parent.is_some() || self.stdin.is_some() || !self.connections.is_empty()
    }

    fn fill(&self, set: &mut Vec<libc::pollfd>, now: At) {
        let entry = |fd: i32, events: i16| libc::pollfd { fd, events, revents: 0 };
        let listens = self.endpoint.as_ref().filter(|_| now >= self.rest_until && self.has_place(now));
        set.clear();
        set.push(entry(self.doorbell.number(), 0));
        set.push(entry(listens.map_or(-1, |e| e.listener.number()), libc::POLLIN));
        set.push(entry(self.parent.as_ref().map_or(-1, |p| p.pidfd.number()), libc::POLLIN));
        // What lies there unread must not wake anybody: only the end does.
        set.push(entry(self.stdin.as_ref().map_or(-1, |_| libc::STDIN_FILENO), libc::POLLRDHUP));
        set.extend(self.connections.iter().map(|c| {
            let events = match c.stage {
                Stage::Reading(_) | Stage::Lingering(_) => libc::POLLIN,
                Stage::Writing(..) => libc::POLLOUT,
                Stage::Waiting => 0,
            };
            entry(c.fd.number(), events)
        }));
    }

    /// When to look without being told.
    fn next_look(&self, now: At) -> At {
        let waits = self.connections.iter().any(|c| matches!(c.stage, Stage::Waiting));
        let mut next = if waits { now.plus(GLANCE) } else { At::NEVER };
        for c in &self.connections {
            next = next.min(c.until);
        }
        if now < self.rest_until {
            next = next.min(self.rest_until);
        }
        if !self.has_place(now) {
            next = next.min(self.oldest_reader().map_or(At::NEVER, |i| self.connections[i].since.plus(PATIENCE)));
        }
        next
    }

    /// The parent's end, stdin's end.
    fn look_at_ends(&mut self, set: &[libc::pollfd], desk: &dyn Desk) {
        if set[PARENT].revents != 0
            && let Some(parent) = self.parent.take()
            && parent.pidfd.is_ours()
        {
            desk.parent_died();
        }
        let ended = libc::POLLHUP | libc::POLLRDHUP | libc::POLLERR;
        if set[STDIN].revents != 0
            && let Some(stdin) = self.stdin.take()
            && stdin.is_the_same()
            && set[STDIN].revents & ended != 0
        {
            desk.stdin_ended();
        }
    }

    fn serve(&mut self, set: &[libc::pollfd], desk: &dyn Desk) {
        let now = At::now();
        let mut revents = set.iter().skip(FIXED);
        let mut k = 0;
        while k < self.connections.len() {
            let ready = revents.next().is_some_and(|p| p.revents != 0);
            if ready || now >= self.connections[k].until || matches!(self.connections[k].stage, Stage::Waiting) {
                let hung_up = ready && matches!(self.connections[k].stage, Stage::Waiting);
                if hung_up || !self.step(k, now, desk) {
                    // Order is kept: `revents` goes on in step with it.
                    self.connections.remove(k);
                    continue;
                }
            }
            k += 1;
        }
        if set[LISTENER].revents != 0 {
            self.accept(desk);
        }
        self.keep_spare();
    }

    /// Room for one more, by now or by taking it from somebody slow.
    fn has_place(&self, now: At) -> bool {
        self.connections.len() < MOST || self.oldest_reader().is_some_and(|i| now >= self.connections[i].since.plus(PATIENCE))
    }

    fn oldest_reader(&self) -> Option<usize> {
        let readers = self.connections.iter().enumerate().filter(|(_, c)| !matches!(c.stage, Stage::Waiting));
        readers.min_by_key(|(_, c)| c.since).map(|(i, _)| i)
    }

    fn accept(&mut self, desk: &dyn Desk) {
        loop {
            let now = At::now();
            if !self.has_place(now) {
                return;
            }
            let Some(endpoint) = &self.endpoint else { return };
            let Some(listener) = endpoint.listener.get() else {
                // The host closed it, and perhaps has the number: the endpoint is gone.
                self.endpoint = None;
                return;
            };
            match accept_one(listener, endpoint.unix) {
                Ok((fd, peer)) => {
                    if self.connections.len() >= MOST
                        && let Some(slow) = self.oldest_reader()
                    {
                        self.connections.remove(slow);
                    }
                    let until = now.plus(REQUEST_LIMIT);
                    self.connections.push(Connection { fd, peer, stage: Stage::Reading(Vec::new()), since: now, until });
                    let last = self.connections.len() - 1;
                    if !self.step(last, now, desk) {
                        self.connections.remove(last);
                    }
                }
                Err(libc::EINTR | libc::ECONNABORTED) => {}
                Err(libc::EAGAIN) => return,
                Err(libc::EMFILE | libc::ENFILE) if self.spare.is_some() => self.spare = None,
                Err(_) => {
                    self.rest_until = now.plus(REST);
                    return;
                }
            }
        }
    }

    /// Has a descriptor in reserve again, and says what a forked child is to close.
    fn keep_spare(&mut self) {
        if self.spare.is_none() {
            self.spare = Fd::socket(libc::AF_UNIX, libc::SOCK_DGRAM).ok();
            let listener = self.endpoint.as_ref().map(|e| &e.listener);
            let parent = self.parent.as_ref().map(|p| &p.pidfd);
            let all = [Some(&*self.doorbell), listener, parent, self.spare.as_ref()];
            leave_to_parent(all.into_iter().flatten().map(Fd::place));
        }
    }

    /// One connection as far as it goes without waiting; false when it is over.
    fn step(&mut self, k: usize, now: At, desk: &dyn Desk) -> bool {
        let waiting = self.connections.iter().filter(|c| matches!(c.stage, Stage::Waiting)).count();
        let token = self.token.as_ref();
        let c = &mut self.connections[k];
        loop {
            let next = match &mut c.stage {
                Stage::Reading(buffer) => match read_request(&c.fd, buffer, c.peer, token) {
                    None => return false,
                    Some(Asked::More) if now < c.until => return true,
                    Some(Asked::More) => {
                        Stage::Writing(http::answer(408, "", false, "the request did not arrive in 5 s", true), 0)
                    }
                    Some(asked) => answer_to(asked, desk, waiting),
                },
                Stage::Waiting if desk.is_past_prestop() => Stage::Writing(state(desk, 200), 0),
                Stage::Waiting => return true,
                Stage::Writing(bytes, sent) if *sent == bytes.len() => {
                    if let Some(fd) = c.fd.get() {
                        // SAFETY: shutdown takes two integers; the socket is ours.
                        unsafe { libc::shutdown(fd, libc::SHUT_WR) };
                    }
                    Stage::Lingering(0)
                }
                Stage::Writing(bytes, sent) => match send(&c.fd, &bytes[*sent..]) {
                    None => return now < c.until,
                    Some(Ok(n)) => {
                        *sent += n;
                        continue;
                    }
                    Some(Err(_)) => return false,
                },
                Stage::Lingering(seen) => {
                    let mut rest = [0; 1024];
                    match receive(&c.fd, &mut rest) {
                        None => return now < c.until,
                        Some(Ok(n)) if n > 0 && *seen < 16 * http::LARGEST => {
                            *seen += n;
                            continue;
                        }
                        _ => return false,
                    }
                }
            };
            c.until = match next {
                Stage::Waiting => At::NEVER,
                Stage::Lingering(_) => now.plus(LINGER),
                _ => now.plus(REQUEST_LIMIT),
            };
            c.stage = next;
        }
    }
}

/// Reads what has arrived; `None` when the peer is gone.
fn read_request(fd: &Fd, buffer: &mut Vec<u8>, peer: Peer, token: Option<&Token>) -> Option<Asked> {
    let mut piece = [0; 1024];
    loop {
        let room = (http::LARGEST - buffer.len()).min(piece.len());
        match receive(fd, &mut piece[..room]) {
            None => return Some(Asked::More),
            Some(Ok(0)) | Some(Err(_)) => return None,
            Some(Ok(n)) => buffer.extend_from_slice(&piece[..n]),
        }
        // At `LARGEST` bytes this is an answer for certain.
        match http::read(buffer, peer, token) {
            Asked::More => {}
            asked => return Some(asked),
        }
    }
}

fn answer_to(asked: Asked, desk: &dyn Desk, waiting: usize) -> Stage {
    let bytes = match asked {
        Asked::Livez { body } => http::answer(200, "", false, "ok", body),
        Asked::Readyz { body } if desk.is_ready() => http::answer(200, "", false, "ready", body),
        Asked::Readyz { body } => http::answer(503, "", false, "not ready", body),
        Asked::Status { body } => http::answer(200, "", true, &desk.status(), body),
        Asked::Prestop => {
            desk.prestop();
            match (desk.is_past_prestop(), waiting < MOST_WAITING) {
                (true, _) => state(desk, 200),
                (false, true) => return Stage::Waiting,
                // It is on its way all the same.
                (false, false) => state(desk, 503),
            }
        }
        Asked::Refused(status, extra, words) => http::answer(status, extra, false, words, true),
        Asked::More => Vec::new(),
    };
    Stage::Writing(bytes, 0)
}

fn state(desk: &dyn Desk, status: u16) -> Vec<u8> {
    http::answer(status, "", true, &desk.status(), true)
}

/// Sleeps until something is ready or `until`; false when polling is impossible.
fn poll(set: &mut [libc::pollfd], until: At) -> bool {
    let left = until - At::now();
    let ms = if until.is_never() { -1 } else { i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX) };
    // SAFETY: `set` is a slice of valid pollfds, which outlives the call.
    let n = unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, ms) };
    if n >= 0 {
        return true;
    }
    set.iter_mut().for_each(|p| p.revents = 0);
    matches!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINTR | libc::EAGAIN))
}

/// Accepts one connection, or answers with errno.
fn accept_one(listener: i32, unix: bool) -> Result<(Fd, Peer), i32> {
    // SAFETY: sockaddr_storage is plain data for which zeros are valid.
    let mut from: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: `from` is writable for `length` bytes; both outlive the call.
    let number = unsafe { libc::accept4(listener, (&raw mut from).cast(), &raw mut length, flags) };
    let errno = || std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    if number < 0 {
        return Err(errno());
    }
    let fd = Fd::own(number).map_err(|_| errno())?;
    let near = if unix { is_our_user(&fd) } else { is_loopback(&from) };
    Ok((fd, if near { Peer::Near } else { Peer::Far }))
}

/// The same user, or root, who may do it all the same.
fn is_our_user(fd: &Fd) -> bool {
    let mut who = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `who` is writable for `length` bytes; both outlive the call.
    let r =
        unsafe { libc::getsockopt(fd.number(), libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut who).cast(), &raw mut length) };
    // SAFETY: geteuid takes nothing and cannot fail.
    r == 0 && (who.uid == 0 || who.uid == unsafe { libc::geteuid() })
}

fn is_loopback(from: &libc::sockaddr_storage) -> bool {
    let address = match i32::from(from.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel filled in a sockaddr_in, which is smaller and aligned alike.
            let v4 = unsafe { &*std::ptr::from_ref(from).cast::<libc::sockaddr_in>() };
            IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, a sockaddr_in6.
            let v6 = unsafe { &*std::ptr::from_ref(from).cast::<libc::sockaddr_in6>() };
            IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr))
        }
        _ => return false,
    };
    address.to_canonical().is_loopback()
}
