//! Whether the main thread has a signal blocked (spec 3.8), asked inside the handler.
//!
//! No system call says the mask of another thread; `/proc/self/status` is the main thread's. Async-signal-safe: open, read and
//! close as system calls, a buffer on the stack. Only the engine's thread asks, so the descriptor lives for some microseconds.

use std::ffi::CStr;

use super::disposition::bit;

const STATUS: &CStr = c"/proc/self/status";
/// How much of a line is kept; the lines looked for are shorter.
const LINE: usize = 40;

/// True when the main thread is there and has `signo` blocked. False where that cannot be found out. Changes errno.
pub(super) fn blocks(signo: i32) -> bool {
    blocked() & bit(signo) != 0
}

/// True when it has about everything blocked, as a runtime has it while it starts a thread or a program (until the program runs).
#[must_use]
pub fn blocks_everything() -> bool {
    let some = [libc::SIGALRM, libc::SIGCHLD, libc::SIGPIPE, libc::SIGURG, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];
    let some = some.into_iter().fold(0, |set, signo| set | bit(signo));
    blocked() & some == some
}

/// What it has blocked; nothing where it has ended, or where that cannot be found out.
fn blocked() -> u64 {
    // SAFETY: the path is a C string that lives for ever.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, STATUS.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return 0;
    }
    let mut status = Status::default();
    let mut piece = [0_u8; 512];
    loop {
        // SAFETY: the kernel writes at most the buffer's length into it.
        let n = unsafe { libc::syscall(libc::SYS_read, fd, piece.as_mut_ptr(), piece.len()) };
        let Some(read) = usize::try_from(n).ok().filter(|n| *n > 0).and_then(|n| piece.get(..n)) else { break };
        read.iter().for_each(|byte| status.take(*byte));
    }
    // SAFETY: opened above, closed once.
    unsafe { libc::syscall(libc::SYS_close, fd) };
    if status.ended { 0 } else { status.blocked }
}

/// What is read of the file, byte by byte: its lines can be long (the groups), and are no matter.
struct Status {
    line: [u8; LINE],
    length: usize,
    ended: bool,
    blocked: u64,
}

impl Default for Status {
    fn default() -> Status {
        Status { line: [0; LINE], length: 0, ended: false, blocked: 0 }
    }
}

impl Status {
    fn take(&mut self, byte: u8) {
        if byte != b'\n' {
            if let Some(place) = self.line.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
            return;
        }
        let line = self.line.get(..self.length).unwrap_or_default();
        if let Some(state) = line.strip_prefix(b"State:\t") {
            // Ended, while other threads live on: its mask is what it died with, everything in glibc.
            self.ended = matches!(state.first(), Some(b'Z' | b'X'));
        } else if let Some(digits) = line.strip_prefix(b"SigBlk:\t") {
            self.blocked = digits.iter().fold(0, |set, digit| set << 4 | u64::from(value(*digit)));
        }
        self.length = 0;
    }
}

fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (bool, u64) {
        let mut status = Status::default();
        text.bytes().for_each(|byte| status.take(byte));
        (status.ended, status.blocked)
    }

    #[test]
    fn it_reads_what_the_kernel_writes() {
        let groups = "1000 ".repeat(3000);
        let text = |state: &str| {
            format!(
                "Name:\tSigBlk:\nState:\t{state}\nGroups:\t{groups}\nSigPnd:\t0000000000000000\nSigBlk:\tffffff00fffbfeff\nSigIgn:\t0000000000001000\n"
            )
        };
        assert_eq!(read(&text("S (sleeping)")), (false, 0xffff_ff00_fffb_feff));
        assert_eq!(read(&text("Z (zombie)")), (true, 0xffff_ff00_fffb_feff));
        assert_eq!(read("Name:\tx\nSigBlk"), (false, 0));
        assert!(!blocks(libc::SIGPROF), "this thread has it open");
    }
}
