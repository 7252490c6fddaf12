//! What a pool counts off the fast path. What happens on it is counted with the connection.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use super::{CloseReason, ClosedBy, Histogram, Spread};

/// The counters of one pool; each is only ever added to.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) timed_out: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) slow: AtomicU64,
    pub(crate) scaled_up: AtomicU64,
    pub(crate) scaled_down: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) breaker_opened: AtomicU64,
    pub(crate) breaker_changes: AtomicU64,
    pub(crate) connects: AtomicU64,
    pub(crate) connect_failures: AtomicU64,
    pub(crate) connect_timeouts: AtomicU64,
    pub(crate) validate_timeouts: AtomicU64,
    pub(crate) recycle_timeouts: AtomicU64,
    pub(crate) leaked: AtomicU64,
    pub(crate) reclaimed: AtomicU64,
    /// When a validation last ended, in nanoseconds of the pool's clock; 0 for never.
    pub(crate) validated_at: AtomicU64,
    pub(crate) detached: AtomicU64,
    closed: [AtomicU64; CloseReason::COUNT],
    peak_active: AtomicUsize,
    /// Checkouts that were not served at once; those that were are the rest of all.
    pub(crate) wait: Spread,
    pub(crate) connect: Histogram,
    pub(crate) usage: Histogram,
    pub(crate) validate: Histogram,
    pub(crate) recycle: Histogram,
}

impl Counters {
    /// Those of a pool that about as many threads use.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            timed_out: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            scaled_up: AtomicU64::new(0),
            scaled_down: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            breaker_opened: AtomicU64::new(0),
            breaker_changes: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            connect_failures: AtomicU64::new(0),
            connect_timeouts: AtomicU64::new(0),
            validate_timeouts: AtomicU64::new(0),
            recycle_timeouts: AtomicU64::new(0),
            leaked: AtomicU64::new(0),
            reclaimed: AtomicU64::new(0),
            validated_at: AtomicU64::new(0),
            detached: AtomicU64::new(0),
            closed: [const { AtomicU64::new(0) }; CloseReason::COUNT],
            peak_active: AtomicUsize::new(0),
            wait: Spread::new(threads),
            connect: Histogram::new(),
            // Recorded into by returns, which do not allocate.
            usage: Histogram::allocated(),
            validate: Histogram::new(),
            recycle: Histogram::new(),
        }
    }

    pub(crate) fn closed(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn closed_by(&self) -> ClosedBy {
        ClosedBy::from_counts(|reason| self.closed[reason as usize].load(Relaxed))
    }

    /// So many were active at a moment.
    pub(crate) fn saw_active(&self, active: usize) {
        if active > self.peak_active.load(Relaxed) {
            self.peak_active.fetch_max(active, Relaxed);
        }
    }

    pub(crate) fn peak_active(&self) -> usize {
        self.peak_active.load(Relaxed)
    }
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    count_many(counter, 1);
}

/// Adds so many.
pub(crate) fn count_many(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Relaxed);
}
