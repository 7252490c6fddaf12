//! A driver-agnostic, generic connection pool for async Rust.

mod config;
mod duration;
mod manager;
mod stats;

pub use config::{ConfigError, ConfigProblem, PoolConfig, Reuse, Validation};
pub use manager::{BoxManager, Condition, DynManager, Interrupter, Manager};
pub use stats::LatencySummary;
