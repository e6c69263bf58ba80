//! Threads of this crate serve no signal (spec 3.8).

/// Blocks every signal on the calling thread but those that a fault raises, which the host's own crash handler wants to see.
pub(crate) fn block_signals() {
    graceshut::signal::block_all_but(None);
}
