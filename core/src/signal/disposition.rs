//! What the kernel holds for a signal, asked and set without a library in between where that matters.
//!
//! Asked by raw system call: libjsig answers for the libc name with its own table (embedding E38). Set through libc when a
//! handler comes or goes, so that such an interposer takes part; by raw system call in a child that is not ours.

use std::io;
use std::mem;

/// Bytes of the kernel's signal set.
pub(super) const SET_BYTES: usize = 8;

/// `struct sigaction` as the kernel has it on x86-64 and aarch64.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Disposition {
    /// `SIG_DFL`, `SIG_IGN` or the handler's address.
    pub handler: usize,
    /// `SA_*`.
    pub flags: u64,
    /// What the handler returns to, where `flags` say so.
    pub restorer: usize,
    /// Signals blocked while the handler runs.
    pub mask: u64,
}

/// glibc does not export it; the kernel wants it with a restorer on x86-64.
pub(super) const SA_RESTORER: u64 = 0x0400_0000;

impl Disposition {
    /// The default action.
    pub const DEFAULT: Disposition = Disposition { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };

    /// A function, neither SIG_DFL nor SIG_IGN.
    #[must_use]
    pub fn is_function(&self) -> bool {
        self.handler != libc::SIG_DFL && self.handler != libc::SIG_IGN
    }

    pub(super) fn has(&self, flag: i32) -> bool {
        self.flags & u64::from(flag as u32) != 0
    }
}

/// The bit of `signo` in a kernel set; 0 for what is no signal.
pub(super) fn bit(signo: i32) -> u64 {
    if (1..=64).contains(&signo) { 1 << (signo - 1) } else { 0 }
}

/// What the kernel holds. `None` for what is no signal. Any thread, never blocks, async-signal-safe.
#[must_use]
pub fn query(signo: i32) -> Option<Disposition> {
    let mut now = Disposition::default();
    // SAFETY: `now` has the kernel's layout and is writable; a null new action changes nothing.
    let failed =
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signo, std::ptr::null::<Disposition>(), &raw mut now, SET_BYTES) };
    (failed == 0).then_some(now)
}

/// Sets what the kernel holds; a number that is no signal is passed over. Any thread, never blocks, async-signal-safe.
///
/// # Safety
/// `new.handler` is SIG_DFL, SIG_IGN or a handler that fits `new.flags`, with a restorer where the kernel needs one.
pub unsafe fn set_raw(signo: i32, new: &Disposition) {
    // SAFETY: `new` has the kernel's layout; the rest is the caller's promise.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signo, std::ptr::from_ref(new), std::ptr::null_mut::<Disposition>(), SET_BYTES)
    };
}

/// Sets through libc and returns what was there before.
///
/// # Safety
/// `new.handler` is SIG_DFL, SIG_IGN or a handler that fits `new.flags` and stays mapped.
pub(super) unsafe fn set(signo: i32, new: &Disposition) -> io::Result<Disposition> {
    let new = libc::sigaction {
        sa_sigaction: new.handler,
        sa_mask: sigset(new.mask),
        // SA_RESTORER is libc's own business: it brings its restorer along.
        sa_flags: (new.flags & !SA_RESTORER) as i32,
        sa_restorer: None,
    };
    // SAFETY: all-zero bytes are a valid sigaction.
    let mut old: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: both point to live structs; the handler is the caller's promise.
    if unsafe { libc::sigaction(signo, &raw const new, &raw mut old) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Disposition {
        handler: old.sa_sigaction,
        flags: u64::from(old.sa_flags as u32),
        restorer: old.sa_restorer.map_or(0, |f| f as usize),
        mask: kernel_set(&old.sa_mask),
    })
}

/// libc's set with the kernel's 64 bits. Written as a word: sigaddset refuses the two signals glibc keeps to itself.
pub(super) fn sigset(bits: u64) -> libc::sigset_t {
    // SAFETY: all-zero bytes are a valid, empty sigset_t.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: a sigset_t is at least eight bytes long and begins with the kernel's words (glibc and musl).
    unsafe { (&raw mut set).cast::<u64>().write_unaligned(bits) };
    set
}

pub(super) fn kernel_set(set: &libc::sigset_t) -> u64 {
    // SAFETY: as in `sigset`.
    unsafe { std::ptr::from_ref(set).cast::<u64>().read_unaligned() }
}
