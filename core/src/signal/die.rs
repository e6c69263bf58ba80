//! Death by signal, as the very last act (spec 6.5; embedding H49).

use super::disposition::{Disposition, bit, set_raw};
use super::mask;
use crate::process::raw;

/// Ends the process by `signo`, so that a shell sees "killed by signal"; with status 128 + n where that does not work: as
/// pid 1, which survives its own signals, and for signals that do not kill by default. Nothing of the host runs any more.
/// Async-signal-safe.
pub fn die_by(signo: i32) -> ! {
    if raw::pid() != 1 && bit(signo) != 0 {
        // SAFETY: SIG_DFL needs no handler and no restorer.
        unsafe { set_raw(signo, &Disposition::DEFAULT) };
        mask::swap(mask::current() & !bit(signo));
        // To this thread, which has the signal unblocked: it is delivered before the call returns.
        raw::raise_here(signo);
    }
    raw::exit_group(128_i32.wrapping_add(signo) & 0xff)
}
