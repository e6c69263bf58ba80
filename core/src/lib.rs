//! graceshut core.
pub mod clock;
pub mod config;
pub mod engine;
pub mod error;
pub mod plan;
pub mod wake;
