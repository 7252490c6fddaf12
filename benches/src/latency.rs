//! Latencies: recorded by each thread for itself, merged when somebody reads them.
//!
//! A recorder for each task would be the plain way and does not fit: forty thousand histograms are
//! gigabytes. So there is one for each thread of the runtime, behind a lock that only this thread
//! takes; whoever reads takes each lock once. Recording costs about 15 ns and no line is shared.
//!
//! Percentiles are those of the requests that were made. The bench is a closed loop: a task asks
//! again when it was answered, so a pool that stalls is asked less often, and the stall shows in
//! `max` and in throughput rather than in every percentile (coordinated omission). Nothing is
//! corrected for it, since no rate is offered.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest latency told apart from longer ones: an hour.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Percentiles of one latency. The unit is in the name of the field that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How many were recorded.
    pub count: u64,
    /// Half were at most this.
    pub p50: f64,
    /// 95 of 100 were at most this.
    pub p95: f64,
    /// 99 of 100 were at most this.
    pub p99: f64,
    /// 999 of 1,000 were at most this.
    pub p999: f64,
    /// The longest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
}

/// One point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// That share of all, from 0 to 1,
    pub quantile: f64,
    /// took at most so long, in nanoseconds.
    pub ns: f64,
}

/// Points of a distribution for each power of ten: the ninth, the ninety-ninth percentile and so on
/// are ten points apart.
const POINTS_PER_TEN: u32 = 10;

/// Powers of ten at most; `u64` has twenty.
const TENS: u32 = 20;

/// Many latencies, precise to one in a thousand.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3);
        Self(histogram.expect("the bounds are constant and in order"))
    }

    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        self.0
            .saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NS));
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Their percentiles in nanoseconds.
    pub fn summary_ns(&self) -> Summary {
        let quantile = |quantile| nanoseconds(self.0.value_at_quantile(quantile));
        Summary {
            count: self.0.len(),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: nanoseconds(self.0.max()),
            mean: if self.0.is_empty() {
                0.0
            } else {
                self.0.mean().round()
            },
        }
    }
}

impl Latencies {
    /// Their distribution: points at equal distances on the scale on which the 90th, the 99th and the
    /// 99.9th percentile are at equal distances, up to the one latency that was the longest.
    pub fn distribution_ns(&self) -> Vec<Quantile> {
        let rarest = nanoseconds(self.0.len()).log10() * f64::from(POINTS_PER_TEN);
        (0..POINTS_PER_TEN * TENS)
            .take_while(|&point| f64::from(point) <= rarest)
            .map(|point| 1.0 - 10_f64.powf(-f64::from(point) / f64::from(POINTS_PER_TEN)))
            .map(|quantile| Quantile {
                quantile,
                ns: nanoseconds(self.0.value_at_quantile(quantile)),
            })
            .collect()
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an hour in nanoseconds has 42 bits"
)]
fn nanoseconds(value: u64) -> f64 {
    value as f64
}

/// What is measured of the checkouts of one phase.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// From the call of `get` to the connection in hand, of every checkout.
    pub checkout: Latencies,
    /// The same of those whose first poll found nothing: they waited for a connection, a connect
    /// or a validation.
    pub wait: Latencies,
    /// From the question to the answer.
    pub query: Latencies,
}

impl Measured {
    fn merge(&mut self, other: &Self) {
        self.checkout.merge(&other.checkout);
        self.wait.merge(&other.wait);
        self.query.merge(&other.query);
    }

    fn clear(&mut self) {
        self.checkout.clear();
        self.wait.clear();
        self.query.clear();
    }
}

/// Records on any thread without a shared line; see the module.
#[derive(Debug)]
pub struct Recorder {
    lanes: Box<[Mutex<Measured>]>,
}

impl Recorder {
    /// A recorder with a lane for each core.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // The main thread polls too, so one more.
        Self {
            lanes: (0..=cores).map(|_| Mutex::default()).collect(),
        }
    }

    /// Adds one checkout that was answered.
    pub fn record(&self, checkout: Duration, waited: bool, query: Duration) {
        let mut lane = lock(&self.lanes[lane() % self.lanes.len()]);
        lane.checkout.record(checkout);
        if waited {
            lane.wait.record(checkout);
        }
        lane.query.record(query);
    }

    /// Moves what was recorded since the last time into `all`, and returns it.
    pub fn drain_into(&self, all: &mut Measured) -> Measured {
        let mut window = Measured::default();
        for lane in &self.lanes {
            let mut lane = lock(lane);
            window.merge(&lane);
            lane.clear();
        }
        all.merge(&window);
        window
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

fn lock(lane: &Mutex<Measured>) -> MutexGuard<'_, Measured> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number of this thread's own.
fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static LANE: Cell<Option<usize>> = const { Cell::new(None) });
    LANE.with(|lane| {
        lane.get().unwrap_or_else(|| {
            // Only distinctness matters, so no ordering.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            lane.set(Some(number));
            number
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::new();
        for microsecond in 1..=1000 {
            latencies.record(Duration::from_micros(microsecond));
        }
        let summary = latencies.summary_ns();
        assert_eq!(summary.count, 1000);
        for (measured, exact) in [
            (summary.p50, 500e3),
            (summary.p99, 990e3),
            (summary.max, 1e6),
            (summary.mean, 500.5e3),
        ] {
            assert!(
                (measured / exact - 1.0).abs() < 0.002,
                "{measured} is not {exact}"
            );
        }
    }

    #[test]
    fn a_distribution_has_ten_points_for_each_power_of_ten() {
        let mut latencies = Latencies::new();
        for microsecond in 1..=1000 {
            latencies.record(Duration::from_micros(microsecond));
        }
        let points = latencies.distribution_ns();
        assert_eq!(points.len(), 31);
        for (point, quantile, ns) in [(0, 0.0, 1e3), (10, 0.9, 900e3), (20, 0.99, 990e3)] {
            assert!((points[point].quantile - quantile).abs() < 1e-9);
            assert!((points[point].ns / ns - 1.0).abs() < 0.002, "{points:?}");
        }
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        assert_eq!(Latencies::new().summary_ns(), Summary::default());
        assert_eq!(Latencies::new().distribution_ns(), []);
    }

    #[test]
    fn threads_are_merged_and_windows_add_up() {
        let recorder = Arc::new(Recorder::new());
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let recorder = Arc::clone(&recorder);
                std::thread::spawn(move || {
                    for i in 0..1000 {
                        recorder.record(Duration::from_nanos(100), i % 4 == 0, Duration::ZERO);
                    }
                })
            })
            .collect();
        let mut all = Measured::default();
        recorder.drain_into(&mut all);
        for thread in threads {
            thread.join().unwrap();
        }
        recorder.drain_into(&mut all);
        assert_eq!((all.checkout.count(), all.wait.count()), (8000, 2000));
        assert_eq!(recorder.drain_into(&mut all).checkout.count(), 0);
    }
}
