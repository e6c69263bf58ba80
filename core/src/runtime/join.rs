//! One handler and one registry a process, also when several copies of the core are loaded (spec 3.1).
//!
//! The copies find each other and elect one leader (`process/rendezvous`). A copy that does not lead refuses to install
//! and names the leader: two handlers would fight for the signals and two plans for the exit.

use crate::error::{Error, ErrorKind};
use crate::process::rendezvous::{self, Role};

/// Makes this copy the leader.
pub(super) fn lead() -> Result<(), Error> {
    let Role::Follow(leader) = rendezvous::elect(rendezvous::own())? else { return Ok(()) };
    let found = rendezvous::find().into_iter().find(|copy| std::ptr::eq(copy.header, leader));
    let who = found.map_or_else(|| "another copy".to_owned(), |c| format!("the copy of version {} in {}", c.version, c.object));
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("{who} is already installed in this process, and a second one cannot join it yet; install through that one"),
    ))
}

/// Another copy may lead from here on.
pub(super) fn resign() {
    rendezvous::resign(rendezvous::own());
}
