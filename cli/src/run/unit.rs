//! One program: how it is started, what it is doing, how it is being stopped.

use std::time::{Duration, Instant};

use graceshut::clock::At;
use graceshut::{Completion, Context, HookError, HookResult, ReadyWhen, Restart, format_duration};

use super::child::{Place, Program};
use super::sys::{self, Status};
use super::tree;
use crate::signals;

/// Kept of a program's time, so that its end by KILL is seen and told before its deadline.
const LEAD: Duration = Duration::from_millis(100);

/// Who gets a signal meant for the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Its process group.
    Group,
    /// The process that was started.
    Child,
}

/// What a program is and how it is treated.
pub struct Unit {
    pub name: String,
    pub program: Program,
    pub place: Place,
    pub target: Target,
    /// `None`: the signal that came, TERM where none did.
    pub stop_signal: Option<i32>,
    pub after: Vec<String>,
    pub required: bool,
    pub restart: Option<Restarts>,
    pub ready: ReadyWhen,
    pub ready_timeout: Duration,
    pub state: State,
    pub stopping: Option<Stopping>,
    /// The process group it was given, while anything of it may be left.
    pub group: Option<i32>,
}

/// The restart policy and where it stands.
pub struct Restarts {
    pub first: Duration,
    pub cap: Duration,
    pub limit: u32,
    pub done: u32,
}

impl Restarts {
    pub fn of(p: &graceshut::ProcessDecl) -> Option<Restarts> {
        let policy = Restarts { first: p.restart_delay, cap: p.restart_cap, limit: p.restart_limit, done: 0 };
        (p.restart == Restart::OnFailure).then_some(policy)
    }

    /// The pause before the next start, twice as long each time; `None` when there have been enough.
    pub fn next(&mut self, ran: Duration) -> Option<Duration> {
        if ran >= Duration::from_secs(60) {
            self.done = 0;
        }
        if self.done >= self.limit {
            return None;
        }
        let pause = self.first.saturating_mul(1 << self.done.min(20)).min(self.cap);
        self.done += 1;
        Some(pause)
    }
}

/// Where a program is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Not started: it waits for others, or for its next try.
    Waits(Option<Instant>),
    /// Started; not known to be ready.
    Starting(i32, Instant),
    Ready(i32, Instant),
    /// It ended, or never was.
    Gone(Option<Status>),
}

/// A stop under way.
pub struct Stopping {
    pub context: Context,
    pub completion: Option<Completion>,
    /// The signal it was sent; `None` where it had ended before.
    pub sent: Option<i32>,
    pub since: Instant,
    /// Its main process is gone and the rest has had its signal: until when that may take.
    pub rest_until: Option<Instant>,
    /// KILL was sent, this long after the first signal.
    pub killed: Option<Duration>,
    /// An end of its own, before the deadline (`--kill-after`).
    pub kill_at: Option<Instant>,
    /// The deadline as last seen, and when KILL is due for it.
    kill: Option<(At, At)>,
}

impl Unit {
    pub fn pid(&self) -> Option<i32> {
        match self.state {
            State::Starting(pid, _) | State::Ready(pid, _) => Some(pid),
            State::Waits(_) | State::Gone(_) => None,
        }
    }

    /// Sends a signal to whom it is meant for.
    pub fn signal(&self, signo: i32) {
        let Some(pid) = self.pid() else { return };
        // One that has ended and was not waited for yet takes it as well: no number is ever somebody else's here.
        let _ = match (self.target, self.group) {
            (Target::Group, Some(group)) => sys::kill(-group, signo).or_else(|_| sys::kill(pid, signo)),
            _ => sys::kill(pid, signo),
        };
    }

    /// True while a process of its group is left.
    pub fn has_group(&self) -> bool {
        self.group.is_some_and(tree::has_members)
    }

    /// A shell that stayed: what it runs would not hear a signal meant for it alone.
    pub fn shell_that_stayed(&self) -> Option<(String, String)> {
        let pid = self.pid()?;
        let shell = tree::program_of(pid).filter(|name| tree::is_shell(name))?;
        // A shell among its children has perhaps only not got to its exec yet.
        let children: Vec<String> = tree::children(pid).into_iter().filter_map(tree::program_of).collect();
        let runs = children.iter().find(|c| !tree::is_shell(c)).or(children.first())?.clone();
        Some((shell, runs))
    }
}

impl Stopping {
    pub fn new(context: Context, completion: Completion) -> Stopping {
        Stopping {
            context,
            completion: Some(completion),
            sent: None,
            since: Instant::now(),
            rest_until: None,
            killed: None,
            kill_at: None,
            kill: None,
        }
    }

    /// When KILL is due, as long from now: a little before the hook's deadline, so that the end is seen in time.
    pub fn kill_in(&mut self) -> Option<Duration> {
        let (deadline, now) = (self.context.deadline(), At::now());
        if self.kill.is_none_or(|(seen, _)| seen != deadline) {
            let lead = LEAD.min((deadline - now) / 4);
            self.kill = Some((deadline, deadline.minus(lead)));
        }
        let (_, at) = self.kill?;
        let hook = (!deadline.is_never()).then(|| at - now);
        let own = self.kill_at.map(|at| at.saturating_duration_since(Instant::now()));
        hook.into_iter().chain(own).min()
    }

    /// Ends the hook. `code`: the status that `run` stands for, if it stands for this program.
    pub fn finish(&mut self, status: Option<Status>, code: Option<i32>) {
        let Some(completion) = self.completion.take() else { return };
        let result = self.judge(status);
        match code {
            Some(code) => completion.finish_as(result, code),
            None => completion.finish(result),
        }
    }

    fn judge(&self, status: Option<Status>) -> HookResult {
        if let Some(after) = self.killed {
            let after = format_duration(Duration::from_millis(after.as_millis() as u64));
            return Err(HookError::Killed(format!("did not stop, ended by KILL after {after}")));
        }
        let Some(sent) = self.sent else { return Ok(()) };
        match status {
            None | Some(Status::Exited(0)) => Ok(()),
            Some(Status::Killed(signo)) if signo == sent => Ok(()),
            Some(Status::Exited(code)) if code == 128 + sent => Ok(()),
            Some(Status::Exited(code)) => Err(HookError::failed(format!("exited with status {code}"))),
            Some(Status::Killed(signo)) => Err(HookError::failed(format!("killed by {}", signals::name(signo)))),
        }
    }
}
