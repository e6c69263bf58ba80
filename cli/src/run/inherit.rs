//! What this process was started with: mask and ignored signals, which a child is to have exactly so.
//!
//! Rust's runtime sets PIPE to ignored before main, and forgets what it was; it is looked at earlier, when the program is loaded.
//! CHLD inherited as ignored would have the kernel throw children's statuses away: here it is set to its default, and back in
//! the child.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::elsewhere;

/// From `graceshut` to the `graceshut-wasm` that it becomes: the mask it was itself started with.
const MASK: &str = "GRACESHUT_INHERITED_MASK";

/// Bit n-1 for signal n.
static IGNORED: AtomicU64 = AtomicU64::new(0);

/// What this process or its libraries change and exec would not give back: PIPE (Rust), CHLD (we), and the two of glibc, which
/// it takes with the first thread.
const LOOKED_AT: [i32; 4] = [libc::SIGPIPE, libc::SIGCHLD, 32, 33];

#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        let ignored = LOOKED_AT.iter().filter(|s| is_ignored(**s)).fold(0, |all, s| all | 1_u64 << (s - 1));
        IGNORED.store(ignored, Relaxed);
    }
    look
};

/// What the kernel takes and gives for a disposition; libc's own call refuses 32 and 33.
#[repr(C)]
struct Disposition {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

fn rt_sigaction(signo: i32, new: Option<&Disposition>) -> Disposition {
    let mut old = Disposition { handler: 0, flags: 0, restorer: 0, mask: 0 };
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or a disposition without a handler function, `old` is writable; 8 is the size of a mask.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signo, new, &raw mut old, 8_usize) };
    old
}

/// Async-signal-safe.
fn is_ignored(signo: i32) -> bool {
    rt_sigaction(signo, None).handler == libc::SIG_IGN
}

/// What was inherited. Made once, before any thread.
#[derive(Clone, Copy)]
pub struct Inherited {
    pub mask: libc::sigset_t,
    ignored: u64,
}

impl Inherited {
    /// In a child about to exec: dispositions first, then the mask, so that what waited arrives now and does what it does to the
    /// program. Async-signal-safe.
    pub fn restore(&self) {
        self.restore_dispositions();
        // SAFETY: the set is valid.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.mask, std::ptr::null_mut()) };
    }

    /// Becomes `graceshut-wasm`. Every signal stays blocked on the way, so that none is lost; what it is to hand on it is told. No
    /// other thread may be there. Returns only what went wrong.
    pub fn hand_over(&self) -> String {
        let words: Vec<_> = std::env::args_os().collect();
        self.restore_dispositions();
        // SAFETY: there is no other thread.
        unsafe { std::env::set_var(MASK, format!("{:x}", bits(&self.mask))) };
        elsewhere::hand_over(&words)
    }

    fn restore_dispositions(&self) {
        for signo in LOOKED_AT {
            let handler = if self.ignored & 1 << (signo - 1) != 0 { libc::SIG_IGN } else { libc::SIG_DFL };
            rt_sigaction(signo, Some(&Disposition { handler, flags: 0, restorer: 0, mask: 0 }));
        }
    }
}

/// The kernel's part of a mask: bit n-1 for signal n.
fn bits(mask: &libc::sigset_t) -> u64 {
    // SAFETY: on Linux a sigset_t begins with the kernel's mask, which every sigset_t here has initialised.
    unsafe { std::ptr::from_ref(mask).cast::<u64>().read_unaligned() }
}

/// The mask that [`Inherited::hand_over`] left, once.
fn handed_over() -> Option<libc::sigset_t> {
    let word = std::env::var(MASK).ok().filter(|_| elsewhere::is_here())?;
    // SAFETY: there is no other thread yet.
    unsafe { std::env::remove_var(MASK) };
    let bits = u64::from_str_radix(&word, 16).ok()?;
    // SAFETY: sigset_t is plain data for which zeros are valid.
    let mut mask: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as in `bits`.
    unsafe { std::ptr::from_mut(&mut mask).cast::<u64>().write_unaligned(bits) };
    Some(mask)
}

/// Remembers what was inherited and blocks every signal, for good: from here on none is lost and none does anything by itself.
pub fn take() -> Inherited {
    // SAFETY: sigset_t is plain data for which zeros are valid.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut mask: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `all` is writable.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: both sets are valid and outlive the call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut mask) };
    // SAFETY: SIG_DFL is a valid disposition for CHLD, and no other thread is there yet.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    Inherited { mask: handed_over().unwrap_or(mask), ignored: IGNORED.load(Relaxed) }
}
