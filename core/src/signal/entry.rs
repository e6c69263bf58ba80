//! The addresses at which the kernel calls the handler: several, so that a restored one can be told from the present one.
//!
//! A foreign handler that is set after ours saves our address, and puts it back when it takes itself out. The kernel then shows
//! graceshut's handler again, over a handler that may be unloaded by then. Each repair therefore puts another entry in place;
//! which entry the kernel calls says how much of what was found since is still meant (`Saved::generation`).
//!
//! The entries lie side by side, [`ENTRY_BYTES`] apart: another copy and `graceshut doctor` know all of them by the first.

use std::arch::naked_asm;
use std::ffi::c_void;

use super::handler::on_signal;
use crate::process::rendezvous::{ENTRIES, ENTRY_BYTES};

pub(super) type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);

/// All of them: each passes its number as the fourth argument, and goes on in `on_signal` on the kernel's own frame.
#[unsafe(naked)]
extern "C" fn entries(_signo: i32, _info: *mut libc::siginfo_t, _ctx: *mut c_void) {
    #[cfg(target_arch = "x86_64")]
    naked_asm!(
        ".irp entry, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "77: mov ecx, \\entry",
        "jmp {on_signal}",
        ".org 77b + {bytes}, 0xcc",
        ".endr",
        on_signal = sym on_signal,
        bytes = const ENTRY_BYTES,
    );
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        ".irp entry, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "77: mov w3, #\\entry",
        "b {on_signal}",
        ".org 77b + {bytes}",
        ".endr",
        on_signal = sym on_signal,
        bytes = const ENTRY_BYTES,
    );
}

/// The address of entry `generation % ENTRIES`.
pub(super) fn address(generation: u64) -> usize {
    first() + (generation % ENTRIES as u64) as usize * ENTRY_BYTES
}

/// The number of the entry at `address`; `None` for what is not ours.
pub(super) fn number(address: usize) -> Option<u64> {
    let offset = address.checked_sub(first())?;
    (offset.is_multiple_of(ENTRY_BYTES) && offset / ENTRY_BYTES < ENTRIES).then_some((offset / ENTRY_BYTES) as u64)
}

fn first() -> usize {
    entries as Handler as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_known_by_its_address_and_passes_its_number() {
        for n in 0..ENTRIES as u64 {
            let at = address(n);
            assert_eq!((number(at), number(at + 1)), (Some(n), None));
            assert_eq!(address(n + ENTRIES as u64), at, "they are used in turn");
            // SAFETY: eight bytes of our own code, which is readable.
            let code = unsafe { (at as *const [u8; 8]).read_unaligned() };
            if cfg!(target_arch = "x86_64") {
                assert_eq!(code[..6], [0xb9, n as u8, 0, 0, 0, 0xe9], "mov ecx, n; jmp");
            } else {
                let word = u32::from_le_bytes([code[0], code[1], code[2], code[3]]);
                assert_eq!(word, 0x5280_0003 | (n as u32) << 5, "mov w3, n");
            }
        }
        assert_eq!((number(address(0) - ENTRY_BYTES), number(first() + ENTRIES * ENTRY_BYTES)), (None, None));
    }
}
