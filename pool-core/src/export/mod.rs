//! Statistics for monitoring systems.
//!
//! Exporters read snapshots only: a checkout pays nothing for being watched.

#[cfg(feature = "dashboard")]
pub mod dashboard;
mod figures;
#[cfg(feature = "opentelemetry")]
pub mod opentelemetry;
pub mod prometheus;
