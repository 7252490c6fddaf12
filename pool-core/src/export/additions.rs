//! Which durations have come in since they were last told, for systems that count them one by one.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::stats::{Buckets, LatencySummary, Stats};

/// Where one kind of durations is in the statistics.
pub(super) type Durations = fn(&Stats) -> &LatencySummary;

/// What of the durations of all pools has been told.
#[derive(Debug, Default)]
pub(super) struct Additions {
    /// By pool, in the order of the kinds.
    told: HashMap<String, Vec<Buckets>>,
}

impl Additions {
    /// Tells of each pool and kind how many durations of about how many seconds have come in.
    pub(super) fn tell<K>(
        &mut self,
        pools: BTreeMap<String, Stats>,
        kinds: &[(K, Durations)],
        mut tell: impl FnMut(&str, &K, &[(f64, u64)]),
    ) {
        let mut told = HashMap::new();
        for (pool, stats) in pools {
            let known = self.told.remove(&pool).unwrap_or_default();
            let mut now = Vec::with_capacity(kinds.len());
            for (place, (kind, durations)) in kinds.iter().enumerate() {
                let summary = durations(&stats);
                let known = known.get(place).copied().unwrap_or_default();
                let new = added(&known, &summary.buckets, summary.max);
                if !new.is_empty() {
                    tell(&pool, kind, &new);
                }
                now.push(summary.buckets);
            }
            told.insert(pool, now);
        }
        self.told = told;
    }
}

/// What was added to `known`: one duration for each bucket, and how many.
///
/// The durations are chosen, each within its bucket, so that together they are as long as those that
/// were measured.
fn added(known: &Buckets, now: &Buckets, longest: Duration) -> Vec<(f64, u64)> {
    // Another pool of that name has fewer than the one before.
    let known = if now.count < known.count || now.sum < known.sum {
        Buckets::default()
    } else {
        *known
    };
    let beyond = (
        now.count,
        known.count,
        longest.max(Buckets::BOUNDS[Buckets::BOUNDS.len() - 1]),
    );
    let within = now.within.iter().zip(known.within).zip(Buckets::BOUNDS);
    let edges = within.map(|((now, known), bound)| (*now, known, bound));
    let (mut before, mut low) = (0, 0.0);
    let mut buckets = Vec::new();
    for (now, known, bound) in edges.chain([beyond]) {
        let upto = now.saturating_sub(known);
        let high = bound.as_secs_f64();
        if upto > before {
            buckets.push((low, high, upto - before));
        }
        (before, low) = (before.max(upto), high);
    }
    let total = |edge: fn(&(f64, f64, u64)) -> f64| -> f64 {
        buckets
            .iter()
            .map(|bucket| edge(bucket) * times(bucket.2))
            .sum()
    };
    let (least, most) = (total(|bucket| bucket.0), total(|bucket| bucket.1));
    let sum = now.sum.saturating_sub(known.sum).as_secs_f64();
    let share = if most > least {
        ((sum - least) / (most - least)).clamp(0.0, 1.0)
    } else {
        1.0
    };
    let inside = |(low, high, count)| (low + share * (high - low), count);
    buckets.into_iter().map(inside).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a count, for a mean")]
fn times(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Histogram;

    fn measured(millis: &[u64]) -> (Buckets, Duration) {
        let mut buckets = Buckets::default();
        for ms in millis {
            let time = Duration::from_millis(*ms);
            buckets.add(u64::try_from(time.as_nanos()).unwrap(), 1);
            buckets.sum += time;
        }
        let longest = millis.iter().max().copied().unwrap_or_default();
        (buckets, Duration::from_millis(longest))
    }

    fn added_between(before: &[u64], now: &[u64]) -> Vec<(f64, u64)> {
        let (now, longest) = measured(now);
        added(&measured(before).0, &now, longest)
    }

    #[test]
    fn what_is_new_is_told_by_bucket_and_as_long_together_as_it_was() {
        let new = added_between(&[3, 700], &[3, 700, 2, 4, 30, 45_000]);
        let counts: Vec<_> = new.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 1]);
        for ((value, _), (low, high)) in
            new.iter().zip([(0.001, 0.005), (0.01, 0.05), (30.0, 45.0)])
        {
            assert!((low..=high).contains(value), "{value}");
        }
        let sum: f64 = new.iter().map(|(value, count)| value * times(*count)).sum();
        assert!((sum - 45.036).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn a_duration_that_counts_as_above_a_bound_is_told_as_at_it() {
        let histogram = Histogram::new();
        histogram.record(Duration::from_micros(99));
        let summary = histogram.summary();
        assert_eq!(summary.buckets.within[0], 0, "near enough to 100 µs");
        assert!(summary.buckets.sum < Duration::from_micros(100));
        let new = added(&Buckets::default(), &summary.buckets, summary.max);
        assert_eq!(new, [(0.0001, 1)]);
    }

    #[test]
    fn nothing_new_is_nothing_told_and_another_pool_is_told_whole() {
        assert_eq!(added_between(&[3, 700], &[3, 700]), []);
        assert_eq!(added_between(&[3, 700], &[]), []);
        assert_eq!(added_between(&[3, 700, 800], &[4, 4]).len(), 1);
        let counts = |new: Vec<(f64, u64)>| new.iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!(counts(added_between(&[1, 1, 1], &[700, 700])), 2, "fewer");
        assert_eq!(counts(added_between(&[700], &[1, 1])), 2, "shorter");
    }
}
