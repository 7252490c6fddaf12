//! Statistics for monitoring systems.
//!
//! Exporters read snapshots only: a checkout pays nothing for being watched.

#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod additions;
#[cfg(feature = "dashboard")]
pub mod dashboard;
mod figures;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "opentelemetry")]
pub mod opentelemetry;
pub mod prometheus;
#[cfg(feature = "prometheus-client")]
pub mod prometheus_client;
