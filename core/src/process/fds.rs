//! What a descriptor's number means, and which ones a forked child gives back at once.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};

/// What a descriptor refers to: device and inode.
pub type Identity = (u64, u64);

/// What `fd` refers to now; `None` for a closed one. Async-signal-safe.
#[must_use]
pub fn identity(fd: i32) -> Option<Identity> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is writable and of the right type; a bad descriptor is an error, not undefined.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: fstat returned 0, hence filled it.
    let stat = unsafe { stat.assume_init() };
    Some((stat.st_dev, stat.st_ino))
}

/// Descriptors that a forked child closes at once, so that the parent's end frees the address and ends its connections.
const PLACES: usize = 4;

struct Place {
    number: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

static LEFT_TO_PARENT: [Place; PLACES] =
    [const { Place { number: AtomicI32::new(-1), device: AtomicU64::new(0), inode: AtomicU64::new(0) } }; PLACES];

/// Names what a forked child is to close; replaces what was named before.
pub fn leave_to_parent(all: impl Iterator<Item = (i32, Identity)>) {
    let mut places = LEFT_TO_PARENT.iter();
    for (place, (number, identity)) in places.by_ref().zip(all) {
        // A child made between the stores finds an inode that does not fit, and closes nothing.
        place.number.store(-1, SeqCst);
        place.device.store(identity.0, SeqCst);
        place.inode.store(identity.1, SeqCst);
        place.number.store(number, SeqCst);
    }
    places.for_each(|place| place.number.store(-1, SeqCst));
}

/// In a forked child. Async-signal-safe.
pub(super) fn close_in_child() {
    for place in &LEFT_TO_PARENT {
        let number = place.number.swap(-1, SeqCst);
        if number >= 0 && identity(number) == Some((place.device.load(SeqCst), place.inode.load(SeqCst))) {
            // SAFETY: close takes an integer; the number is this child's copy of a descriptor of ours.
            unsafe { libc::close(number) };
        }
    }
}
