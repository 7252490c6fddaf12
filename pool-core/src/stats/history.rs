//! What was counted in each of the last seconds, for as long as somebody asks.

use std::collections::VecDeque;
use std::time::Duration;

use super::histogram::Tally;
use super::{Window, Windows};
use crate::inner::clock::{Nanos, nanos};

const SECOND: Nanos = 1_000_000_000;
/// How far back a window reaches.
const LONGEST: Nanos = 60 * SECOND;
/// For how long samples are taken after somebody has asked.
const WANTED_FOR: Nanos = 2 * LONGEST;

/// All counts at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) at: Nanos,
    pub(crate) acquired: u64,
    pub(crate) released: u64,
    pub(crate) timed_out: u64,
    pub(crate) turned_away: u64,
    pub(crate) connects: u64,
    pub(crate) connect_failures: u64,
    pub(crate) closed: u64,
    pub(crate) wait: Tally,
    pub(crate) connect: Tally,
    pub(crate) usage: Tally,
}

impl Sample {
    fn since(&self, earlier: &Self) -> Window {
        let acquired = self.acquired - earlier.acquired;
        Window {
            // Of a runtime whose clock was paused, it may be ahead of that of a thread outside.
            over: Duration::from_nanos(self.at.saturating_sub(earlier.at)),
            acquired,
            released: self.released.saturating_sub(earlier.released),
            timed_out: self.timed_out - earlier.timed_out,
            turned_away: self.turned_away - earlier.turned_away,
            connects: self.connects - earlier.connects,
            connect_failures: self.connect_failures - earlier.connect_failures,
            closed: self.closed - earlier.closed,
            wait: self.wait.since(&earlier.wait, acquired),
            connect: self.connect.since(&earlier.connect, 0),
            usage: self.usage.since(&earlier.usage, 0),
        }
    }
}

/// Samples, the oldest first, a second apart.
#[derive(Debug, Default)]
pub(crate) struct History {
    samples: VecDeque<Sample>,
    wanted_until: Nanos,
}

impl History {
    /// The windows that end with the sample `now`. From now on, for two minutes, one is wanted each
    /// second.
    pub(crate) fn windows(&mut self, now: Sample) -> Windows {
        self.wanted_until = now.at.saturating_add(WANTED_FOR);
        let back = |span: Duration| {
            let begins = now.at.saturating_sub(nanos(span));
            let earlier = self.samples.iter().rev().find(|sample| sample.at <= begins);
            let earlier = earlier.or(self.samples.front());
            earlier.map_or_else(Window::default, |earlier| now.since(earlier))
        };
        let windows = Windows {
            last_1s: back(Duration::from_secs(1)),
            last_10s: back(Duration::from_secs(10)),
            last_60s: back(Duration::from_secs(60)),
        };
        self.note(now);
        windows
    }

    /// Whether nobody has asked of late.
    pub(crate) fn is_asleep(&self) -> bool {
        self.samples.is_empty()
    }

    /// When the next sample is wanted, if any is at `now`.
    pub(crate) fn next_at(&mut self, now: Nanos) -> Option<Nanos> {
        if now >= self.wanted_until {
            *self = Self::default();
            return None;
        }
        Some(self.samples.back().map_or(now, |last| last.at + SECOND))
    }

    /// Keeps a sample, unless the last is younger than a second.
    pub(crate) fn note(&mut self, sample: Sample) {
        if self
            .samples
            .back()
            .is_some_and(|last| sample.at < last.at + SECOND)
        {
            return;
        }
        let kept_from = sample.at.saturating_sub(LONGEST);
        // One that is older than the longest window is where that begins.
        while self
            .samples
            .get(1)
            .is_some_and(|second| second.at <= kept_from)
        {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Histogram;

    fn at(second: u64, acquired: u64, waits: &Histogram) -> Sample {
        Sample {
            at: second * SECOND,
            acquired,
            wait: waits.tally(),
            ..Sample::default()
        }
    }

    #[test]
    fn nothing_is_known_when_somebody_asks_for_the_first_time() {
        let mut history = History::default();
        assert_eq!(
            history.next_at(SECOND),
            None,
            "and until then nothing is kept"
        );
        let windows = history.windows(at(1, 1_000, &Histogram::new()));
        assert_eq!(windows, Windows::default());
        assert_eq!(history.next_at(SECOND), Some(2 * SECOND));
    }

    #[test]
    fn each_window_begins_with_the_sample_of_its_time() {
        let (waits, mut history) = (Histogram::new(), History::default());
        history.windows(at(0, 0, &waits));
        for second in 1..=200 {
            if second == 196 {
                (0..30).for_each(|_| waits.record(Duration::from_millis(8)));
            }
            history.note(at(second, 100 * second, &waits));
        }
        assert_eq!(history.samples.len(), 61);
        let windows = history.windows(at(201, 20_100, &waits));
        let [one, ten, sixty] = [windows.last_1s, windows.last_10s, windows.last_60s];
        assert_eq!(
            (one.acquired, ten.acquired, sixty.acquired),
            (100, 1_000, 6_000)
        );
        assert!((ten.acquired_per_second() - 100.0).abs() < 1e-9);
        assert_eq!(one.wait.max, Duration::ZERO, "that was earlier");
        // 30 of 1,000 waited.
        assert_eq!((ten.wait.count, ten.wait.p95), (1_000, Duration::ZERO));
        let edge = ten.wait.p99.as_secs_f64() / 8e-3;
        assert!(
            (1.0..=1.0 + 1.0 / 32.0).contains(&edge),
            "{:?}",
            ten.wait.p99
        );
    }

    #[test]
    fn a_window_counts_what_came_within_it() {
        let counted = |second, times: u64| Sample {
            at: second * SECOND,
            acquired: 10 * times,
            released: 20 * times,
            timed_out: 30 * times,
            turned_away: 40 * times,
            connects: 50 * times,
            connect_failures: 60 * times,
            closed: 70 * times,
            ..Sample::default()
        };
        let mut history = History::default();
        history.windows(counted(0, 1));
        let window = history.windows(counted(1, 3)).last_1s;
        let served = [window.acquired, window.released];
        let failed = [window.timed_out, window.turned_away];
        let connections = [window.connects, window.connect_failures, window.closed];
        assert_eq!(
            (served, failed, connections),
            ([20, 40], [60, 80], [100, 120, 140])
        );
    }

    #[test]
    fn samples_are_kept_no_closer_than_a_second_however_often_somebody_asks() {
        let mut history = History::default();
        for tenth in (0..=30).chain([45]) {
            history.windows(Sample {
                at: tenth * SECOND / 10,
                ..Sample::default()
            });
        }
        let kept: Vec<_> = history.samples.iter().map(|sample| sample.at).collect();
        let tenths = [0, 10, 20, 30, 45].map(|tenth| tenth * SECOND / 10);
        assert_eq!(kept, tenths);
    }

    #[test]
    fn nothing_is_kept_for_whoever_asks_no_more() {
        let mut history = History::default();
        history.windows(at(0, 0, &Histogram::new()));
        assert_eq!(history.next_at(120 * SECOND - 1), Some(SECOND));
        assert_eq!(history.next_at(120 * SECOND), None);
        assert!(history.samples.is_empty());
    }
}
