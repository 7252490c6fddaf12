//! The load bench, criterion benches and comparisons.
#![forbid(unsafe_code)]
