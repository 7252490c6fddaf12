//! The time of a pool: exact where somebody waits anyway, coarse on the way of a checkout.
//!
//! Reading the clock costs as much as the rest of a checkout, so a checkout reads the time the
//! keeper wrote down at its last tick. The keeper ticks only while there are checkouts: every
//! second it lets the clock run down, and the next checkout, finding no time, reads the real
//! clock and winds it up again. So a pool at rest costs nothing, and time that is not kept is
//! never mistaken for time that stands still; nor is it where the keeper stands still ([`minder`]).
//!
//! Time is [`tokio::time::Instant`], monotonic. A runtime whose clock is paused (in a test) moves
//! it by leaps, between which no keeper could tick: there the clock never runs, every checkout
//! reads the exact time, and every timer is exact.
//!
//! [`minder`]: super::minder

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use tokio::time::Instant;

use super::bounded::caught_now;
use super::minder::mind;

/// Nanoseconds since the pool was made.
pub(crate) type Nanos = u64;

pub(super) const RUN_DOWN: Nanos = Nanos::MAX;

/// What shows the coarse time, alone in its line of the cache: all cores read it.
pub(super) type Hand = CachePadded<AtomicU64>;

/// A coarse clock.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Instant,
    /// Written by the keeper and the minder; guards nothing.
    coarse: Arc<Hand>,
}

impl Clock {
    /// A clock that does not run yet.
    pub(crate) fn new() -> Self {
        Self {
            base: Instant::now(),
            coarse: Arc::new(Hand::new(AtomicU64::new(RUN_DOWN))),
        }
    }

    /// The time of the last tick; `None` while the clock does not run.
    #[inline]
    pub(crate) fn coarse(&self) -> Option<Nanos> {
        let coarse = self.coarse.load(Relaxed);
        (coarse != RUN_DOWN).then_some(coarse)
    }

    /// The time now.
    pub(crate) fn exact(&self) -> Nanos {
        self.at(Instant::now())
    }

    /// The time now, on a thread that ends too, for what comes back there: where some runtime's
    /// clock is or was paused, it cannot ask for it as others do.
    pub(crate) fn exact_anywhere(&self) -> Nanos {
        let now = caught_now(Instant::now);
        self.at(now.unwrap_or_else(|| std::time::Instant::now().into()))
    }

    fn at(&self, now: Instant) -> Nanos {
        nanos(now.saturating_duration_since(self.base))
    }

    /// `at` as an instant of the runtime.
    pub(crate) fn instant(&self, at: Nanos) -> Instant {
        // Ten years are the longest any setting allows; a hundred never come.
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
        self.base + Duration::from_nanos(at).min(CENTURY)
    }

    /// Ticks: the coarse time is now the exact one. Where nothing makes sure that it ticks again, the
    /// minder does.
    pub(crate) fn tick(&self, now: Nanos, is_driven: bool) {
        let had_run_down = self.coarse.swap(now, Relaxed) == RUN_DOWN;
        if had_run_down && !is_driven {
            mind(Arc::downgrade(&self.coarse));
        }
    }

    /// From now on nobody keeps the coarse time.
    pub(crate) fn run_down(&self) {
        self.coarse.store(RUN_DOWN, Relaxed);
    }
}

/// `duration` in nanoseconds, at most some 584 years.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).map_or(RUN_DOWN - 1, |nanos| nanos.min(RUN_DOWN - 1))
}

/// Whether the runtime's clock stands still while the real one goes on: it is paused.
pub(crate) fn is_paused() -> bool {
    let (virtual_before, real_before) = (Instant::now(), std::time::Instant::now());
    while real_before.elapsed() < Duration::from_micros(2) {
        std::hint::spin_loop();
    }
    Instant::now() == virtual_before
}

#[cfg(test)]
mod tests {
    use super::{Duration, RUN_DOWN, nanos};

    #[test]
    fn no_duration_is_taken_for_a_clock_that_has_run_down() {
        assert_eq!(nanos(Duration::MAX), RUN_DOWN - 1);
        assert_eq!(nanos(Duration::from_nanos(RUN_DOWN)), RUN_DOWN - 1);
        assert_eq!(nanos(Duration::from_nanos(7)), 7);
    }
}
