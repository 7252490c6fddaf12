//! The load bench, criterion benches and comparisons.
