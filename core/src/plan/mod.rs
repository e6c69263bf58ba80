//! What a shutdown will do with its time: phases, their shares, and the arithmetic of one total deadline (spec 4 and 5).
//!
//! Pure: no clock, no thread, no I/O. Points in time come in as [`At`](crate::clock::At) and go out the same way.

mod amount;
mod budget;
mod phase;
mod preview;

pub use amount::{Amount, format_duration, parse_duration};
pub use budget::{Budget, CUT_GRACE, CUT_LIMIT, Slot, hook_box, hook_soft, margin_of};
pub use phase::{ANNOUNCE, DRAIN, OnFailure, Order, PhasePatch, PhaseSpec, Plan};
pub use preview::{Preview, PreviewRow};
