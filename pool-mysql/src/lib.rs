//! The `mysql` backend of `pool-core`.
#![forbid(unsafe_code)]
