//! Stopping: the signal, the wait, what is left behind, KILL, and the sweep at the end. The other half of [`Keeper`].

use std::time::{Duration, Instant};

use super::keeper::Keeper;
use super::sys::{self, Status};
use super::tree;
use super::unit::{State, Target};
use crate::signals;

/// How long what was sent KILL may take to be gone.
const GONE: Duration = Duration::from_secs(1);

impl Keeper {
    pub(super) fn stop(&mut self, i: usize, context: graceshut::Context, completion: graceshut::Completion) {
        self.warn_of_shell(i);
        let signo = self.stop_signal(i);
        let kill_after = self.manners.time_limit.filter(|_| self.timed_out).and_then(|l| l.kill_after);
        let unit = &mut self.units[i];
        let mut stopping = super::unit::Stopping::new(context, completion);
        stopping.kill_at = kill_after.map(|d| Instant::now() + d);
        match unit.state {
            State::Waits(_) => unit.state = State::Gone(None),
            State::Gone(_) => {}
            State::Starting(..) | State::Ready(..) => {
                stopping.sent = Some(signo);
                unit.signal(signo);
                // One that is stopped (Ctrl-Z, SIGSTOP) would sleep through it.
                unit.signal(libc::SIGCONT);
            }
        }
        unit.stopping = Some(stopping);
        if self.manners.verbose && self.units[i].pid().is_some() {
            eprintln!("graceshut: {} to {}", signals::name(signo), self.units[i].name);
        }
    }

    fn stop_signal(&self, i: usize) -> i32 {
        if self.timed_out {
            return self.came.unwrap_or(libc::SIGTERM);
        }
        self.units[i].stop_signal.or(self.came).unwrap_or(libc::SIGTERM)
    }

    fn warn_of_shell(&mut self, i: usize) {
        if self.warned || self.several || self.units[i].target != Target::Group {
            return;
        }
        if let Some((shell, program)) = self.units[i].shell_that_stayed() {
            self.warned = true;
            let warning = format!(
                "{shell} started {program:?} without exec and stays between; the signal went to both. Write `exec {program} ...` as the script's last line"
            );
            eprintln!("graceshut: {warning}");
            let _ = self.gs.warn(&warning);
        }
    }

    /// Whether stopping program `i` is over, or what is due for it.
    pub(super) fn go_on_stopping(&mut self, i: usize) {
        let last = self.is_last(i);
        let Some(stopping) = self.units[i].stopping.as_mut().filter(|s| s.completion.is_some()) else { return };
        let kill = stopping.kill_in().is_some_and(|d| d.is_zero());
        let State::Gone(status) = self.units[i].state else {
            if kill {
                self.kill_unit(i, last);
            }
            return;
        };
        let rest = self.rest_of(i, last);
        if rest.is_empty() {
            return self.stopped(i, status);
        }
        let now = Instant::now();
        let rest_grace = self.manners.rest_grace;
        let Some(stopping) = &mut self.units[i].stopping else { return };
        match stopping.rest_until {
            // Whoever left the group has heard nothing yet; the others hear it once more at worst.
            None => {
                stopping.rest_until = Some(now + rest_grace);
                for pid in rest {
                    let _ = sys::kill(pid, libc::SIGTERM);
                    let _ = sys::kill(pid, libc::SIGCONT);
                }
            }
            Some(until) if kill || now >= until => {
                for pid in rest {
                    let _ = sys::kill(pid, libc::SIGKILL);
                }
                if now >= until + GONE {
                    self.stopped(i, status);
                }
            }
            Some(_) => {}
        }
    }

    fn stopped(&mut self, i: usize, status: Option<Status>) {
        let code = match (status, self.several) {
            (Some(status), false) => Some(self.final_code(status)),
            _ => None,
        };
        if let Some(group) = self.units[i].group.take() {
            self.living.remove(group);
        }
        if let Some(stopping) = &mut self.units[i].stopping {
            stopping.finish(status, code);
        }
    }

    /// The status `run` stands for.
    fn final_code(&self, status: Status) -> i32 {
        match self.manners.time_limit {
            // As timeout(1): its own status, unless it had to kill.
            Some(limit) if self.timed_out && !limit.preserve_status && status != Status::Killed(libc::SIGKILL) => 124,
            _ => self.remapped(status),
        }
    }

    /// True when no other program runs: what else is left of the tree then belongs to this one.
    fn is_last(&self, i: usize) -> bool {
        self.units.iter().enumerate().all(|(k, u)| k == i || u.pid().is_none())
    }

    /// What is left of program `i`, its main process gone: `-group`, or pids.
    fn rest_of(&self, i: usize, last: bool) -> Vec<i32> {
        let unit = &self.units[i];
        let mut rest: Vec<i32> = Vec::new();
        if let Some(group) = unit.group.filter(|_| unit.has_group()) {
            rest.push(-group);
        }
        if last && self.manners.reaper {
            rest.extend(tree::descendants());
        }
        rest
    }

    fn kill_unit(&mut self, i: usize, last: bool) {
        let unit = &mut self.units[i];
        if let Some(stopping) = &mut unit.stopping
            && stopping.killed.is_none()
        {
            stopping.killed = Some(stopping.since.elapsed());
            eprintln!("graceshut: {} did not stop in time: KILL", unit.name);
        }
        let pid = unit.pid();
        for pid in self.rest_of(i, last).into_iter().chain(pid) {
            let _ = sys::kill(pid, libc::SIGKILL);
        }
    }

    pub(super) fn kill_everything(&self) {
        for unit in &self.units {
            if let Some(group) = unit.group {
                let _ = sys::kill(-group, libc::SIGKILL);
            }
            if let Some(pid) = unit.pid() {
                let _ = sys::kill(pid, libc::SIGKILL);
            }
        }
        if self.manners.reaper {
            for pid in tree::descendants() {
                let _ = sys::kill(pid, libc::SIGKILL);
            }
        }
    }

    /// Nothing outlives `run`: no orphan, no zombie.
    pub(super) fn sweep(&mut self) {
        let until = Instant::now() + GONE;
        loop {
            self.kill_everything();
            self.reap();
            let groups = self.units.iter().any(|u| u.pid().is_some() || u.has_group());
            let others = self.manners.reaper && !tree::descendants().is_empty();
            if !groups && !others || Instant::now() >= until {
                return;
            }
            sys::poll(&[self.signals.fd()], Some(Duration::from_millis(2)));
            while self.signals.next().is_some() {}
        }
    }
}
