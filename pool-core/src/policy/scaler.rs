//! How many connections are kept open, as the load asks for.
//!
//! Utilisation is what is in use as a share of what is open, as a mean over time, so that an
//! instant decides nothing. Above `scale_up_above` the size grows by a step, below
//! `scale_down_below` it shrinks by one; a step is `scale_step` of the size, at least one, and none
//! goes past the size at which utilisation would be `scale_target`. The gap between the two
//! thresholds, and the target within it, are what keeps the size from swinging.
//!
//! Growing looks at the last second: lag is what a pool is blamed for. Who waits counts as using, so
//! that one who found nothing idle for a moment is no reason, and a queue is. Shrinking looks at a
//! whole interval and leaves what its busiest second and its busiest moment need, so that neither a
//! momentary dip nor chance closes what is wanted back a moment later: with callers that come as
//! they please (Poisson), a floor at the means alone made the size turn round every few minutes
//! (`cargo simulate`).

use crate::config::PoolConfig;
use crate::inner::clock::{Nanos, nanos};

/// Utilisation is taken over each of these.
const SAMPLE: Nanos = 1_000_000_000;

/// Why the size of a pool changes.
///
/// With `auto_scaling` a pool keeps as many connections open as its load asks for. Utilisation is
/// what is in use as a share of what is open.
///
/// | | when | how far |
/// | --- | --- | --- |
/// | up | over the last second above `scale_up_above` (80 %), `scale_interval` (60 s) after the last step; or the same with those who wait, a second after the last step | by `scale_step` (20 %) of what is open, no further than to `scale_target` (70 %) or `max_size` |
/// | down | over a whole `scale_interval` below `scale_down_below` (50 %), that long after the last step | by `scale_step`, no further than to `scale_target` in its busiest second, what was in use at its busiest moment, or `min_size` |
///
/// A step is at least one connection. Whoever waits while there is room gets a connection opened
/// in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScaleReason {
    /// Nearly all were in use.
    Busy,
    /// Checkouts waited.
    Waiting,
    /// Most were idle for long.
    Idle,
}

impl std::fmt::Display for ScaleReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Busy => "nearly all were in use",
            Self::Waiting => "checkouts waited",
            Self::Idle => "most were idle for long",
        })
    }
}

/// The size is to change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) reason: ScaleReason,
    /// What it was decided by.
    pub(crate) utilisation: f64,
}

/// A pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Connections that are open or being opened.
    pub(crate) size: usize,
    /// Of these, those in use.
    pub(crate) active: usize,
    pub(crate) waiting: usize,
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// What one second was like.
#[derive(Debug, Clone, Copy)]
struct Second {
    ended: Nanos,
    /// In use on average.
    active: f64,
    /// In use or waited for, on average.
    wanted: f64,
    /// In use at the busiest moment.
    peak: usize,
}

/// The scaling of one pool.
#[derive(Debug)]
pub(crate) struct Scaler {
    up_above: f64,
    down_below: f64,
    target: f64,
    step: f64,
    interval: Nanos,
    /// The seconds of the last interval.
    seconds: std::collections::VecDeque<Second>,
    /// What is known of the second that has begun.
    began: Nanos,
    seen_until: Nanos,
    /// Connections in use times nanoseconds.
    used: f64,
    /// Waiters times nanoseconds.
    waited: f64,
    peak: usize,
    last_step: Option<Nanos>,
    last_seen: Option<Observed>,
}

impl Scaler {
    pub(crate) fn new(config: &PoolConfig) -> Self {
        Self {
            up_above: config.scale_up_above,
            down_below: config.scale_down_below,
            target: config.scale_target,
            step: config.scale_step,
            interval: nanos(config.scale_interval),
            seconds: std::collections::VecDeque::new(),
            began: 0,
            seen_until: 0,
            used: 0.0,
            waited: 0.0,
            peak: 0,
            last_step: None,
            last_seen: None,
        }
    }

    /// Takes note of the pool now; says what is to change. To be called at least every
    /// [`SAMPLE`] while anything is in use or more is open than the minimum.
    pub(crate) fn observe(&mut self, now: Nanos, pool: Observed) -> Option<Step> {
        let Some(before) = self.last_seen.replace(pool) else {
            (self.began, self.seen_until) = (now, now);
            return None;
        };
        // What was in use last time was so until now.
        #[expect(clippy::cast_precision_loss, reason = "a mean need not be exact")]
        {
            let time = (now - self.seen_until) as f64;
            self.used += before.active as f64 * time;
            self.waited += before.waiting as f64 * time;
        }
        self.seen_until = now;
        self.peak = self.peak.max(pool.active);
        if now - self.began < SAMPLE.min(self.interval) {
            return None;
        }
        let second = self.end_second(now);
        self.decide(now, pool, second)
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean need not be exact")]
    fn end_second(&mut self, now: Nanos) -> Second {
        let time = (now - self.began) as f64;
        let second = Second {
            ended: now,
            active: self.used / time,
            wanted: (self.used + self.waited) / time,
            peak: self.peak,
        };
        (self.began, self.used, self.waited, self.peak) = (now, 0.0, 0.0, 0);
        self.seconds.push_back(second);
        let is_old = |second: &Second| second.ended.saturating_add(self.interval) < now;
        while self.seconds.front().is_some_and(is_old) {
            self.seconds.pop_front();
        }
        second
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    fn decide(&mut self, now: Nanos, pool: Observed, second: Second) -> Option<Step> {
        let size = pool.size;
        let since_step = self
            .last_step
            .map_or(Nanos::MAX, |at| now.saturating_sub(at));
        let is_time = since_step >= self.interval;
        let share = |number: f64| number / size.max(1) as f64;
        let utilisation = share(second.active);
        let has_queue = second.wanted > second.active && share(second.wanted) > self.up_above;
        let (to, reason, utilisation) = if has_queue && size < pool.max {
            let to = self.grown(size, second.wanted, pool);
            (to, ScaleReason::Waiting, utilisation)
        } else if utilisation > self.up_above && is_time {
            let to = self.grown(size, second.active, pool);
            (to, ScaleReason::Busy, utilisation)
        } else if is_time && self.has_seen_an_interval(now) {
            let mean = self.mean();
            let utilisation = share(mean);
            if utilisation >= self.down_below {
                return None;
            }
            (self.shrunk(size, pool), ScaleReason::Idle, utilisation)
        } else {
            return None;
        };
        if to == size {
            return None;
        }
        self.last_step = Some(now);
        Some(Step {
            from: size,
            to,
            reason,
            utilisation,
        })
    }

    /// The size one step up.
    fn grown(&self, size: usize, wanted: f64, pool: Observed) -> usize {
        let step = share_of(size, self.step).max(1);
        let at_target = whole((wanted / self.target).ceil());
        (size + step).min(at_target).min(pool.max).max(size)
    }

    /// The size one step down.
    fn shrunk(&self, size: usize, pool: Observed) -> usize {
        let step = share_of(size, self.step).max(1);
        let busiest = self.seconds.iter().map(|s| s.active).fold(0.0, f64::max);
        let peak = self.seconds.iter().map(|s| s.peak).max().unwrap_or(0);
        // Any less, and the next such second would make it grow again.
        let needed = whole((busiest / self.target).ceil()).max(peak);
        let least = needed.max(pool.min).max(pool.active);
        size.saturating_sub(step).max(least).min(size)
    }

    fn has_seen_an_interval(&self, now: Nanos) -> bool {
        // The oldest second kept ended within the interval; it began up to one before.
        let oldest = self.seconds.front().map_or(now, |second| second.ended);
        now - oldest + SAMPLE.min(self.interval) >= self.interval
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean need not be exact")]
    fn mean(&self) -> f64 {
        let sum: f64 = self.seconds.iter().map(|second| second.active).sum();
        sum / self.seconds.len().max(1) as f64
    }

    /// When it wants to look again at a pool like this, which it has just observed.
    pub(crate) fn next_at(&self, pool: Observed) -> Nanos {
        let rests = pool.active == 0 && pool.waiting == 0 && pool.size <= pool.min;
        if rests && self.mean() == 0.0 {
            return Nanos::MAX;
        }
        self.began + SAMPLE.min(self.interval)
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn share_of(size: usize, share: f64) -> usize {
    whole((size as f64 * share).round())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and a larger one means no limit"
)]
fn whole(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use super::{Observed, SAMPLE, ScaleReason, Scaler, Step};
    use crate::config::PoolConfig;

    /// How often pools are looked at between two samples, about.
    const LOOKS: u64 = if cfg!(miri) { 1 } else { 10 };
    /// In seconds, and shorter for an interpreter, but long enough for all steps.
    const HOUR: u64 = if cfg!(miri) { 720 } else { 3_600 };

    /// A pool whose open connections follow what its scaler says at once.
    struct Simulated {
        scaler: Scaler,
        size: usize,
        now: u64,
        steps: Vec<(u64, Step)>,
    }

    impl Simulated {
        fn new(size: usize) -> Self {
            Self {
                scaler: Scaler::new(&PoolConfig::default()),
                size,
                now: 0,
                steps: Vec::new(),
            }
        }

        /// Lives through `seconds` of this load: how many want a connection at each moment.
        fn live(&mut self, seconds: u64, load: impl Fn(u64) -> usize) {
            let end = self.now + seconds * SAMPLE;
            while self.now < end {
                let wanted = load(self.now / SAMPLE);
                let observed = Observed {
                    size: self.size,
                    active: wanted.min(self.size),
                    waiting: wanted.saturating_sub(self.size),
                    min: 2,
                    max: 100,
                };
                if let Some(step) = self.scaler.observe(self.now, observed) {
                    assert_eq!(step.from, self.size);
                    self.size = step.to;
                    self.steps.push((self.now / SAMPLE, step));
                }
                self.now += SAMPLE / LOOKS;
            }
        }

        fn steps(&self, reason: ScaleReason) -> usize {
            let with_reason = |step: &&(u64, Step)| step.1.reason == reason;
            self.steps.iter().filter(with_reason).count()
        }
    }

    #[test]
    fn a_pool_nearly_all_in_use_grows_by_a_step_within_two_seconds() {
        let mut pool = Simulated::new(20);
        pool.live(2, |_| 17);
        let (at, step) = pool.steps[0];
        assert!(at <= 2);
        assert_eq!(
            (step.from, step.to, step.reason),
            (20, 24, ScaleReason::Busy)
        );
        pool.live(300, |_| 17);
        assert_eq!(pool.steps.len(), 1, "at 71 % it stays");
    }

    #[test]
    fn nothing_changes_between_the_thresholds() {
        let mut pool = Simulated::new(20);
        pool.live(600, |_| 13);
        assert_eq!(pool.steps.len(), 0);
    }

    #[test]
    fn waiters_make_it_grow_each_second_up_to_the_maximum() {
        let mut pool = Simulated::new(10);
        pool.live(30, |_| 1_000);
        assert_eq!(pool.size, 100);
        assert!(pool.steps.last().unwrap().0 <= 15);
    }

    /// The first step of a pool of 20, of which so many are in use and wait in each tenth of a second.
    fn first_step(tenths: u32, load: impl Fn(u32) -> (usize, usize)) -> Option<Step> {
        let mut scaler = Scaler::new(&PoolConfig::default());
        (0..=tenths).find_map(|tenth| {
            let (active, waiting) = load(tenth);
            let observed = Observed {
                size: 20,
                active,
                waiting,
                min: 2,
                max: 100,
            };
            scaler.observe(u64::from(tenth) * SAMPLE / 10, observed)
        })
    }

    #[test]
    fn a_queue_half_of_the_time_makes_it_grow_though_half_are_in_use_on_average() {
        let bursts = |tenth: u32| if tenth % 2 == 0 { (20, 20) } else { (0, 0) };
        let step = first_step(10, bursts).unwrap();
        assert_eq!((step.to, step.reason), (24, ScaleReason::Waiting));
    }

    #[test]
    fn one_who_waits_for_a_moment_does_not_make_it_grow() {
        let moment = |tenth: u32| (12, usize::from(tenth % 10 == 3));
        assert_eq!(first_step(100, moment), None);
    }

    #[test]
    fn what_was_busy_before_the_last_interval_keeps_nothing_open() {
        let mut scaler = Scaler::new(&PoolConfig::default());
        let (mut now, mut size) = (0, 40);
        // Not at whole parts of a second: no time is met twice.
        while now < HOUR * SAMPLE {
            let observed = Observed {
                size,
                active: if now < 5 * SAMPLE { 30 } else { 2 },
                waiting: 0,
                min: 2,
                max: 100,
            };
            size = scaler.observe(now, observed).map_or(size, |step| step.to);
            now += SAMPLE / LOOKS * 6 / 7;
        }
        assert_eq!(size, 4, "at 50 % it stays");
    }

    #[test]
    fn a_pool_mostly_idle_shrinks_by_a_step_each_interval_down_to_the_target() {
        let mut pool = Simulated::new(50);
        pool.live(59, |_| 7);
        assert_eq!(pool.size, 50, "not before a whole interval is seen");
        pool.live(3, |_| 7);
        assert_eq!(pool.size, 40);
        pool.live(58, |_| 7);
        assert_eq!(pool.size, 40, "one step an interval");
        pool.live(HOUR, |_| 7);
        assert_eq!(pool.size, 14, "at 50 % it stays");
        assert_eq!(pool.steps(ScaleReason::Busy), 0);
    }

    #[test]
    fn it_never_goes_below_the_minimum() {
        let mut pool = Simulated::new(30);
        pool.live(HOUR, |_| 0);
        assert_eq!(pool.size, 2);
    }

    #[test]
    fn a_dip_closes_nothing_that_the_next_burst_needs() {
        let mut pool = Simulated::new(40);
        pool.live(HOUR, |second| if second % 50 < 5 { 30 } else { 2 });
        assert!(pool.size >= 30, "{}", pool.size);
        assert_eq!(pool.steps(ScaleReason::Waiting), 0);
    }

    #[test]
    fn a_load_that_flaps_does_not_make_the_size_swing() {
        let mut pool = Simulated::new(10);
        pool.live(HOUR, |second| if second / 20 % 2 == 0 { 18 } else { 6 });
        pool.steps.clear();
        pool.live(HOUR, |second| if second / 20 % 2 == 0 { 18 } else { 6 });
        assert_eq!(pool.steps.len(), 0);
    }

    #[test]
    fn it_follows_a_slow_wave_without_making_anybody_wait_for_long() {
        let mut pool = Simulated::new(10);
        let wave = |second: u64| {
            let phase = f64::from(u32::try_from(second).unwrap()) / 3_600.0 * std::f64::consts::TAU;
            super::whole(30.0 - 25.0 * phase.cos())
        };
        pool.live(4 * HOUR, wave);
        assert!(
            pool.steps(ScaleReason::Waiting) <= 4 * 8,
            "{:?}",
            pool.steps(ScaleReason::Waiting)
        );
    }

    #[test]
    fn a_pool_at_rest_is_not_looked_at() {
        let mut scaler = Scaler::new(&PoolConfig::default());
        let rest = Observed {
            size: 2,
            active: 0,
            waiting: 0,
            min: 2,
            max: 10,
        };
        scaler.observe(0, rest);
        assert_eq!(scaler.next_at(rest), u64::MAX);
        let busy = Observed { active: 1, ..rest };
        assert_eq!(scaler.next_at(busy), SAMPLE);
    }
}
