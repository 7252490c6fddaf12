//! A driver-agnostic, generic connection pool for async Rust.
//!
//! Two things set it apart: a checkout costs nearly nothing, on one core and on many, and nothing
//! is ever lost, whatever is cancelled, panics, hangs or dies.

mod acquire;
mod builder;
mod close;
mod config;
mod duration;
mod error;
mod guard;
mod inner;
mod keeper;
mod manager;
mod metadata;
mod policy;
mod pool;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod waiting;

pub use builder::PoolBuilder;
pub use close::CloseReport;
pub use config::{ConfigError, ConfigProblem, PoolConfig, Reuse, Validation};
pub use error::{Error, Stage};
pub use guard::PooledConnection;
pub use manager::{BoxManager, Condition, DynManager, Interrupter, Manager};
pub use metadata::Metadata;
pub use pool::Pool;
pub use stats::{CloseReason, ClosedBy, Holder, LatencySummary, Snapshot, Stats};
