//! Which function handles a signal in another process. The kernel tells nobody but the process itself, so the process is made
//! to ask: with ptrace, one of its threads is stopped for about a millisecond and runs `rt_sigaction` into a page of its own.
//!
//! Promises: 1. The thread goes on exactly where it was: its registers are put back whatever happened in between. 2. No memory of
//! the process is written but the page mapped for this, and that is gone again. 3. Every wait has a limit.
//! What a program may notice is what `strace -p` makes it notice: calls that are never restarted (epoll_wait) end with EINTR.

use super::maps::Maps;
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(2);
const PAGE: u64 = 4096;
/// Of one mapping, no more is searched.
const MOST_CODE: u64 = 64 * 1024 * 1024;
/// `cs` of a thread that runs 64-bit code.
const CODE_64: u64 = 0x33;

/// The handlers of `signals`, by address; 0 and 1 are default and ignored.
///
/// # Errors
/// No permission, a thread that does not stop, or a process whose code this cannot run in.
#[cfg(target_arch = "x86_64")]
pub fn of(pid: i32, maps: &Maps, signals: &[i32]) -> io::Result<Vec<(i32, u64)>> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let gate = syscall_instruction(&memory, maps).ok_or_else(|| other("no syscall instruction was found in its code"))?;
    let stopped = Stopped::stop(pid)?;
    if stopped.saved.cs != CODE_64 {
        return Err(other("it runs 32-bit code"));
    }
    let page =
        stopped.call(gate, libc::SYS_mmap, [0, PAGE, 3, (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64, u64::MAX, 0])?;
    let asked = signals.iter().map(|signo| {
        stopped.call(gate, libc::SYS_rt_sigaction, [*signo as u64, 0, page, 8, 0, 0])?;
        let mut handler = [0; 8];
        memory.read_exact_at(&mut handler, page)?;
        Ok((*signo, u64::from_le_bytes(handler)))
    });
    let answer: io::Result<Vec<_>> = asked.collect();
    stopped.call(gate, libc::SYS_munmap, [page, PAGE, 0, 0, 0, 0])?;
    answer
}

/// See the other one.
#[cfg(not(target_arch = "x86_64"))]
pub fn of(_: i32, _: &Maps, _: &[i32]) -> io::Result<Vec<(i32, u64)>> {
    Err(other("this is built for x86-64 only"))
}

fn other(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

/// `0f 05` somewhere in code: in the vdso where that has one, else in a library or the program.
fn syscall_instruction(memory: &File, maps: &Maps) -> Option<u64> {
    maps.code().find_map(|(start, end)| {
        let mut code = vec![0; (end - start).min(MOST_CODE) as usize];
        memory.read_exact_at(&mut code, start).ok()?;
        code.windows(2).position(|w| w == [0x0f, 0x05]).map(|at| start + at as u64)
    })
}

/// A thread under ptrace, stopped; goes on when dropped.
struct Stopped {
    pid: i32,
    saved: libc::user_regs_struct,
    /// A signal that arrived meanwhile, delivered when the thread goes on.
    held: Cell<i32>,
}

impl Stopped {
    fn stop(pid: i32) -> io::Result<Stopped> {
        request(libc::PTRACE_SEIZE, pid, 0)?;
        // SAFETY: all-zero is a valid value of this plain struct.
        let saved = unsafe { std::mem::zeroed() };
        let mut stopped = Stopped { pid, saved, held: Cell::new(0) };
        let first = request(libc::PTRACE_INTERRUPT, pid, 0).and_then(|()| stopped.wait()).and_then(|()| registers(pid));
        match first {
            Ok(saved) => stopped.saved = saved,
            Err(e) => {
                let _ = request(libc::PTRACE_DETACH, pid, stopped.held.get() as usize);
                std::mem::forget(stopped);
                return Err(e);
            }
        }
        Ok(stopped)
    }

    /// Lets the thread make one system call and gives its result.
    fn call(&self, gate: u64, number: libc::c_long, args: [u64; 6]) -> io::Result<u64> {
        let mut regs = self.saved;
        regs.rip = gate;
        regs.rax = number as u64;
        // No system call is under way as far as these registers say: nothing is restarted on the way.
        regs.orig_rax = u64::MAX;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = args;
        set_registers(self.pid, &regs)?;
        // A stop that comes before the instruction (a signal, the end of the interrupt) leaves it to be stepped over still.
        for _ in 0..8 {
            request(libc::PTRACE_SINGLESTEP, self.pid, 0)?;
            self.wait()?;
            let now = registers(self.pid)?;
            if now.rip != gate {
                let failed = now.rax > u64::MAX - 4095;
                return if failed {
                    Err(io::Error::from_raw_os_error((now.rax as i64).unsigned_abs() as i32))
                } else {
                    Ok(now.rax)
                };
            }
        }
        Err(other("it gets signals all the time; ask again"))
    }

    /// Waits for the thread's next stop.
    fn wait(&self) -> io::Result<()> {
        let until = Instant::now() + LIMIT;
        loop {
            let mut status = 0;
            // SAFETY: `status` is writable; the thread is ours to wait for since it is traced.
            match unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG | libc::__WALL) } {
                0 if Instant::now() > until => return Err(other("its thread does not stop; it may be stuck in the kernel")),
                0 => std::thread::sleep(Duration::from_micros(200)),
                -1 => return Err(io::Error::last_os_error()),
                _ if !libc::WIFSTOPPED(status) => return Err(other("it ended just now")),
                _ if status >> 16 == libc::PTRACE_EVENT_STOP || libc::WSTOPSIG(status) == libc::SIGTRAP => return Ok(()),
                _ => return self.hold(libc::WSTOPSIG(status)),
            }
        }
    }

    /// One signal is kept; another one is sent again, to the thread that was to get it.
    fn hold(&self, signal: i32) -> io::Result<()> {
        let before = self.held.replace(signal);
        if before != 0 {
            // SAFETY: plain integers.
            unsafe { libc::syscall(libc::SYS_tgkill, self.pid, self.pid, before) };
        }
        Ok(())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = set_registers(self.pid, &self.saved);
        let _ = request(libc::PTRACE_DETACH, self.pid, self.held.get() as usize);
    }
}

fn request(what: libc::c_uint, pid: i32, data: usize) -> io::Result<()> {
    // SAFETY: requests that take no pointer of ours; a pid that is not traced is an error.
    let done = unsafe { libc::ptrace(what, pid, ptr::null_mut::<libc::c_void>(), data) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn registers(pid: i32) -> io::Result<libc::user_regs_struct> {
    // SAFETY: all-zero is a valid value of this plain struct.
    let mut regs: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: `regs` is writable and what this request fills in.
    let done = unsafe { libc::ptrace(libc::PTRACE_GETREGS, pid, ptr::null_mut::<libc::c_void>(), &raw mut regs) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(regs) }
}

fn set_registers(pid: i32, regs: &libc::user_regs_struct) -> io::Result<()> {
    // SAFETY: `regs` is readable and what this request reads.
    let done = unsafe { libc::ptrace(libc::PTRACE_SETREGS, pid, ptr::null_mut::<libc::c_void>(), ptr::from_ref(regs)) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
