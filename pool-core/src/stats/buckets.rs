//! How many of the measured durations stayed within fixed bounds.
//!
//! Quantiles of several processes cannot be added up, and those since the start of a process say
//! nothing of the last minute. Counts within bounds can be added and subtracted: monitoring
//! systems compute the quantiles of any group of pools in any window from them.

use std::time::Duration;

/// Counts of measured durations within [`BOUNDS`](Self::BOUNDS). All of them only ever grow.
///
/// Of checkouts only those are measured that were not served at once: nothing was idle, or what was
/// had to be validated, recycled or closed first. A duration at a bound, or less than 1/32 below
/// it, may count as above it, never the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Buckets {
    /// How many were measured.
    pub count: u64,
    /// How long they took together, within 1/64 (1.6 %).
    pub sum: Duration,
    /// How many took no longer than the bound of the same index.
    pub within: [u64; Self::BOUNDS.len()],
}

impl Buckets {
    /// The bounds, from 100 µs to 30 s.
    pub const BOUNDS: [Duration; 12] = [
        Duration::from_micros(100),
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(30),
    ];

    /// Counts `count` durations of up to `nanos` each.
    pub(crate) fn add(&mut self, nanos: u64, count: u64) {
        self.count = self.count.saturating_add(count);
        let fits = |bound: &Duration| u128::from(nanos) <= bound.as_nanos();
        if let Some(first) = Self::BOUNDS.iter().position(fits) {
            for within in &mut self.within[first..] {
                *within = within.saturating_add(count);
            }
        }
    }
}
