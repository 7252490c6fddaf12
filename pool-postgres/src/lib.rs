//! The `postgres` backend of `pool-core`.
#![forbid(unsafe_code)]
