//! A concurrent histogram of durations: one relaxed addition to record, no lock to read.
//!
//! Buckets are log-linear over nanoseconds. Below 32 each value has its own; above, each power of
//! two is a *page* of 32 buckets of equal width, so a bucket is never wider than 1/32 of the values
//! in it:
//!
//! ```text
//!   page     0              1              2               37
//!   values   0 … 31         32 … 63        64 … 127   …    2^41 … 2^42 − 1 (73 min) and above
//!   width    1              1              2               2^36
//! ```
//!
//! A quantile is told as the upper edge of its bucket, or the maximum if that is less: at most
//! 1/32 too large, never too small. The mean is that of the buckets' middles, at most 1/64 off; an
//! exact sum would be a second shared word to write and would overflow in three weeks on 10,000
//! busy connections. Count and maximum are exact.
//!
//! All pages together take 9.5 KiB, but what is measured spans few powers of two, so a page is
//! allocated when the first value falls into it: 624 bytes while nothing is recorded, and 256 for
//! each page. Durations spread over three powers of ten (1 to 1,000 ms, say) come to 3.2 KiB.
//!
//! Relaxed order suffices: a reader needs each bucket by itself, and counts what it has read.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Buckets, LatencySummary};

/// Buckets in a page, and its logarithm.
const WIDTH: usize = 1 << WIDTH_BITS;
const WIDTH_BITS: usize = 5;
/// The number of bits of the largest value that is told apart.
const VALUE_BITS: usize = 42;
const PAGES: usize = VALUE_BITS - WIDTH_BITS + 1;
#[cfg(test)]
const BUCKETS: usize = PAGES * WIDTH;
const LARGEST: u64 = (1 << VALUE_BITS) - 1;

type Page = Box<[AtomicU64; WIDTH]>;

/// Counts durations in buckets; every method may be called by many threads at once.
pub(crate) struct Histogram {
    pages: [OnceLock<Page>; PAGES],
    /// Which pages have something in them, by bit.
    used: AtomicU64,
    /// The longest in nanoseconds; only ever grows.
    max: AtomicU64,
}

impl Histogram {
    /// One that has recorded nothing and allocated nothing.
    pub(crate) const fn new() -> Self {
        Self {
            pages: [const { OnceLock::new() }; PAGES],
            used: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }

    /// One with all its pages: recording into it never allocates.
    pub(crate) fn allocated() -> Self {
        let histogram = Self::new();
        for page in &histogram.pages {
            page.get_or_init(new_page);
        }
        histogram
    }

    /// Records that something took `time`.
    pub(crate) fn record(&self, time: Duration) {
        self.record_n(time, 1);
    }

    /// Records that something took `time`, `times` times: what a sample stands for.
    pub(crate) fn record_n(&self, time: Duration, times: u64) {
        if times == 0 {
            return;
        }
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // Reading first keeps the word shared between the cores' caches while nothing is longer.
        if nanos > self.max.load(Relaxed) {
            self.max.fetch_max(nanos, Relaxed);
        }
        let (page, bucket) = place(nanos);
        let bit = 1 << page;
        if self.used.load(Relaxed) & bit == 0 {
            self.used.fetch_or(bit, Relaxed);
        }
        let page = self.pages[page].get_or_init(new_page);
        page[bucket].fetch_add(times, Relaxed);
    }

    /// What was recorded until now.
    pub(crate) fn summary(&self) -> LatencySummary {
        merged(&[self], |_| 0)
    }

    /// What was recorded until now, as part of `total`: the rest took no time.
    ///
    /// What nobody waited for need not be recorded one by one: it is counted where it happens and
    /// added when somebody reads.
    #[cfg(test)]
    pub(crate) fn summary_of(&self, total: u64) -> LatencySummary {
        merged(&[self], |recorded| total.saturating_sub(recorded))
    }

    /// All counts of now.
    pub(crate) fn tally(&self) -> Tally {
        Tally::of(&[self])
    }

    fn page(&self, number: usize) -> Option<&Page> {
        let is_used = self.used.load(Relaxed) >> number & 1 == 1;
        self.pages[number].get().filter(|_| is_used)
    }
}

/// The buckets of the parts together that are not empty, by index.
fn buckets<H: Deref<Target = Histogram>>(parts: &[H]) -> impl Iterator<Item = (usize, u64)> {
    let pages = (0..PAGES).filter(|&page| parts.iter().any(|part| part.page(page).is_some()));
    pages.flat_map(move |page| {
        (0..WIDTH).filter_map(move |bucket| {
            let of = |part: &H| Some(part.page(page)?[bucket].load(Relaxed));
            let count: u64 = parts.iter().filter_map(of).sum();
            (count > 0).then_some((page * WIDTH + bucket, count))
        })
    })
}

/// What was recorded in all parts until now, and so many more that took no time.
pub(super) fn merged<H: Deref<Target = Histogram>>(
    parts: &[H],
    zeroes: impl FnOnce(u64) -> u64,
) -> LatencySummary {
    let longest = parts.iter().map(|part| part.max.load(Relaxed)).max();
    summarise(|| buckets(parts), zeroes, longest.unwrap_or(0))
}

/// The counts of a histogram at one moment: buckets that are not empty, by index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Vec<(usize, u64)>);

impl Tally {
    /// All counts of the parts together, of now.
    pub(super) fn of<H: Deref<Target = Histogram>>(parts: &[H]) -> Self {
        Self(buckets(parts).collect())
    }

    /// What was recorded since `earlier`, as part of `total`: the rest took no time.
    pub(crate) fn since(&self, earlier: &Self, total: u64) -> LatencySummary {
        let before = |index| {
            let place = earlier.0.binary_search_by_key(&index, |(index, _)| *index);
            place.map_or(0, |place| earlier.0[place].1)
        };
        let new = self
            .0
            .iter()
            .map(|&(index, count)| (index, count - before(index)));
        let new: Vec<_> = new.filter(|(_, count)| *count > 0).collect();
        let longest = new.last().map_or(0, |&(index, _)| edges(index).1);
        let zeroes = |recorded| total.saturating_sub(recorded);
        summarise(|| new.iter().copied(), zeroes, longest)
    }
}

/// The summary of counted buckets, the smallest first, and of so many that took no time.
fn summarise<I: Iterator<Item = (usize, u64)>>(
    counted: impl Fn() -> I,
    zeroes: impl FnOnce(u64) -> u64,
    longest: u64,
) -> LatencySummary {
    let mut buckets = Buckets::default();
    let mut twice_the_sum = 0_u128;
    let mut last = 0;
    for (index, count) in counted() {
        let (low, high) = edges(index);
        buckets.add(high, count);
        twice_the_sum += u128::from(low + high) * u128::from(count);
        last = index;
    }
    let zeroes = zeroes(buckets.count);
    let count = buckets.count.saturating_add(zeroes);
    if count == 0 {
        return LatencySummary::default();
    }
    // A value may be in its bucket before this thread sees the maximum it has raised.
    let max = longest.max(edges(last).0);
    let time = |nanos: u64| Duration::from_nanos(nanos.min(max));
    let [p50, p95, p99, p999] = quantiles(counted(), zeroes, count).map(time);
    let mean = u64::try_from(twice_the_sum / 2 / u128::from(count)).unwrap_or(LARGEST);
    buckets.sum = Duration::from_nanos(u64::try_from(twice_the_sum / 2).unwrap_or(u64::MAX));
    LatencySummary {
        count,
        mean: time(mean),
        p50,
        p95,
        p99,
        p999,
        max: Duration::from_nanos(max),
        buckets,
    }
}

/// For each quantile the upper edge of the bucket in which the smallest value lies that is no less
/// than its share of all. Buckets only grow, so what was counted before is found.
fn quantiles(counted: impl Iterator<Item = (usize, u64)>, zeroes: u64, count: u64) -> [u64; 4] {
    let ranks = [500, 950, 990, 999].map(|permille| (u128::from(count) * permille).div_ceil(1000));
    let mut found = [LARGEST; 4];
    let mut next = 0;
    let mut seen = u128::from(zeroes);
    while next < 4 && seen >= ranks[next] {
        found[next] = 0;
        next += 1;
    }
    for (index, count) in counted {
        seen += u128::from(count);
        while next < 4 && seen >= ranks[next] {
            found[next] = edges(index).1;
            next += 1;
        }
        if next == 4 {
            break;
        }
    }
    found
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.summary()).finish()
    }
}

fn new_page() -> Page {
    Box::new([const { AtomicU64::new(0) }; WIDTH])
}

/// The page of a value and its bucket there.
fn place(nanos: u64) -> (usize, usize) {
    let nanos = nanos.min(LARGEST);
    // The position of the highest bit says the page, the five bits after it the bucket.
    let bits = (u64::BITS - nanos.leading_zeros()) as usize;
    let page = bits.saturating_sub(WIDTH_BITS);
    let bucket = (nanos >> page.saturating_sub(1)) as usize % WIDTH;
    (page, bucket)
}

/// The smallest and the largest value of a bucket, counted through all pages.
fn edges(index: usize) -> (u64, u64) {
    let (page, bucket) = (index / WIDTH, (index % WIDTH) as u64);
    let shift = page.saturating_sub(1);
    let first = if page == 0 { 0 } else { WIDTH as u64 };
    let low = (first + bucket) << shift;
    (low, low + (1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    fn recorded(nanos: impl IntoIterator<Item = u64>) -> Histogram {
        let histogram = Histogram::new();
        for nanos in nanos {
            histogram.record(Duration::from_nanos(nanos));
        }
        histogram
    }

    fn bytes(histogram: &Histogram) -> usize {
        let pages = histogram
            .pages
            .iter()
            .filter(|page| page.get().is_some())
            .count();
        size_of::<Histogram>() + pages * size_of::<[AtomicU64; WIDTH]>()
    }

    #[test]
    fn buckets_lie_side_by_side_and_none_is_wider_than_a_32nd_of_its_values() {
        let mut next = 0;
        for index in 0..BUCKETS {
            let (low, high) = edges(index);
            assert_eq!(low, next);
            assert!((high - low) * WIDTH as u64 <= low, "{index}");
            for value in [low, low.midpoint(high), high] {
                let (page, bucket) = place(value);
                assert_eq!(page * WIDTH + bucket, index, "{value}");
            }
            next = high + 1;
        }
        assert_eq!(next, LARGEST + 1);
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        assert_eq!(Histogram::new().summary(), LatencySummary::default());
    }

    #[test]
    fn what_always_takes_the_same_time_is_told_exactly() {
        let summary = recorded([123_457; 1000]).summary();
        assert_eq!(summary.p50, Duration::from_nanos(123_457));
        assert_eq!(summary.p999, summary.max);
        assert_eq!(summary.count, 1000);
    }

    #[test]
    fn a_duration_beyond_the_last_bucket_counts_there_and_is_exact_as_maximum() {
        let histogram = recorded([0, LARGEST + 7]);
        assert_eq!(histogram.summary().max, Duration::from_nanos(LARGEST + 7));
        histogram.record(Duration::from_secs(u64::MAX / 7));
        let summary = histogram.summary();
        assert_eq!(summary.count, 3);
        assert_eq!(summary.p99, Duration::from_nanos(LARGEST));
        assert_eq!(summary.max, Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn a_value_seen_before_the_maximum_it_raised_is_within_the_maximum_told() {
        let histogram = recorded([edges(100).0]);
        histogram.max.store(3, Relaxed);
        let summary = histogram.summary();
        assert_eq!(summary.max, Duration::from_nanos(edges(100).0));
        assert_eq!(summary.p50, summary.max);
    }

    #[test]
    fn what_took_no_time_is_counted_when_somebody_reads() {
        let histogram = recorded([1_000_000; 10]);
        let summary = histogram.summary_of(100);
        assert_eq!(summary.count, 100);
        assert_eq!(summary.p50, Duration::ZERO);
        assert_eq!(summary.p95, Duration::from_millis(1));
        assert!(summary.mean.abs_diff(Duration::from_micros(100)) < Duration::from_micros(2));
        assert_eq!(Histogram::new().summary_of(5).count, 5);
    }

    #[test]
    fn buckets_count_what_was_measured_and_never_shrink_when_what_took_no_time_is_added() {
        let histogram = recorded([90_000, 2_000_000, 2_000_000, 40_000_000_000]);
        let buckets = histogram.summary_of(100).buckets;
        assert_eq!(buckets.count, 4);
        assert_eq!(buckets.within, [1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
        let exact = Duration::from_micros(40_004_090);
        assert!(buckets.sum.abs_diff(exact) < exact / 64);
        assert_eq!(buckets, histogram.summary_of(7_000).buckets);
    }

    #[test]
    fn a_sample_counts_for_what_it_stands_for() {
        let sampled = Histogram::new();
        sampled.record_n(Duration::from_micros(5), 64);
        sampled.record_n(Duration::from_secs(5), 0);
        assert_eq!(sampled.summary(), recorded([5000; 64]).summary());
    }

    #[test]
    fn counts_near_the_end_of_their_range_do_not_overflow() {
        let histogram = Histogram::new();
        histogram.record_n(Duration::from_secs(3600), u64::MAX / 2);
        let summary = histogram.summary_of(u64::MAX - 1);
        assert_eq!(summary.count, u64::MAX - 1);
        assert_eq!(summary.p50, Duration::ZERO);
        assert_eq!(summary.p95, Duration::from_secs(3600));
    }

    #[test]
    fn memory_grows_with_the_powers_of_two_that_occur() {
        assert_eq!(bytes(&Histogram::new()), 624);
        let three_powers_of_ten = recorded((1_000_000..1_000_000_000).step_by(1_000_000));
        assert_eq!(bytes(&three_powers_of_ten), 624 + 11 * 256);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        const STEPS: u64 = if cfg!(miri) { 200 } else { 10_000 };
        let histogram = Histogram::new();
        thread::scope(|scope| {
            for thread in 1..=4 {
                let histogram = &histogram;
                scope.spawn(move || {
                    for step in 0..STEPS {
                        histogram.record(Duration::from_nanos(thread * step));
                        if step % (STEPS / 10) == 0 {
                            let summary = histogram.summary();
                            assert!(summary.p999 <= summary.max, "{summary}");
                        }
                    }
                });
            }
        });
        let summary = histogram.summary();
        assert_eq!(summary.count, 4 * STEPS);
        assert_eq!(summary.max, Duration::from_nanos(4 * (STEPS - 1)));
    }

    /// Values of all magnitudes alike.
    fn nanos() -> impl Strategy<Value = u64> {
        (0..VALUE_BITS, 0..=LARGEST).prop_map(|(shift, value)| value >> shift)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "far finer than what is compared"
    )]
    fn near(told: Duration, truth: f64, below: f64, above: f64) -> bool {
        let told = told.as_nanos() as f64;
        told >= truth * (1.0 - below) - 1.0 && told <= truth * (1.0 + above) + 1.0
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "reading the other histogram takes an interpreter an hour")]
        #[expect(clippy::cast_precision_loss, reason = "far finer than what is compared")]
        fn it_agrees_with_hdrhistogram(values in proptest::collection::vec(nanos(), 1..500)) {
            let mut other = hdrhistogram::Histogram::<u64>::new_with_bounds(1, LARGEST, 4).unwrap();
            for value in &values {
                other.record(*value).unwrap();
            }
            let summary = recorded(values.iter().copied()).summary();
            let max = values.iter().copied().max().unwrap_or(0);
            prop_assert_eq!(summary.count, other.len());
            prop_assert_eq!(summary.max, Duration::from_nanos(max));
            prop_assert!(near(summary.mean, other.mean(), 1.0 / 63.0, 1.0 / 63.0));
            for (told, quantile) in [
                (summary.p50, 0.5), (summary.p95, 0.95), (summary.p99, 0.99), (summary.p999, 0.999),
            ] {
                let truth = other.value_at_quantile(quantile) as f64;
                prop_assert!(near(told, truth, 0.0002, 1.0 / 32.0), "{told:?} {truth} {quantile}");
            }
        }

        #[test]
        fn a_quantile_is_never_below_the_truth(
            mut values in proptest::collection::vec(nanos(), 1..500),
        ) {
            let summary = recorded(values.iter().copied()).summary();
            values.sort_unstable();
            for (told, permille) in [(summary.p50, 500), (summary.p99, 990), (summary.p999, 999)] {
                let rank = (values.len() * permille).div_ceil(1000);
                let truth = Duration::from_nanos(values[rank - 1]);
                prop_assert!(told >= truth && told <= truth + truth / 32, "{told:?} {truth:?}");
            }
        }
    }
}
