//! The waits of all checkouts of a run, and what is told of them.

use std::time::Duration;

/// Waits in nanoseconds, the shortest first.
pub(crate) struct Waits(Vec<u32>);

impl Waits {
    pub(crate) fn new(mut nanoseconds: Vec<u32>) -> Self {
        nanoseconds.sort_unstable();
        Self(nanoseconds)
    }

    /// In microseconds, what `permille` of the waits did not exceed; `None` where nobody was served.
    pub(crate) fn permille(&self, permille: usize) -> Option<f64> {
        let place = (self.0.len() * permille / 1_000).min(self.0.len().checked_sub(1)?);
        Some(f64::from(self.0[place]) / 1e3)
    }

    /// A wait as it is kept: 4 s are the longest that are told apart.
    pub(crate) fn nanoseconds(wait: Duration) -> u32 {
        u32::try_from(wait.as_nanos()).unwrap_or(u32::MAX)
    }
}

/// How many there were in a second of `elapsed`.
pub(crate) fn per_second(count: usize, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no run makes 2^52 checkouts")]
    let count = count as f64;
    count / elapsed.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permille_are_of_the_sorted_waits() {
        let waits = Waits::new((1..=1_000).rev().map(|wait| wait * 1_000).collect());
        let told = [500, 990, 999, 1_000].map(|permille| waits.permille(permille));
        assert_eq!(told, [501.0, 991.0, 1_000.0, 1_000.0].map(Some));
    }

    #[test]
    fn nobody_served_is_no_wait() {
        assert_eq!(Waits::new(Vec::new()).permille(500), None);
    }
}
