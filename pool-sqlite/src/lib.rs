//! The `sqlite` backend of `pool-core`.
