//! A driver-agnostic, generic connection pool for async Rust.

mod config;
mod duration;
mod manager;

pub use config::{ConfigError, ConfigProblem, PoolConfig, Reuse, Validation};
pub use manager::{BoxManager, Condition, DynManager, Interrupter, Manager};
