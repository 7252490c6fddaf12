//! The time of a pool: exact where somebody waits anyway, coarse on the way of a checkout.
//!
//! Reading the clock costs as much as the rest of a checkout, so a checkout reads the time the
//! keeper wrote down at its last tick. When nothing happens the keeper sleeps and the coarse
//! time says so; whoever reads that asks the real clock and wakes the keeper. So a pool at rest
//! costs nothing, and time that is not kept is never mistaken for time that stands still.
//!
//! Time is [`tokio::time::Instant`], monotonic, and paused in tests with the runtime's clock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// Nanoseconds since the pool was made.
pub(crate) type Nanos = u64;

const ASLEEP: Nanos = Nanos::MAX;

/// A coarse clock.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Instant,
    /// Written by the keeper, and once by whoever finds it asleep; guards nothing.
    coarse: AtomicU64,
}

impl Clock {
    /// A clock that nobody keeps yet.
    pub(crate) fn new() -> Self {
        Self { base: Instant::now(), coarse: AtomicU64::new(ASLEEP) }
    }

    /// The time of the last tick; `None` while nobody keeps it.
    #[inline]
    pub(crate) fn coarse(&self) -> Option<Nanos> {
        let coarse = self.coarse.load(Relaxed);
        (coarse != ASLEEP).then_some(coarse)
    }

    /// The time now.
    pub(crate) fn exact(&self) -> Nanos {
        self.at(Instant::now())
    }

    /// `instant` as time of this pool.
    pub(crate) fn at(&self, instant: Instant) -> Nanos {
        nanos(instant.saturating_duration_since(self.base))
    }

    /// `at` as an instant of the runtime.
    pub(crate) fn instant(&self, at: Nanos) -> Instant {
        self.base + Duration::from_nanos(at)
    }

    /// Ticks: the coarse time is now the exact one.
    pub(crate) fn tick(&self) -> Nanos {
        let now = self.exact();
        self.coarse.store(now, Relaxed);
        now
    }

    /// From now on nobody keeps the coarse time.
    pub(crate) fn sleep(&self) {
        self.coarse.store(ASLEEP, Relaxed);
    }
}

/// `duration` in nanoseconds, at most some 584 years.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).map_or(ASLEEP - 1, |nanos| nanos.min(ASLEEP - 1))
}
