//! What other threads tell the loop: a queue and a descriptor that its poll hears.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use graceshut::{Completion, Context, ExitPlan};

use super::sys;

/// Something for the loop.
pub enum Note {
    /// The plan says: stop this program.
    Stop(usize, Context, Completion),
    /// Its deadline has moved, or is here.
    Look,
    /// A program is ready, or will not be.
    Ready(usize, Result<(), String>),
    /// The plan is over and the report written.
    Finished(ExitPlan),
}

/// The loop's letter box.
#[derive(Clone)]
pub struct Post {
    inner: Arc<(Mutex<VecDeque<Note>>, OwnedFd)>,
}

impl Post {
    pub fn new() -> io::Result<Post> {
        Ok(Post { inner: Arc::new((Mutex::new(VecDeque::with_capacity(16)), sys::eventfd()?)) })
    }

    pub fn fd(&self) -> i32 {
        self.inner.1.as_raw_fd()
    }

    /// Any thread; never blocks for long.
    pub fn send(&self, note: Note) {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(note);
        let one = 1_u64.to_ne_bytes();
        // SAFETY: `one` is eight readable bytes; an eventfd that is full is heard all the same.
        unsafe { libc::write(self.fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Everything that came.
    pub fn take(&self) -> VecDeque<Note> {
        let mut count = [0_u8; 8];
        // SAFETY: `count` is eight writable bytes; an empty eventfd answers with an error, which is no matter.
        unsafe { libc::read(self.fd(), count.as_mut_ptr().cast(), count.len()) };
        std::mem::take(&mut *self.inner.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
