//! What /proc tells of one process, and why it does not tell more.

use super::handlers;
use super::maps::Maps;
use graceshut::config::{Config, Sources, Surroundings, resolve};
use graceshut::process::outside::Copy;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A child, or the parent.
#[derive(Clone, Debug)]
pub struct Other {
    /// Its pid.
    pub pid: i32,
    /// Its command line.
    pub command: String,
}

/// What a process does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A handler.
    Caught,
    /// Dropped.
    Ignored,
    /// What the kernel does by itself.
    Default,
}

/// Which runtime the program is written for, as far as its files tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// CPython.
    Python,
    /// Node.
    Node,
    /// A JVM.
    Java,
    /// Go.
    Go,
    /// Anything else.
    Native,
}

impl Runtime {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Python => "Python",
            Runtime::Node => "Node",
            Runtime::Java => "Java",
            Runtime::Go => "Go",
            Runtime::Native => "native",
        }
    }
}

/// Everything that could be found out.
#[derive(Debug)]
pub struct Facts {
    /// Its pid here.
    pub pid: i32,
    /// Its pid in its own namespace.
    pub inner_pid: i32,
    /// Its words.
    pub argv: Vec<String>,
    /// The program file.
    pub exe: Option<PathBuf>,
    /// The state letter of /proc.
    pub state: char,
    /// Who would be told of its end.
    pub parent: Option<Other>,
    /// Direct children that are alive.
    pub children: Vec<Other>,
    /// How many threads.
    pub threads: usize,
    /// Bit n-1: signal n is caught, ignored, blocked in every thread, pending.
    pub caught: u64,
    ignored: u64,
    /// Blocked in every thread.
    pub blocked: u64,
    /// Sent and not taken yet.
    pub pending: u64,
    /// It has a signalfd, by which blocked signals can be taken.
    pub signalfd: bool,
    /// Which language runtime.
    pub runtime: Runtime,
    /// The configuration graceshut would have in it, with the grace; or why that is not known.
    pub config: Result<Box<Config>, String>,
    /// It has variables of graceshut.
    pub has_variables: bool,
    /// Copies of graceshut, with the file of each.
    pub copies: Vec<(Copy, String)>,
    /// Where the handler of each caught signal lies: address and file. Empty when not looked at.
    pub handlers: BTreeMap<i32, (u64, String)>,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
}

impl Facts {
    /// Looks at the process; with `stop_it` also at the handlers' addresses.
    ///
    /// # Errors
    /// There is no such process, or nothing of it can be seen; with the next step.
    pub fn of(pid: i32, stop_it: bool) -> Result<Facts, String> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|e| no_process(pid, &e))?;
        let field =
            |name: &str| status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim();
        let mask = |name: &str| u64::from_str_radix(field(name), 16).unwrap_or(0);
        let number = |name: &str| field(name).split_whitespace().next_back().and_then(|n| n.parse::<i32>().ok());
        if let Some(leader) = number("Tgid").filter(|leader| *leader != pid) {
            return Err(format!("{pid} is a thread of process {leader}; ask for that one: graceshut doctor --pid {leader}"));
        }
        let argv = argv(pid);
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let state = field("State").chars().next().unwrap_or('?');
        if argv.is_empty() && exe.is_none() && number("VmSize").is_none() && state != 'Z' {
            return Err(format!(
                "{pid} ({}) is a thread of the kernel, which no signal stops; name a program's process",
                field("Name")
            ));
        }
        let mut facts = Facts {
            pid,
            inner_pid: number("NSpid").unwrap_or(pid),
            argv,
            exe,
            state,
            parent: number("PPid").filter(|p| *p > 0).map(other),
            children: children(pid),
            threads: number("Threads").unwrap_or(1) as usize,
            caught: mask("SigCgt"),
            ignored: mask("SigIgn"),
            blocked: blocked_everywhere(pid).unwrap_or(mask("SigBlk")),
            pending: mask("SigPnd") | mask("ShdPnd"),
            signalfd: false,
            runtime: Runtime::Native,
            config: Err(String::new()),
            has_variables: false,
            copies: Vec::new(),
            handlers: BTreeMap::new(),
            unseen: Vec::new(),
        };
        facts.look_closer(stop_it);
        Ok(facts)
    }

    /// What needs the permission to trace it.
    fn look_closer(&mut self, stop_it: bool) {
        let pid = self.pid;
        if self.state == 'Z' {
            return;
        }
        let vars = fs::read(format!("/proc/{pid}/environ"));
        self.config = match &vars {
            Ok(bytes) => config(pid, bytes, &mut self.has_variables),
            Err(e) => Err(format!("its environment cannot be read ({e})")),
        };
        let maps = Maps::read(pid).map_err(|e| self.unseen.push(format!("libraries, handlers: {}", permission(pid, &e)))).ok();
        let Some(maps) = maps else { return };
        self.runtime = runtime(self.exe.as_deref(), &maps);
        let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        self.signalfd = links.filter_map(|l| fs::read_link(l.path()).ok()).any(|t| t.as_os_str() == "anon_inode:[signalfd]");
        match maps.copies(pid) {
            Ok(copies) => self.copies = copies,
            Err(e) => self.unseen.push(format!("graceshut in its memory: {}", permission(pid, &e))),
        }
        if !stop_it {
            return;
        }
        let asked: Vec<i32> = (1..=64).filter(|s| self.action(*s) == Action::Caught).collect();
        match handlers::of(pid, &maps, &asked) {
            Ok(found) => {
                let place = |at: u64| maps.at(at).map_or("memory of no file", |m| m.name.as_str()).to_owned();
                self.handlers = found.into_iter().map(|(s, at)| (s, (at, place(at)))).collect();
            }
            Err(e) => self.unseen.push(format!("who handles each signal: {}", permission(pid, &e))),
        }
    }

    /// What it does with a signal.
    pub fn action(&self, signo: i32) -> Action {
        let bit = 1_u64 << (signo - 1);
        match (self.caught & bit != 0, self.ignored & bit != 0) {
            (true, _) => Action::Caught,
            (_, true) => Action::Ignored,
            _ => Action::Default,
        }
    }

    /// Is this bit set in a mask?
    pub fn has(mask: u64, signo: i32) -> bool {
        mask & (1 << (signo - 1)) != 0
    }

    /// The name of the program, without its folder.
    pub fn program(&self) -> String {
        let word = self.argv.first().map_or("", |w| w.rsplit('/').next().unwrap_or(w));
        word.trim_start_matches('-').to_owned()
    }

    /// The copy that is in force.
    pub fn leader(&self) -> Option<&(Copy, String)> {
        self.copies.iter().find(|(c, _)| c.active && c.owner_pid as i32 == self.inner_pid)
    }
}

fn no_process(pid: i32, e: &io::Error) -> String {
    // SAFETY: signal 0 is sent to nobody; it only asks.
    let alive = unsafe { libc::kill(pid, 0) } == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
    if alive {
        return format!(
            "process {pid} is there, but hidden from this user ({e}); run as root: sudo graceshut doctor --pid {pid}"
        );
    }
    format!(
        "there is no process {pid}: it is gone, or lives in another pid namespace; `pgrep -f NAME` finds the pid of a program"
    )
}

/// Why something of it cannot be seen, and what to do.
fn permission(pid: i32, e: &io::Error) -> String {
    let refused = matches!(e.raw_os_error(), Some(libc::EACCES | libc::EPERM));
    let owner = fs::metadata(format!("/proc/{pid}")).map(|m| m.uid()).unwrap_or(0);
    // SAFETY: takes nothing and cannot fail.
    let ours = unsafe { libc::geteuid() };
    if refused && owner != ours {
        return format!(
            "no permission: the process belongs to user {owner}; run as that user or as root: sudo graceshut doctor --pid {pid}"
        );
    }
    if refused {
        return format!(
            "no permission ({e}): another tracer has it, or /proc/sys/kernel/yama/ptrace_scope or a container forbids it; \
             run as root, in a container with CAP_SYS_PTRACE"
        );
    }
    e.to_string()
}

fn argv(pid: i32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.strip_suffix(b"\0").unwrap_or(&line);
    if words.is_empty() {
        return Vec::new();
    }
    words.split(|b| *b == 0).map(|w| crate::verify::plain(&String::from_utf8_lossy(w), 200)).collect()
}

fn other(pid: i32) -> Other {
    let words = argv(pid);
    let name = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned();
    Other { pid, command: if words.is_empty() { format!("[{}]", name()) } else { words.join(" ") } }
}

fn children(pid: i32) -> Vec<Other> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|t| fs::read_to_string(t.path().join("children")).ok());
    let alive = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "));
    let mut all: Vec<i32> =
        lists.flat_map(|l| l.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<i32>>()).collect();
    all.sort_unstable();
    all.into_iter().filter(alive).map(other).collect()
}

fn blocked_everywhere(pid: i32) -> Option<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let masks = tasks.filter_map(|t| {
        let status = fs::read_to_string(t.path().join("status")).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("SigBlk:"))?.trim().to_owned();
        u64::from_str_radix(&line, 16).ok()
    });
    masks.reduce(|a, b| a & b)
}

/// What graceshut would make of its environment, working directory and platform: core's own answer.
fn config(pid: i32, environ: &[u8], has_variables: &mut bool) -> Result<Box<Config>, String> {
    let mut vars: Vec<(OsString, OsString)> = Vec::new();
    for entry in environ.split(|b| *b == 0) {
        if let Some(at) = entry.iter().position(|b| *b == b'=') {
            let text = |b: &[u8]| OsString::from_vec(b.to_vec());
            vars.push((text(&entry[..at]), text(&entry[at + 1..])));
        }
    }
    *has_variables = vars.iter().any(|(n, _)| n.to_string_lossy().starts_with("GRACESHUT_"));
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let get = |name: &str| vars.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let exists = |path: &std::path::Path| root.join(path.strip_prefix("/").unwrap_or(path)).exists();
    let around = Surroundings::detect(&get, &exists);
    let dir = Some(PathBuf::from(format!("/proc/{pid}/cwd")));
    let sources = Sources { vars, dir, around };
    resolve(graceshut::Options::default(), &sources)
        .map(Box::new)
        .map_err(|e| format!("what it is configured with is refused: {e}"))
}

fn runtime(exe: Option<&std::path::Path>, maps: &Maps) -> Runtime {
    let name = exe.and_then(|e| e.file_name()).map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if maps.has_file(|f| f == "libjvm.so") {
        return Runtime::Java;
    }
    if name.starts_with("python") || maps.has_file(|f| f.starts_with("libpython")) {
        return Runtime::Python;
    }
    if name == "node" || name == "nodejs" || maps.has_file(|f| f.starts_with("libnode.so")) {
        return Runtime::Node;
    }
    let head = exe.and_then(|e| fs::read(e).ok()).unwrap_or_default();
    // What `go version FILE` looks for.
    let is_go = head.windows(14).any(|w| w == b"\xff Go buildinf:");
    if is_go { Runtime::Go } else { Runtime::Native }
}
