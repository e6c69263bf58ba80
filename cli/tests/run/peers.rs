//! Placeholder while the suite is written.

crate::suite!("peers":
);
