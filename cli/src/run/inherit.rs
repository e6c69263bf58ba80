//! What this process was started with: mask and ignored signals, which a child is to have exactly so.
//!
//! Rust's runtime sets PIPE to ignored before main, and forgets what it was; it is looked at earlier, when the program is loaded.
//! CHLD inherited as ignored would have the kernel throw children's statuses away: here it is set to its default, and back in
//! the child.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static PIPE_IGNORED: AtomicBool = AtomicBool::new(false);

#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        PIPE_IGNORED.store(is_ignored(libc::SIGPIPE), Relaxed);
    }
    look
};

/// What was inherited. Made once, before any thread.
#[derive(Clone, Copy)]
pub struct Inherited {
    pub mask: libc::sigset_t,
    pub pipe_ignored: bool,
    pub chld_ignored: bool,
}

/// Remembers what was inherited and blocks every signal, for good: from here on none is lost and none does anything by itself.
pub fn take() -> Inherited {
    let chld_ignored = is_ignored(libc::SIGCHLD);
    // SAFETY: sigset_t is plain data for which zeros are valid.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut mask: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `all` is writable.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: both sets are valid and outlive the call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut mask) };
    if chld_ignored {
        // SAFETY: SIG_DFL is a valid disposition for CHLD, and no other thread is there yet.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
    Inherited { mask, pipe_ignored: PIPE_IGNORED.load(Relaxed), chld_ignored }
}

/// Async-signal-safe.
fn is_ignored(signo: i32) -> bool {
    // SAFETY: sigaction is plain data for which zeros are valid.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action changes nothing; `now` is writable.
    unsafe { libc::sigaction(signo, std::ptr::null(), &raw mut now) };
    now.sa_sigaction == libc::SIG_IGN
}
