//! What is said of checkouts that wait for long: a report while they still do, and whether one of
//! them waits for itself.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use tokio::task;

use super::clock::{Nanos, nanos};
use super::{Inner, between};
use crate::config::NestedAcquire;
use crate::error::Error;
use crate::manager::Manager;
use crate::stats::{Holder, count};
use crate::waiting::Site;

/// The least time between two reports of one pool.
const PAUSE: Nanos = 1_000_000_000;

/// When the last report was made, and how many were not since.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    /// 0 for never.
    last_at: AtomicU64,
    unsaid: AtomicU64,
}

impl Reports {
    /// Whether a report may be made now, and of how many others; if not, it is counted.
    fn take_turn(&self, now: Nanos) -> Option<u64> {
        let last_at = self.last_at.load(Relaxed);
        let is_too_soon = last_at > 0 && now.saturating_sub(last_at) < PAUSE;
        let claim = || {
            self.last_at
                .compare_exchange(last_at, now.max(1), Relaxed, Relaxed)
        };
        if is_too_soon || claim().is_err() {
            count(&self.unsaid);
            return None;
        }
        Some(self.unsaid.swap(0, Relaxed))
    }
}

impl<M: Manager> Inner<M> {
    /// When a wait that began then is to be reported; `Nanos::MAX` for never.
    pub(crate) fn slow_at(&self, began: Nanos) -> Nanos {
        let threshold = self.config.slow_acquire_threshold;
        threshold.map_or(Nanos::MAX, |threshold| {
            began.saturating_add(nanos(threshold))
        })
    }

    /// Reports a checkout that waits for long, from within its task.
    #[cold]
    pub(crate) fn report_slow(&self, began: Nanos, site: Site) {
        count(&self.counters.slow);
        let now = self.dial.clock.exact();
        let Some(others) = self.slow_reports.take_turn(now) else {
            return;
        };
        let waited = between(began, now);
        let snapshot = self.snapshot();
        let held = match self.config.nested_acquire {
            NestedAcquire::Allow => None,
            NestedAcquire::Warn | NestedAcquire::Fail => self.held_by_this_task(now),
        };
        let Some(held) = held else {
            tracing::warn!(
                pool = %self.name, %site, ?waited, others, %snapshot,
                "checkout waits for long"
            );
            return;
        };
        tracing::warn!(
            pool = %self.name, %site, ?waited, others, %held, %snapshot,
            "checkout waits for long, and its own task holds a connection: it may wait for itself"
        );
    }

    /// Why a checkout may not wait at all, if so.
    #[inline]
    pub(crate) fn forbids_waiting(&self) -> Option<Error<M::Error>> {
        if self.config.nested_acquire != NestedAcquire::Fail {
            return None;
        }
        let held = self.held_by_this_task(self.dial.clock.exact())?;
        // Of a closed pool nobody waits for anything.
        let is_closed = self.is_shut_down();
        Some(if is_closed {
            Error::Closed
        } else {
            Error::Nested { held }
        })
    }

    /// A connection that the running task has checked out and that is still held.
    #[cold]
    fn held_by_this_task(&self, now: Nanos) -> Option<Holder> {
        let task = task::try_id()?;
        let registry = self.registry();
        let mut records = registry.records().iter();
        let record = records.find(|record| record.is_held_by(task))?;
        self.holder(record, now)
    }
}

#[cfg(test)]
mod tests {
    use super::{PAUSE, Reports};

    #[test]
    fn one_report_is_made_in_each_pause_and_tells_of_the_others() {
        let reports = Reports::default();
        assert_eq!(reports.take_turn(0), Some(0));
        assert_eq!(reports.take_turn(5), None);
        assert_eq!(reports.take_turn(PAUSE), None);
        assert_eq!(reports.take_turn(PAUSE + 1), Some(2));
    }
}
