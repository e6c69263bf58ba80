//! Asking a service how it is: is it ready, is it no longer, does it still take connections?

use super::exchange::{self, Outcome};
use super::http;
use super::load::Course;
use super::target::Target;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How often readiness is asked for.
pub const EVERY: Duration = Duration::from_millis(20);
/// A readiness answer that takes longer is none (a kubelet waits as long).
const LIMIT: Duration = Duration::from_secs(1);

/// What came of asking once.
#[derive(Debug)]
pub struct Asked {
    /// When the connection was made, if it was.
    pub connected: Option<Instant>,
    /// The status of the answer, if one came in time.
    pub status: Option<u16>,
}

impl Asked {
    /// Ready is 2xx.
    pub fn is_green(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }
}

/// One GET on a connection of its own, as a kubelet does it. `stop` may end it early.
pub fn ask(target: &Target, stop: &dyn Fn() -> bool) -> Asked {
    let Ok(mut stream) = target.connect() else {
        return Asked { connected: None, status: None };
    };
    let connected = Instant::now();
    let give_up = || (stop() || connected.elapsed() > LIMIT).then(String::new);
    let request = http::request(&target.url, false, "graceshut-probe", true);
    let status = match exchange::exchange(&mut stream, &request, &give_up) {
        Outcome::Answered { status, .. } => Some(status),
        Outcome::NothingSent | Outcome::CutOff { .. } => None,
    };
    Asked { connected: Some(connected), status }
}

/// What the probe saw between the signal and the exit.
#[derive(Debug, Default)]
pub struct Seen {
    /// Since when readiness was not 2xx.
    pub red: Option<Instant>,
    /// The last connect that succeeded, to a port that carries the load (or, without load, to the ready port).
    pub last_accept: Option<Instant>,
}

/// Watches from now until the process has exited.
pub fn watch(ready: Option<Target>, load: Vec<Target>, course: Arc<Course>) -> std::io::Result<thread::JoinHandle<Seen>> {
    let probe = Probe::new(ready, load, course);
    thread::Builder::new().name("probe".into()).spawn(move || probe.run())
}

struct Probe {
    ready: Option<Target>,
    /// A readiness connection tells of the load's port as well.
    ready_tells: bool,
    /// Load ports which only a connect of their own tells of.
    bare: Vec<Target>,
    course: Arc<Course>,
}

impl Probe {
    fn new(ready: Option<Target>, load: Vec<Target>, course: Arc<Course>) -> Probe {
        let ready_tells = ready.as_ref().is_some_and(|r| load.is_empty() || load.iter().any(|l| l.same_port(r)));
        let mut bare: Vec<Target> = Vec::new();
        for target in load {
            if !ready.iter().chain(&bare).any(|known| known.same_port(&target)) {
                bare.push(target);
            }
        }
        Probe { ready, ready_tells, bare, course }
    }

    fn run(self) -> Seen {
        let mut seen = Seen::default();
        while !self.course.is_over() {
            let round = Instant::now();
            if let Some(ready) = &self.ready {
                let asked = ask(ready, &|| self.course.is_over());
                match asked.is_green() {
                    true => seen.red = None,
                    false => seen.red = seen.red.or(Some(Instant::now())),
                }
                if self.ready_tells {
                    seen.last_accept = asked.connected.or(seen.last_accept);
                }
            }
            for target in &self.bare {
                if target.accepts() {
                    seen.last_accept = Some(Instant::now());
                }
            }
            self.course.pause(EVERY.saturating_sub(round.elapsed()));
        }
        seen
    }
}
