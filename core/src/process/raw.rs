//! System calls without a library's cache in between (embedding A4: a cached pid is the parent's in a vfork child).
//!
//! All of them are async-signal-safe and allocate nothing. They may change errno; the signal handler keeps it.

/// The calling process's pid as the kernel says it, in the process's own pid namespace.
#[must_use]
pub fn pid() -> u32 {
    // SAFETY: getpid takes no argument and cannot fail.
    let pid = unsafe { libc::syscall(libc::SYS_getpid) };
    pid as u32
}

/// The calling thread's id.
#[must_use]
pub fn tid() -> u32 {
    // SAFETY: gettid takes no argument and cannot fail.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) };
    tid as u32
}

/// Sends `signo` to the calling thread. While the signal is blocked (as in its own handler) it stays pending.
pub fn raise_here(signo: i32) {
    // SAFETY: tgkill takes three integers; a bad one is an error value.
    unsafe { libc::syscall(libc::SYS_tgkill, pid(), tid(), signo) };
}

/// Ends every thread of the process at once; no finaliser runs (embedding H49).
pub fn exit_group(status: i32) -> ! {
    loop {
        // SAFETY: exit_group takes one integer and does not return.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}
