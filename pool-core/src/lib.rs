//! A driver-agnostic, generic connection pool for async Rust.

mod manager;

pub use manager::{BoxManager, Condition, DynManager, Interrupter, Manager};
