//! Who owns the live state: the process that claimed it, and no child of it (spec 10.1, 10.2; embedding A4, F40, F41).
//!
//! Two answers. [`is_owner`] is two atomic loads and right after every `fork()`; [`is_owner_certain`] costs a system call
//! and is right as well after vfork, raw `clone`, `_Fork`, and in a new pid namespace where the child's pid equals ours.
//!
//! Not told apart: a `clone(CLONE_VM | CLONE_NEWPID)` child of an owner that is itself pid 1: same memory, same pid.

use std::sync::atomic::{AtomicU32, Ordering};

use super::wiped::{Wiped, Zeroed, wipe_by_hand};
use super::{pin, raw};
use crate::error::Error;

struct Word(AtomicU32);

// SAFETY: one atomic integer; zero means "not the owner".
unsafe impl Zeroed for Word {}

/// 1 in the owner. A fork child reads 0 here, whatever its pid is.
static WORD: Wiped<Word> = Wiped::new();
/// The owner's pid; ordinary memory, so that a child can still read whose it was.
static PID: AtomicU32 = AtomicU32::new(0);
/// Counts forks on the way from the first process to this one.
static GENERATION: AtomicU32 = AtomicU32::new(1);
/// The generation that owns; 0 when nobody does.
static OWNED: AtomicU32 = AtomicU32::new(0);
static REGISTERED: AtomicU32 = AtomicU32::new(0);

/// F41: in the child only a number moves (and memory is wiped where the kernel does not); the admin endpoint's descriptors,
/// which a parent that ends would leave bound to a child that serves nothing, are closed. Runs in every fork child.
unsafe extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
    wipe_by_hand();
    super::fds::close_in_child();
}

/// Pins the library, maps the owner word and registers the fork handler, once. Owns nothing yet.
///
/// # Errors
/// `Os` when the library cannot be pinned, memory is short, or the handler cannot be registered.
pub fn prepare() -> Result<(), Error> {
    pin::pin()?;
    WORD.map()?;
    // F41: handlers are inherited, so a child must not register again.
    if REGISTERED.swap(1, Ordering::SeqCst) == 0 {
        // SAFETY: `in_child` is a static function of a pinned object, so it outlives every fork.
        let failed = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if failed != 0 {
            REGISTERED.store(0, Ordering::SeqCst);
            return Err(Error::os("pthread_atfork", &std::io::Error::from_raw_os_error(failed)));
        }
    }
    Ok(())
}

/// Makes the calling process the owner; a no-op when it is already.
///
/// # Errors
/// As [`prepare`].
pub fn claim() -> Result<(), Error> {
    prepare()?;
    let word = WORD.map()?;
    PID.store(raw::pid(), Ordering::SeqCst);
    OWNED.store(generation(), Ordering::SeqCst);
    // Last: pairs with the load in `is_owner_certain`, which then finds the pid in place.
    word.0.store(1, Ordering::SeqCst);
    Ok(())
}

/// Nobody owns from here on.
pub fn release() {
    if let Some(word) = WORD.get() {
        word.0.store(0, Ordering::SeqCst);
    }
    OWNED.store(0, Ordering::SeqCst);
    PID.store(0, Ordering::SeqCst);
}

/// Number of this process in its line of forks; never 0. A handle that remembers another one belongs to an ancestor.
#[must_use]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::SeqCst)
}

/// The generation that claimed, 0 when none did.
#[must_use]
pub fn owner_generation() -> u32 {
    OWNED.load(Ordering::SeqCst)
}

/// True in the process that claimed. No system call; wrong (true) only in children made without `fork()`'s handlers.
#[must_use]
pub fn is_owner() -> bool {
    owner_generation() == generation()
}

/// True in the process that claimed and in no child of any kind. Async-signal-safe.
#[must_use]
pub fn is_owner_certain() -> bool {
    WORD.get().is_some_and(|word| word.0.load(Ordering::SeqCst) == 1) && PID.load(Ordering::SeqCst) == raw::pid()
}
