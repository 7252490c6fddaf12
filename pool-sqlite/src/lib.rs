//! The `sqlite` backend of `pool-core`.
#![forbid(unsafe_code)]
