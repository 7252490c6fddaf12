//! One histogram for several threads at once: each adds to a part that hardly anybody else writes.
//!
//! A queue under load measures millions of waits a second; with one histogram the threads would hand
//! its lines to and fro.

use crossbeam_utils::CachePadded;

use super::LatencySummary;
use super::histogram::{Histogram, Tally, merged};

/// More parts than this take more memory than they save time.
const MOST: usize = 8;

/// A histogram in parts.
#[derive(Debug)]
pub(crate) struct Spread(Box<[CachePadded<Histogram>]>);

impl Spread {
    /// One for about as many threads.
    pub(crate) fn new(threads: usize) -> Self {
        let parts = threads.clamp(1, MOST).next_power_of_two();
        Self(
            (0..parts)
                .map(|_| CachePadded::new(Histogram::new()))
                .collect(),
        )
    }

    /// The part of a thread with this number.
    pub(crate) fn of(&self, thread: usize) -> &Histogram {
        &self.0[thread & (self.0.len() - 1)]
    }

    /// As [`Histogram::summary_of`].
    pub(crate) fn summary_of(&self, total: u64) -> LatencySummary {
        merged(&self.0, |recorded| total.saturating_sub(recorded))
    }

    /// As [`Histogram::tally`].
    pub(crate) fn tally(&self) -> Tally {
        Tally::of(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_parts_together_are_as_one() {
        let (spread, whole) = (Spread::new(5), Histogram::new());
        assert_eq!(spread.0.len(), 8);
        for number in 0..1_000_usize {
            let time = Duration::from_micros(number as u64 * number as u64);
            spread.of(number).record(time);
            whole.record(time);
        }
        assert_eq!(spread.summary_of(1_500), whole.summary_of(1_500));
        let since = spread.tally().since(&Tally::default(), 0);
        assert_eq!(since, whole.tally().since(&Tally::default(), 0));
    }
}
