//! What /proc knows: which processes a service left behind, and who holds a port.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

/// A process, told apart from a later one with the same pid by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    /// The pid.
    pub pid: i32,
    start: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stat {
    id: Id,
    state: u8,
    parent: i32,
    group: i32,
    session: i32,
}

impl Stat {
    fn read(pid: i32) -> Option<Stat> {
        Stat::parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The command name comes in parentheses and may hold anything, parentheses too: what counts comes after the last.
    fn parse(pid: i32, text: &[u8]) -> Option<Stat> {
        let after = text.iter().rposition(|b| *b == b')')? + 1;
        let rest = std::str::from_utf8(&text[after..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |i: usize| fields.get(i)?.parse::<i32>().ok();
        Some(Stat {
            id: Id { pid, start: fields.get(19)?.parse().ok()? },
            state: *fields.first()?.as_bytes().first()?,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
        })
    }

    fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|e| Stat::read(e.file_name().to_str()?.parse().ok()?)).collect()
}

/// The children we already have before the service starts (a shell that started some and then became us): not its.
pub fn own_children() -> HashSet<Id> {
    let me = own_pid();
    all().into_iter().filter(|s| s.parent == me).map(|s| s.id).collect()
}

fn own_pid() -> i32 {
    // A pid always fits: the kernel's limit is 2^22.
    std::process::id() as i32
}

/// Everything that descends from `main`, which lives.
pub fn descendants(main: i32) -> Vec<i32> {
    let stats = all();
    let mut found = vec![main];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(stats.iter().filter(|s| s.parent == parent && s.is_alive()).map(|s| s.id.pid));
        at += 1;
    }
    found.split_off(1)
}

/// Living processes of a service whose main process was `main` and is gone: its session, its group, and everything
/// that descends from us, to whom its orphans were handed (we are their subreaper), except by `not_its`.
pub fn survivors(main: i32, not_its: &HashSet<Id>) -> Vec<Id> {
    let stats = all();
    let by_pid: HashMap<i32, Stat> = stats.iter().map(|s| (s.id.pid, *s)).collect();
    let me = own_pid();
    let descends = |stat: &Stat| {
        let mut at = *stat;
        // /proc is not read in one instant: a bound keeps a circle that never was from trapping us.
        for _ in 0..by_pid.len() {
            if not_its.contains(&at.id) {
                return false;
            }
            if at.parent == me {
                return true;
            }
            match by_pid.get(&at.parent) {
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        false
    };
    stats
        .iter()
        .filter(|s| s.is_alive() && s.id.pid != main && s.id.pid != me)
        .filter(|s| s.session == main || s.group == main || descends(s))
        .map(|s| s.id)
        .collect()
}

/// The command line of a process, its name in brackets if it has none.
pub fn command_of(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|b| *b == 0).filter(|w| !w.is_empty()).map(String::from_utf8_lossy).collect();
    if words.is_empty() {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        return format!("[{}]", name.trim_end());
    }
    words.join(" ").chars().take(1000).collect()
}

/// Kills the survivors, and what they may have started meanwhile, and reaps those that are our children. True if none
/// is left.
pub fn end_survivors(main: i32, not_its: &HashSet<Id>, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    loop {
        let left = survivors(main, not_its);
        for id in &left {
            // Looked at again right before: the pid of one that is not our child could have changed hands.
            if Stat::read(id.pid).is_some_and(|s| s.id == *id) {
                kill(id.pid, libc::SIGKILL);
            }
        }
        reap_orphans(main);
        if left.is_empty() {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal; true if it could be sent.
pub fn kill(pid: i32, signal: i32) -> bool {
    // SAFETY: kill takes two integers and touches no memory of ours.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// Reaps what ended of the processes handed to us, as an init would: a service that asks whether its orphan still
/// exists must not see a zombie. The main process is left to its waiter.
pub fn reap_orphans(main: i32) {
    loop {
        // SAFETY: all-zero is a valid siginfo_t, a plain C struct of integers.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: `info` is a live siginfo_t that the call fills in.
        if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) } != 0 {
            return;
        }
        // SAFETY: waitid succeeded, so the pid member is the active one (0 where nobody had ended).
        let pid = unsafe { info.si_pid() };
        if pid == 0 || pid == main {
            return;
        }
        // SAFETY: a null status pointer is allowed.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
    }
}

/// The process that listens on a TCP port, as far as we may see it.
pub fn listener_on(port: u16) -> Option<(i32, String)> {
    let inodes: HashSet<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| {
            fs::read_to_string(table).unwrap_or_default().lines().filter_map(|l| listening(l, port)).collect::<Vec<_>>()
        })
        .collect();
    let entries = fs::read_dir("/proc").ok()?;
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.into_iter().find(|pid| holds(*pid, &inodes)).map(|pid| (pid, command_of(pid)))
}

/// The inode of a line of /proc/net/tcp, if it is a listening socket (state 0A) on `port`.
fn listening(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let here = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == "0A";
    if here { fields.get(9)?.parse().ok() } else { None }
}

fn holds(pid: i32, inodes: &HashSet<u64>) -> bool {
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    // The inode of the socket behind the link, on sockfs: the number /proc/net/tcp has.
    fds.flatten().any(|fd| {
        let is_socket = fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
        is_socket && fs::metadata(fd.path()).is_ok_and(|m| inodes.contains(&m.ino()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn reads_a_stat_line_with_a_hostile_name() {
        let text = b"42 (a) S 1 (b)) Z 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 99 88";
        let stat = Stat::parse(42, text).unwrap();
        assert_eq!((stat.state, stat.parent, stat.group, stat.session, stat.id.start), (b'Z', 7, 8, 9, 12345));
        assert!(!stat.is_alive());
        assert!(Stat::parse(42, b"42 (x) S 1").is_none());
    }

    #[test]
    fn finds_itself() {
        let me = own_pid();
        assert_eq!(Stat::read(me).unwrap().id.pid, me);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (pid, command) = listener_on(listener.local_addr().unwrap().port()).unwrap();
        assert_eq!(pid, me);
        assert_eq!(command, command_of(me));
        assert!(!command.is_empty());
    }
}
