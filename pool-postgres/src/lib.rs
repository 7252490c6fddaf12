//! The `postgres` backend of `pool-core`.
