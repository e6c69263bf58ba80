//! The loop of `run`: one thread that takes every signal, waits for every child, and starts and stops programs as the plan says.
//!
//! Everything that happens arrives at one poll: signals (`taken`), what other threads say (`post`), time. Idle there is none of
//! them, and the loop sleeps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use graceshut::{Action, ExitPlan, Runtime, State as Life};

use super::child::How;
use super::forward::{self, Rewrites};
use super::inherit::Inherited;
use super::output;
use super::post::{Note, Post};
use super::sys::{self, Status, Waited};
use super::taken::{Signals, Taken};
use super::tty::Terminal;
use super::unit::{State, Unit};
use crate::signals;

/// How often what is left of a group is looked at, where no CHLD tells.
const LOOK: Duration = Duration::from_millis(10);
/// How long the last words of programs may take to be passed on.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How `run` was asked to behave.
pub struct Manners {
    pub rewrites: Rewrites,
    /// Statuses that become others.
    pub remap: Vec<(i32, i32)>,
    pub rest_grace: Duration,
    pub time_limit: Option<TimeLimit>,
    pub verbose: bool,
    /// Orphans of the tree come here.
    pub reaper: bool,
    pub pid1: bool,
}

/// The groups that are there, for who has to end them from another thread.
#[derive(Clone, Default)]
pub struct Living(Arc<Mutex<Vec<i32>>>);

impl Living {
    fn add(&self, group: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    pub fn remove(&self, group: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|g| *g != group);
    }

    pub fn kill(&self) {
        for group in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = sys::kill(-*group, libc::SIGKILL);
        }
    }
}

/// `--for`.
#[derive(Clone, Copy)]
pub struct TimeLimit {
    pub limit: Duration,
    pub signal: i32,
    pub kill_after: Option<Duration>,
    pub preserve_status: bool,
}

pub struct Keeper {
    pub units: Vec<Unit>,
    pub manners: Manners,
    pub inherited: Inherited,
    pub signals: Signals,
    pub post: Post,
    pub gs: Runtime,
    pub living: Living,
    pub terminal: Option<Terminal>,
    pub several: bool,
    /// The stop-mapped signal that came last.
    pub came: Option<i32>,
    pub expires: Option<Instant>,
    pub timed_out: bool,
    pub warned: bool,
}

impl Keeper {
    /// Until the plan is over; answers how to leave.
    pub fn keep(&mut self) -> ExitPlan {
        self.expires = self.manners.time_limit.map(|l| Instant::now() + l.limit);
        loop {
            self.start_what_is_due();
            let wait = self.next_look();
            sys::poll(&[self.signals.fd(), self.post.fd()], wait);
            let mut over = None;
            for note in self.post.take() {
                match note {
                    Note::Stop(i, context, completion) => self.stop(i, context, completion),
                    Note::Look => {}
                    Note::Ready(i, answer) => self.on_ready(i, answer),
                    Note::Finished(plan) => over = Some(plan),
                }
            }
            while let Some(taken) = self.signals.next() {
                self.on_signal(taken);
            }
            self.reap();
            self.look_at_time_limit();
            (0..self.units.len()).for_each(|i| self.go_on_stopping(i));
            if let Some(plan) = over {
                self.sweep();
                output::finish(LAST_WORDS);
                return plan;
            }
            if self.gs.state() == Life::Stopped {
                // Said before the process leaves, which a third signal makes it do at once.
                self.kill_everything();
            }
        }
    }

    /// When something is due without being told.
    fn next_look(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let mut next = self.expires.map(|at| at.saturating_duration_since(now));
        let mut sooner = |d: Duration| next = Some(next.map_or(d, |n: Duration| n.min(d)));
        for unit in &mut self.units {
            if let State::Waits(Some(at)) = unit.state {
                sooner(at.saturating_duration_since(now));
            }
            let gone = matches!(unit.state, State::Gone(_) | State::Waits(_));
            if let Some(stopping) = unit.stopping.as_mut().filter(|s| s.completion.is_some()) {
                match stopping.kill_in() {
                    _ if gone || stopping.killed.is_some() => sooner(LOOK),
                    due => due.into_iter().for_each(&mut sooner),
                }
            }
        }
        next
    }

    // --- starting -----------------------------------------------------------

    fn start_what_is_due(&mut self) {
        if self.gs.state() != Life::Armed {
            return;
        }
        for i in 0..self.units.len() {
            let State::Waits(at) = self.units[i].state else { continue };
            let is_ready = |name: &String| self.units.iter().any(|u| u.name == *name && matches!(u.state, State::Ready(..)));
            if at.is_none_or(|at| at <= Instant::now()) && self.units[i].after.iter().all(is_ready) {
                self.start(i);
            }
        }
    }

    /// Starts program `i` of several; the only one is started by [`start_one`](Keeper::start_one).
    fn start(&mut self, i: usize) {
        match self.start_one(i) {
            Ok(pid) => {
                self.say(&format!("{} started as {pid}", self.units[i].name));
                let unit = &self.units[i];
                super::ready::ask(i, &unit.ready, unit.ready_timeout, &self.post);
            }
            Err(e) => {
                eprintln!("graceshut: {}: {}", self.units[i].name, e.message);
                self.units[i].state = State::Gone(Some(Status::Exited(e.code)));
                self.after_end(i, Status::Exited(e.code), Duration::ZERO);
            }
        }
    }

    pub fn start_one(&mut self, i: usize) -> Result<i32, super::child::StartError> {
        let width = self.units.iter().map(|u| u.name.len()).max().unwrap_or(0);
        let ends = if self.several { output::behind_name(i, &self.units[i].name, width).ok() } else { None };
        let unit = &mut self.units[i];
        let how = How {
            place: unit.place,
            foreground: self.terminal.map(|t| t.fd).filter(|_| unit.place == super::child::Place::Group),
            take_terminal: None,
            bound: true,
            output: ends.as_ref().map(|e| (&e.out, &e.err)),
            inherited: &self.inherited,
        };
        let pid = unit.program.start(&how)?;
        unit.group = (unit.place != super::child::Place::Here).then_some(pid);
        self.living.add(pid);
        unit.state = State::Starting(pid, Instant::now());
        Ok(pid)
    }

    fn on_ready(&mut self, i: usize, answer: Result<(), String>) {
        let State::Starting(pid, since) = self.units[i].state else { return };
        match answer {
            Ok(()) => {
                self.units[i].state = State::Ready(pid, since);
                self.say(&format!("{} is ready", self.units[i].name));
                if self.units.iter().all(|u| matches!(u.state, State::Ready(..))) {
                    // The runtime is open while the loop runs.
                    let _ = self.gs.ready();
                }
            }
            Err(why) => {
                eprintln!("graceshut: {}: {why}", self.units[i].name);
                if self.units[i].required {
                    let message = format!("{} was {why}", self.units[i].name);
                    let _ = self.gs.host_end(Some(&message), 1);
                }
            }
        }
    }

    // --- signals ------------------------------------------------------------

    fn on_signal(&mut self, taken: Taken) {
        let signo = taken.signo;
        if signo == libc::SIGCHLD {
            return; // the reaping that follows asks in any case
        }
        let as_what = self.manners.rewrites.of(signo);
        if as_what == 0 {
            return self.say(&format!("{} dropped", signals::name(signo)));
        }
        match forward::action(self.gs.config(), signo) {
            Action::Stop => {
                self.say(&format!("{} came: stopping", signals::name(signo)));
                if self.came.is_none() {
                    self.came = Some(as_what);
                }
                let _ = self.gs.signal(signo, taken.sender);
            }
            Action::Status => drop(self.gs.signal(signo, taken.sender)),
            Action::Ignore => {}
            Action::Reload | Action::Default => {
                self.say(&format!("{} passed on", signals::name(as_what)));
                self.units.iter().for_each(|u| u.signal(as_what));
            }
        }
    }

    fn look_at_time_limit(&mut self) {
        let (Some(limit), Some(at)) = (self.manners.time_limit, self.expires) else { return };
        if Instant::now() < at || self.gs.state() != Life::Armed {
            return;
        }
        self.expires = None;
        self.timed_out = true;
        self.came = Some(limit.signal);
        // Its own KILL comes first; the plan's box has to be wider than that.
        let grace = limit.kill_after.map(|k| k.saturating_mul(5) / 4 + Duration::from_secs(3));
        let reason = format!("--for {} is over", graceshut::format_duration(limit.limit));
        let _ = self.gs.stop(&reason, grace);
    }

    // --- ends ---------------------------------------------------------------

    pub(super) fn reap(&mut self) {
        loop {
            match sys::wait_any() {
                Waited::Ended(pid, status) => {
                    if let Some(i) = self.units.iter().position(|u| u.pid() == Some(pid)) {
                        self.on_end(i, status);
                    } else if self.manners.verbose {
                        eprintln!("graceshut: reaped {pid}");
                    }
                }
                Waited::Stopped(pid, signo) => self.on_stopped(pid, signo),
                Waited::Nothing | Waited::NoChildren => return,
            }
        }
    }

    fn on_end(&mut self, i: usize, status: Status) {
        let since = match self.units[i].state {
            State::Starting(_, since) | State::Ready(_, since) => since,
            _ => Instant::now(),
        };
        self.say(&format!("{} ended: {}", self.units[i].name, shown(status)));
        if self.units[i].group.is_none() || !self.units[i].has_group() {
            self.units[i].pid().into_iter().for_each(|pid| self.living.remove(pid));
        }
        self.units[i].state = State::Gone(Some(status));
        if self.units[i].stopping.is_none() && self.gs.state() == Life::Armed {
            self.after_end(i, status, since.elapsed());
        }
    }

    /// It ended by itself: another try, or the end of all.
    fn after_end(&mut self, i: usize, status: Status, ran: Duration) {
        let failed = status != Status::Exited(0);
        if failed && let Some(pause) = self.units[i].restart.as_mut().and_then(|r| r.next(ran)) {
            eprintln!(
                "graceshut: {} ended ({}); started again in {}",
                self.units[i].name,
                shown(status),
                graceshut::format_duration(pause)
            );
            self.units[i].state = State::Waits(Some(Instant::now() + pause));
            return self.end_leftovers(i, libc::SIGKILL);
        }
        let all_gone = self.units.iter().all(|u| matches!(u.state, State::Gone(_)));
        if self.units[i].required || all_gone {
            if self.several {
                eprintln!("graceshut: {} ended ({}), so the rest is stopped", self.units[i].name, shown(status));
            }
            let _ = self.gs.host_end(None, self.remapped(status));
            return;
        }
        self.end_leftovers(i, libc::SIGTERM);
    }

    /// What a program left in its group when the others go on: its number is not remembered, it may become somebody else's.
    fn end_leftovers(&mut self, i: usize, signo: i32) {
        if self.units[i].has_group()
            && let Some(group) = self.units[i].group
        {
            let _ = sys::kill(-group, signo);
        }
        if let Some(group) = self.units[i].group.take() {
            self.living.remove(group);
        }
    }

    pub(super) fn remapped(&self, status: Status) -> i32 {
        let code = status.code();
        self.manners.remap.iter().find(|(from, _)| *from == code).map_or(code, |(_, to)| *to)
    }

    /// The shell that started `run` is to see a stop (Ctrl-Z) as that of `run`: it stops too, and continues the program with itself.
    fn on_stopped(&mut self, pid: i32, signo: i32) {
        let Some(unit) = self.units.iter().find(|u| u.pid() == Some(pid)) else { return };
        let of_job_control = matches!(signo, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        if !of_job_control || self.manners.pid1 || self.gs.state() != Life::Armed {
            return;
        }
        let group = unit.group.unwrap_or(pid);
        let had_it = self.terminal.filter(|t| t.is_with(group));
        if let Some(terminal) = had_it {
            terminal.take_back();
        }
        sys::stop_self();
        if let Some(terminal) = had_it.filter(|t| t.is_with(sys::own_group())) {
            terminal.give_to(group);
        }
        unit.signal(libc::SIGCONT);
    }

    pub(super) fn say(&self, what: &str) {
        if self.manners.verbose {
            eprintln!("graceshut: {what}");
        }
    }
}

fn shown(status: Status) -> String {
    match status {
        Status::Exited(code) => format!("status {code}"),
        Status::Killed(signo) => format!("killed by {}", signals::name(signo)),
    }
}
