//! Timing things, many times.

use std::time::{Duration, Instant};

use crate::report::Finding;

/// How long `work` takes, and what it gives.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let began = Instant::now();
    let result = work.await;
    (began.elapsed(), result)
}

/// Durations of the same thing.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The smallest time that `percent` of all do not exceed.
    pub(crate) fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

/// A time in seconds that must be below `limit`.
pub(crate) fn below_seconds(time: Duration, limit: Duration) -> Finding {
    Finding::Measured(time.as_secs_f64(), time < limit)
}

/// A time in milliseconds that must be below `limit`.
pub(crate) fn below_ms(time: Duration, limit: Duration) -> Finding {
    Finding::Measured(time.as_secs_f64() * 1e3, time < limit)
}

/// A number that must be that.
pub(crate) fn exactly(number: usize, wanted: usize) -> Finding {
    Finding::Measured(figure(number as u64), number == wanted)
}

/// A number as a figure of the report.
#[expect(
    clippy::cast_precision_loss,
    reason = "16 digits are enough for people"
)]
pub(crate) fn figure(number: u64) -> f64 {
    number as f64
}

/// Waits until `condition` holds; how long that took, or `None` after `patience`.
pub(crate) async fn until(
    patience: Duration,
    mut condition: impl FnMut() -> bool,
) -> Option<Duration> {
    let began = Instant::now();
    while !condition() {
        if began.elapsed() > patience {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Some(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::Times;
    use std::time::Duration;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let mut times = Times::default();
        for ms in (1..=100).rev() {
            times.add(Duration::from_millis(ms));
        }
        assert_eq!(times.percentile(95), Duration::from_millis(95));
        assert_eq!(times.percentile(100), Duration::from_millis(100));
        assert_eq!(Times::default().percentile(50), Duration::ZERO);
    }
}
