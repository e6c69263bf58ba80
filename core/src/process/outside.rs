//! A copy of graceshut as another process sees it in this one's memory: `graceshut doctor` finds [`Header`] there.

use super::rendezvous::{self, ABI_MAJOR, ACTIVE, HEADER, Header};

/// What a look from outside finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copy {
    /// It leads: `install` was called and `uninstall` was not.
    pub active: bool,
    /// The process that did so; a forked child has its parent's copy.
    pub owner_pid: u32,
    /// Its version.
    pub version: String,
    /// Where the first entry of its signal handler is; 0 before it first armed.
    pub handler: u64,
}

impl Copy {
    /// True when the kernel's handler at `address` is this copy's: each repair puts another entry of it in place.
    #[must_use]
    pub fn handles(&self, address: u64) -> bool {
        rendezvous::is_entry(self.handler, address)
    }
}

/// The first eight bytes of every copy's header; it lies at a multiple of eight, in writable memory of a mapped file.
pub const MAGIC: [u8; 8] = *b"gr4cshut";
/// How many bytes [`parse`] wants.
pub const LEN: usize = size_of::<Header>();

/// Reads a header from another process's memory; `None` where these bytes are none, or one of another ABI.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Copy> {
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    if bytes.get(..8)? != MAGIC || word(HEADER.abi_major)? != ABI_MAJOR || (word(HEADER.size)? as usize) < LEN {
        return None;
    }
    let text = bytes.get(HEADER.version..HEADER.version + 32)?.split(|b| *b == 0).next()?;
    let version = std::str::from_utf8(text).ok()?.to_owned();
    let handler = bytes.get(HEADER.handler..HEADER.handler + 8)?.try_into().ok().map(u64::from_le_bytes)?;
    Some(Copy { active: word(HEADER.state)? == ACTIVE, owner_pid: word(HEADER.owner_pid)?, version, handler })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn our_own_header_is_one_and_nothing_else_is() {
        let own = super::super::rendezvous::own();
        // SAFETY: a live header of LEN bytes, in a static.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(own).cast::<u8>(), LEN) };
        let copy = parse(bytes).unwrap();
        assert_eq!(copy.version, env!("CARGO_PKG_VERSION"));
        let armed = Copy { handler: 0x1000, ..copy };
        assert!(armed.handles(0x1000) && armed.handles(0x10f0) && !armed.handles(0x1008) && !armed.handles(0x1100));
        assert!(!Copy { handler: 0, ..armed }.handles(0));
        assert_eq!(parse(&bytes[..40]), None, "cut short");
        assert_eq!(parse(&[0; 128]), None);
        let mut other = bytes.to_vec();
        other[HEADER.abi_major] = 9;
        assert_eq!(parse(&other), None);
    }
}
