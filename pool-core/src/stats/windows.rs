//! Figures of the last seconds: differences between what was counted then and now.

use std::fmt;
use std::time::Duration;

use super::LatencySummary;

/// What a pool did in the last 1, 10 and 60 seconds; see [`Pool::windows`](crate::Pool::windows).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Windows {
    /// The last second.
    pub last_1s: Window,
    /// The last 10 seconds.
    pub last_10s: Window,
    /// The last 60 seconds.
    pub last_60s: Window,
}

/// What a pool did in some time. The summaries are as exact as those of
/// [`Stats`](crate::Stats), but `max` is the upper bound of the longest: at most 1/32 too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Window {
    /// How long it is: the time it is named for, less while that has not passed since somebody
    /// first asked, up to a second more where nobody has asked for a while.
    #[cfg_attr(feature = "serde", serde(with = "super::summary::seconds"))]
    pub over: Duration,
    /// Checkouts served.
    pub acquired: u64,
    /// Connections given back.
    pub released: u64,
    /// Checkouts that failed because their time was up.
    pub timed_out: u64,
    /// Checkouts refused, shed or told at once that connects fail.
    pub turned_away: u64,
    /// Connections opened.
    pub connects: u64,
    /// Attempts to open one that failed.
    pub connect_failures: u64,
    /// Connections closed.
    pub closed: u64,
    /// How long checkouts took; those served at once count as no time.
    pub wait: LatencySummary,
    /// How long opening a connection took.
    pub connect: LatencySummary,
    /// How long connections were held.
    pub usage: LatencySummary,
}

impl Window {
    /// Checkouts served for each second.
    #[expect(
        clippy::cast_precision_loss,
        reason = "16 digits are enough for a rate"
    )]
    pub fn acquired_per_second(&self) -> f64 {
        if self.over.is_zero() {
            return 0.0;
        }
        self.acquired as f64 / self.over.as_secs_f64()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} checkouts/s over {:.1?}, wait p50 {:.1?}, p99 {:.1?}, {} timed out, {} turned \
             away, {} opened, {} failed to, {} closed",
            self.acquired_per_second(),
            self.over,
            self.wait.p50,
            self.wait.p99,
            self.timed_out,
            self.turned_away,
            self.connects,
            self.connect_failures,
            self.closed
        )
    }
}
