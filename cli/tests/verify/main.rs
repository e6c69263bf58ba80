//! `graceshut verify` against real services, most of which misbehave in one exact way.
//!
//! The services are in `services/`, in Python with its standard library only: the judge must not depend on what it judges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
#[path = "../common/mod.rs"]
mod common;
mod judge;
mod left_behind;
mod losing;
mod no_verdict;
mod own_report;
mod well;
