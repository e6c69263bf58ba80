//! The load: N clients with keep-alive connections, each a thread with a blocking socket and counters of its own.

use super::exchange::{self, Outcome};
use super::http;
use super::tally::{Loss, Tally};
use super::target::{SLICE, Target};
use super::wire::Wire;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// How long a request may stay unanswered once the main process is gone: what it had written is with us by then.
const AFTER_EXIT: Duration = Duration::from_millis(300);
/// Before a refused connection is believed after the signal, and between attempts before it.
const RETRY: Duration = Duration::from_millis(50);

/// What the clients and the probe must know of the service's life, told once each.
#[derive(Debug, Default)]
pub struct Course {
    /// When the signal was sent; set just before it is.
    pub signalled: OnceLock<Instant>,
    /// When the main process ended.
    pub exited: OnceLock<Instant>,
    /// The check is given up.
    pub aborted: AtomicBool,
    /// Requests sent so far, by all clients.
    pub sent: AtomicU64,
}

impl Course {
    /// Nobody needs to send anything any more.
    pub fn is_over(&self) -> bool {
        self.exited.get().is_some() || self.aborted.load(Ordering::Relaxed)
    }

    /// Why an answer need not be waited for any longer, if so.
    pub fn give_up(&self) -> Option<String> {
        if self.aborted.load(Ordering::Relaxed) {
            return Some("check given up".into());
        }
        let gone = self.exited.get()?.elapsed();
        (gone > AFTER_EXIT).then(|| "no answer though the process had exited,".into())
    }

    fn after_signal(&self) -> bool {
        self.signalled.get().is_some()
    }

    /// Waits, but not beyond the end of the check.
    pub fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_over() {
                return;
            }
            thread::sleep(left.min(SLICE));
        }
    }
}

/// How to load.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where; shared out over the connections.
    pub targets: Vec<Target>,
    /// How many connections.
    pub connections: u16,
    /// How many of 100 requests are POSTs.
    pub post_share: u8,
    /// Between two requests, on average.
    pub pause: Duration,
}

/// The clients, at work.
#[derive(Debug)]
pub struct Load {
    clients: Vec<thread::JoinHandle<Tally>>,
}

impl Load {
    /// Starts the clients; none if there is no URL to load.
    pub fn start(plan: &Plan, course: &Arc<Course>) -> std::io::Result<Load> {
        let run = format!("{:x}-{:x}", std::process::id(), unix_millis());
        let mut clients = Vec::new();
        for number in 0..plan.connections {
            let Some(target) = plan.targets.iter().cycle().nth(usize::from(number)) else { break };
            let client = Client {
                name: format!("{run}-{number}"),
                target: target.clone(),
                pause: plan.pause,
                course: Arc::clone(course),
                mix: Mix { share: plan.post_share, sum: 0 },
                dice: 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(number) + 1),
                tally: Tally::default(),
            };
            clients.push(thread::Builder::new().name(format!("client-{number}")).spawn(move || client.drive())?);
        }
        Ok(Load { clients })
    }

    /// Waits for the clients and adds up what they saw. They end soon after [`Course::is_over`].
    pub fn finish(self) -> Result<Tally, String> {
        let mut sum = Tally::default();
        for client in self.clients {
            sum.add(client.join().map_err(|_| "a client of the load generator panicked")?);
        }
        Ok(sum)
    }
}

fn unix_millis() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis())
}

/// Spreads POSTs evenly among GETs; at 50 % they alternate.
#[derive(Debug)]
struct Mix {
    share: u8,
    sum: u8,
}

impl Mix {
    fn next_is_post(&mut self) -> bool {
        self.sum += self.share;
        let post = self.sum >= 100;
        if post {
            self.sum -= 100;
        }
        post
    }
}

/// An open connection, and whether it has carried a request before.
struct Link {
    stream: Wire,
    reused: bool,
}

/// What a client does next.
enum Next {
    Go(Option<Link>),
    /// It was told to go away, and goes.
    Leave,
}

struct Client {
    name: String,
    target: Target,
    pause: Duration,
    course: Arc<Course>,
    mix: Mix,
    dice: u64,
    tally: Tally,
}

impl Client {
    fn drive(mut self) -> Tally {
        let mut link = None;
        let mut number = 0_u64;
        while !self.course.is_over() {
            let Some(ready) = self.connection(link.take()) else {
                if self.course.after_signal() {
                    break;
                }
                self.course.pause(RETRY);
                continue;
            };
            number += 1;
            match self.one_request(ready, number) {
                Next::Go(kept) => link = kept,
                Next::Leave => break,
            }
            let pause = self.next_pause();
            self.course.pause(pause);
        }
        self.tally
    }

    /// The old connection if its peer still holds it, else a new one; `None` if none can be had. Whatever goes wrong
    /// here goes wrong before a byte of the request was sent, and is counted once per request.
    fn connection(&mut self, old: Option<Link>) -> Option<Link> {
        let mut refused = false;
        if let Some(mut link) = old {
            if !link.stream.peer_gave_up() {
                return Some(link);
            }
            refused = true;
        }
        let mut stream = self.target.connect();
        if stream.is_err() && self.course.after_signal() {
            // Once is no proof: the queue of a busy listener may be full for a moment.
            self.course.pause(RETRY);
            refused = true;
            stream = self.target.connect();
        }
        self.tally.refused_before_send += u64::from(refused || stream.is_err());
        let stream = stream.ok()?;
        self.tally.last_connect = Some(Instant::now());
        Some(Link { stream, reused: false })
    }

    fn one_request(&mut self, mut link: Link, number: u64) -> Next {
        let post = self.mix.next_is_post();
        let id = format!("{}-{number}", self.name);
        let request = http::request(&self.target.url, post, &id, false);
        let outcome = exchange::exchange(&mut link.stream, &request, &|| self.course.give_up());
        let at = Instant::now();
        self.course.sent.fetch_add(1, Ordering::Relaxed);
        let after_signal = self.course.after_signal();
        match outcome {
            Outcome::Answered { status, keep, took } => {
                self.tally.answer(status, took, at, after_signal);
                if after_signal && status == 503 {
                    // An answer that says so in words: a client behind a balancer goes elsewhere now. One that kept
                    // hammering would make it a matter of luck whether the listener can ever be closed without loss.
                    return Next::Leave;
                }
                Next::Go(keep.then_some(Link { stream: link.stream, reused: true }))
            }
            Outcome::NothingSent => {
                self.tally.refused_before_send += 1;
                Next::Go(None)
            }
            Outcome::CutOff { unread, what } => {
                let method = if post { "POST" } else { "GET" };
                let url = self.target.url.text.clone();
                let loss = Loss { request_id: id, method, url, at, reused: link.reused, what };
                self.tally.loss(loss, link.reused && unread, after_signal);
                Next::Go(None)
            }
        }
    }

    /// Between half and one and a half of the mean, by xorshift: no two connections keep in step.
    fn next_pause(&mut self) -> Duration {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.pause.mul_f64(0.5 + (self.dice % 1024) as f64 / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_are_spread_evenly() {
        let count = |share| {
            let mut mix = Mix { share, sum: 0 };
            (0..1000).filter(|_| mix.next_is_post()).count()
        };
        assert_eq!([count(0), count(1), count(50), count(99), count(100)], [0, 10, 500, 990, 1000]);
        let mut mix = Mix { share: 50, sum: 0 };
        let first: Vec<bool> = (0..4).map(|_| mix.next_is_post()).collect();
        assert_eq!(first, [false, true, false, true]);
    }
}
