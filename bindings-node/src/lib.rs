//! graceshut for Node.js: the native half of the npm package. `lib/*.js` is the face; what stands here is called only by it.
//!
//! Invariants:
//! 1. Nothing happens at load: no thread, no handler, no threadsafe function before `install`.
//! 2. No thread of graceshut enters V8. What JavaScript has to do is posted to the loop ([`bridge`]) and never waited for by the
//!    engine or the watchdog; a loop that does not come costs the JavaScript hooks only (embedding C26).
//! 3. After the environment's end nothing is posted any more ([`bridge::close`], embedding C28).
//! 4. The main thread installs; a worker thread joins its install ([`lifecycle::join`]), which pins the library first. What a
//!    worker registered goes when its environment does, and nothing is posted to it from then on.
//! 5. Every exported function is guarded: a panic becomes an error of kind `internal`.

mod bridge;
mod context;
mod error;
mod host;
mod inflight;
mod lifecycle;
mod listener;
mod registry;
mod view;
