//! A resource held short while the service leaves, from just before the signal until it is gone.

use super::proc;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What is scarce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scarce {
    /// Eight busy threads for each processor compete with the service (and with the clients)
    Cpu,
    /// It cannot open another file or socket (RLIMIT_NOFILE at the first free number): EMFILE
    Fds,
    /// It cannot make another thread (RLIMIT_AS just above what it has mapped): EAGAIN
    Threads,
    /// It cannot get more memory (RLIMIT_DATA just above what it has): ENOMEM
    Memory,
    /// No file can be written (RLIMIT_FSIZE 0, SIGXFSZ ignored): EFBIG, as ENOSPC on a full disk
    Disk,
}

/// Less than any thread's stack, more than an allocator asks for to serve what it has promised already.
const HEADROOM: u64 = 256 * 1024;
const BUSY_PER_CPU: usize = 8;

/// In force until dropped.
pub struct Shortage {
    stop: Arc<AtomicBool>,
    busy: Vec<thread::JoinHandle<()>>,
}

impl Drop for Shortage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.busy.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Scarce {
    /// Begins the shortage for the process and everything it has started.
    ///
    /// # Errors
    /// The limit cannot be set; the message says on what.
    pub fn begin(self, main: i32) -> Result<Shortage, String> {
        let mut shortage = Shortage { stop: Arc::default(), busy: Vec::new() };
        if self == Scarce::Cpu {
            let cpus = thread::available_parallelism().map_or(1, usize::from);
            for _ in 0..cpus * BUSY_PER_CPU {
                let stop = Arc::clone(&shortage.stop);
                let spin = move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                };
                shortage
                    .busy
                    .push(thread::Builder::new().name("scarce".into()).spawn(spin).map_err(|e| format!("--scarce cpu: {e}"))?);
            }
            return Ok(shortage);
        }
        for pid in std::iter::once(main).chain(proc::descendants(main)) {
            self.limit(pid).map_err(|e| format!("cannot set a limit on process {pid}: {e}"))?;
        }
        Ok(shortage)
    }

    fn limit(self, pid: i32) -> io::Result<()> {
        let (what, value) = match self {
            Scarce::Fds => (libc::RLIMIT_NOFILE, lowest_free(pid)?),
            Scarce::Threads => (libc::RLIMIT_AS, kilobytes(pid, "VmSize:")? * 1024 + HEADROOM),
            Scarce::Memory => (libc::RLIMIT_DATA, kilobytes(pid, "VmData:")? * 1024 + HEADROOM),
            Scarce::Disk | Scarce::Cpu => (libc::RLIMIT_FSIZE, 0),
        };
        // SAFETY: all-zero is a valid rlimit64.
        let mut limit: libc::rlimit64 = unsafe { std::mem::zeroed() };
        // SAFETY: `limit` is writable; no new limit is given.
        if unsafe { libc::prlimit64(pid, what, std::ptr::null(), &raw mut limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
        limit.rlim_cur = value.min(limit.rlim_max);
        // SAFETY: `limit` is readable; the old one is not asked for.
        if unsafe { libc::prlimit64(pid, what, &raw const limit, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// A new descriptor gets the lowest free number, and is refused at the limit; those above it that are open stay so.
fn lowest_free(pid: i32) -> io::Result<u64> {
    let open: Vec<u64> =
        fs::read_dir(format!("/proc/{pid}/fd"))?.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    Ok((0..).find(|n| !open.contains(n)).unwrap_or(0))
}

fn kilobytes(pid: i32, field: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let number = status.lines().find_map(|l| l.strip_prefix(field)?.trim().trim_end_matches("kB").trim().parse().ok());
    number.ok_or_else(|| io::Error::other(format!("no {field} in its status")))
}
