//! How fast a pool fills up again after an outage.
//!
//! A server that has just come back has cold caches and every client at its door. Once connects have
//! failed for a second or longer, the pool opens the first ten at once and then so many a second: a
//! token bucket, which holds as many tokens as the pool may have connections and which only an outage
//! empties. So it neither delays opening a pool nor replacing connections, and a small pool never
//! notices it.

use crate::inner::clock::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// How long connects must have failed for the bucket to be emptied.
const OUTAGE: Nanos = SECOND;
/// The tokens that are left in it then.
const BURST: u64 = 10;

/// The token bucket of one pool's connects.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// The time in which one token comes in; `None` for no limit.
    interval: Option<Nanos>,
    /// Since when connects have failed.
    failing_since: Option<Nanos>,
    /// When the bucket is full, if none is taken until then.
    full_at: Nanos,
}

impl Recovery {
    /// With so many connects a second.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            interval: rate.map(|rate| (SECOND / rate.max(1)).max(1)),
            failing_since: None,
            full_at: 0,
        }
    }

    pub(crate) fn on_failure(&mut self, begun_at: Nanos) {
        self.failing_since.get_or_insert(begun_at);
    }

    /// A connect of a pool that may have `size` connections has succeeded.
    pub(crate) fn on_success(&mut self, now: Nanos, size: usize) {
        let since = self.failing_since.take();
        if since.is_some_and(|since| now.saturating_sub(since) >= OUTAGE) {
            let missing = (size as u64).saturating_sub(BURST);
            self.full_at = now.saturating_add(self.time_for(missing));
        }
    }

    /// When the next connect of such a pool may begin.
    pub(crate) fn next_at(&self, size: usize) -> Nanos {
        let all_but_one = (size as u64).saturating_sub(1);
        self.full_at.saturating_sub(self.time_for(all_but_one))
    }

    /// A connect begins.
    pub(crate) fn take(&mut self, now: Nanos) {
        self.full_at = self.full_at.max(now).saturating_add(self.time_for(1));
    }

    fn time_for(&self, tokens: u64) -> Nanos {
        self.interval
            .map_or(0, |interval| interval.saturating_mul(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, Nanos, OUTAGE, Recovery, SECOND};

    /// How many connects begin within `time`, each as early as it may.
    fn begun_within(recovery: &mut Recovery, from: Nanos, time: Nanos, size: usize) -> usize {
        let mut begun = 0;
        let mut now = from;
        while begun < size {
            now = now.max(recovery.next_at(size));
            if now >= from + time {
                break;
            }
            recovery.take(now);
            begun += 1;
        }
        begun
    }

    fn after_outage(rate: Option<u64>, lasting: Nanos, size: usize) -> Recovery {
        let mut recovery = Recovery::new(rate);
        recovery.on_failure(SECOND);
        recovery.on_failure(SECOND + lasting / 2);
        recovery.on_success(SECOND + lasting, size);
        recovery
    }

    #[test]
    fn a_pool_is_opened_as_fast_as_it_goes() {
        let mut recovery = Recovery::new(Some(100));
        assert_eq!(begun_within(&mut recovery, SECOND, 1, 10_000), 10_000);
    }

    #[test]
    fn after_an_outage_come_a_burst_and_then_so_many_a_second() {
        let mut recovery = after_outage(Some(100), OUTAGE, 1_000);
        let from = SECOND + OUTAGE;
        let burst = usize::try_from(BURST).unwrap();
        assert_eq!(begun_within(&mut recovery, from, 1, 1_000), burst);
        let later = begun_within(&mut recovery, from + 1, SECOND, 1_000);
        assert_eq!(later, 100);
        assert_eq!(
            begun_within(&mut recovery, from + 100 * SECOND, 1, 1_000),
            1_000,
            "it fills up in time"
        );
    }

    #[test]
    fn a_failure_that_passes_is_no_outage() {
        let mut recovery = after_outage(Some(100), OUTAGE - 1, 1_000);
        assert_eq!(begun_within(&mut recovery, 3 * SECOND, 1, 1_000), 1_000);
    }

    #[test]
    fn small_pools_and_those_without_a_limit_never_notice() {
        for (rate, size) in [(Some(1), 10), (None, 1_000)] {
            let mut recovery = after_outage(rate, 60 * OUTAGE, size);
            assert_eq!(begun_within(&mut recovery, 61 * SECOND, 1, size), size);
        }
    }
}
