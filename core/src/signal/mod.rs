//! The one handler (spec 3): the only code that changes a disposition or runs in signal context.
//!
//! The handler stores what it saw, wakes the engine thread and returns; it knows nothing of plans and hooks. The engine
//! thread waits on [`wake`] and takes what was stored with [`drain`].
//!
//! What it does not do: take a synchronous signal (SEGV, BUS, FPE, ILL, TRAP, ABRT, SYS; embedding E39; but see
//! [`abort`]), use a descriptor that it has to keep
//! (A1), count signals (A5: equal signals coalesce in the kernel), or get to know of a foreign handler set later unless
//! [`look`] or [`rearm`] is called (B14: the last `sigaction` wins, silently).

pub mod abort;
pub mod altstack;
mod arm;
mod chain;
mod die;
pub mod disposition;
mod entry;
mod guard;
pub mod hand_on;
mod handler;
pub mod main_thread;
pub mod mask;
pub mod name;
pub mod neighbour;
mod words;

pub use arm::{Armed, Chain, Disarmed, MAX_REPAIRS, Managed, Replaced, arm, armed, disarm, look, rearm, repairs};
pub use chain::{Outside, set_outside};
pub use die::die_by;
pub use mask::{block_all_but, host_mask, leave_signals_to_program, set_hook_mask, set_host_mask, taken_elsewhere};
pub use name::{name_of, number_of};
pub use words::{Caught, drain, pending, wake};
