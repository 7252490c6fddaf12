//! Statistics for monitoring systems.
//!
//! Exporters read snapshots only: a checkout pays nothing for being watched.

mod figures;
#[cfg(feature = "opentelemetry")]
pub mod opentelemetry;
pub mod prometheus;
