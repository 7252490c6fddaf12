//! How fast a pool fills up again after an outage.
//!
//! A server that has just come back has cold caches and every client at its door. Once connects have
//! failed for a second or longer, the pool opens the first ten at once and then so many a second, by a
//! token bucket, until a pool of its size would be full. At any other time nothing is limited: neither
//! opening a pool nor replacing connections, however fast they wear out; and a small pool never
//! notices an outage either.

use crate::inner::clock::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// How long connects must have failed for those that follow to be paced.
const OUTAGE: Nanos = SECOND;
/// The tokens that the bucket holds.
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
    /// Until when connects are paced.
    until: Nanos,
}

impl Recovery {
    /// With so many connects a second.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            interval: rate.map(|rate| (SECOND / rate.max(1)).max(1)),
            failing_since: None,
            full_at: 0,
            until: 0,
        }
    }

    pub(crate) fn on_failure(&mut self, begun_at: Nanos) {
        self.failing_since.get_or_insert(begun_at);
    }

    /// A connect of a pool that may have `size` connections has succeeded.
    pub(crate) fn on_success(&mut self, now: Nanos, size: usize) {
        let since = self.failing_since.take();
        if since.is_some_and(|since| now.saturating_sub(since) >= OUTAGE) {
            let paced = (size as u64).saturating_sub(BURST);
            self.until = now.saturating_add(self.time_for(paced));
        }
    }

    /// When the next connect may begin.
    pub(crate) fn next_at(&self) -> Nanos {
        let has_a_token_at = self.full_at.saturating_sub(self.time_for(BURST - 1));
        has_a_token_at.min(self.until)
    }

    /// A connect begins.
    pub(crate) fn take(&mut self, now: Nanos) {
        if now < self.until {
            self.full_at = self.full_at.max(now).saturating_add(self.time_for(1));
        }
    }

    fn time_for(&self, tokens: u64) -> Nanos {
        self.interval
            .map_or(0, |interval| interval.saturating_mul(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, Nanos, OUTAGE, Recovery, SECOND};

    /// More connects than any limit lets through.
    const MANY: u64 = if cfg!(miri) { 2_000 } else { 100_000 };

    /// How many of `wanted` connects begin within `time`, each as early as it may.
    fn begun_within(recovery: &mut Recovery, from: Nanos, time: Nanos, wanted: u64) -> u64 {
        let mut now = from;
        (0..wanted)
            .take_while(|_| {
                now = now.max(recovery.next_at());
                recovery.take(now);
                now < from + time
            })
            .count() as u64
    }

    fn after_outage(rate: Option<u64>, lasting: Nanos, size: usize) -> Recovery {
        let mut recovery = Recovery::new(rate);
        recovery.on_failure(SECOND);
        recovery.on_failure(SECOND + lasting / 2);
        recovery.on_success(SECOND + lasting, size);
        recovery
    }

    #[test]
    fn while_there_is_no_outage_nothing_is_limited() {
        let mut recovery = Recovery::new(Some(100));
        assert_eq!(begun_within(&mut recovery, SECOND, 1, MANY), MANY);
    }

    #[test]
    fn after_an_outage_come_a_burst_and_then_so_many_a_second_until_the_pool_could_be_full() {
        let outage = 3 * OUTAGE;
        let from = SECOND + outage;
        let recovering = || after_outage(Some(100), outage, 1_000);
        assert_eq!(begun_within(&mut recovering(), from, 1, 1_000), BURST);
        let in_time = begun_within(&mut recovering(), from, 2 * SECOND, 1_000);
        assert_eq!(in_time, BURST + 199);
        let full = begun_within(&mut recovering(), from, 10 * SECOND, 1_000);
        assert_eq!(full, 1_000);
        let later = from + 10 * SECOND;
        assert_eq!(begun_within(&mut recovering(), later, 1, MANY), MANY);
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
            assert_eq!(begun_within(&mut recovery, 61 * SECOND, 1, 1_000), 1_000);
        }
    }
}
