//! The admin endpoint (spec 2.3, 7.4): `/livez`, `/readyz`, `/status` and `/prestop` over TCP or a Unix socket, and the two
//! opt-in triggers that a descriptor tells of. One native thread, `gs-admin`, made only where one of them was asked for.
//!
//! It answers whatever the host is doing, because it never enters it: it reads words and the engine's state. Idle it sleeps in
//! `poll` without a limit. What strangers can make it hold is bounded: [`serve::MOST`] connections, [`http::LARGEST`] bytes
//! each, and a time limit on every step of a connection.
//!
//! Descriptors belong to the host: it may close them all (a daemon does) and get their numbers for files of its own. So each
//! of ours is known by its inode, which is compared before every use: one that was taken is never read, written or closed,
//! and the endpoint is gone, quietly. Between the comparison and the use lies an instant that nothing can close.

mod endpoint;
mod fd;
mod http;
mod serve;
mod watch;

pub(crate) use endpoint::{Endpoint, SocketFile};
pub(crate) use fd::Doorbell;
pub(crate) use serve::{Desk, Server};
pub(crate) use watch::{Parent, Stdin};
