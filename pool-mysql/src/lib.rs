//! The `mysql` backend of `pool-core`.
