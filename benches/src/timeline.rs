//! The pool over the run: what it counted at a few hundred moments.
//!
//! A run takes a second or a day, and its report should be as long in both cases. So whenever there
//! are `LIMIT` moments, every other one is forgotten and from then on only every second one is
//! kept. Nothing is lost by it but detail: of the checkouts their number since the beginning is kept,
//! and the rates are made of it at the end.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Moments at most.
const LIMIT: usize = 240;

/// A rate is of at least this long where the run has it; that of a millisecond says nothing.
const RATE_OVER: Duration = Duration::from_millis(100);

/// What the pool counted at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, from the beginning of the first phase.
    pub at_seconds: f64,
    /// The phase it was in.
    pub phase: Cow<'static, str>,
    /// Connections nobody held.
    pub idle: usize,
    /// Connections that were held.
    pub active: usize,
    /// Connections that were being opened.
    pub opening: usize,
    /// Checkouts that waited.
    pub waiting: usize,
    /// Checkouts since the sample before, per second.
    pub checkouts_per_second: f64,
}

/// The same before rates are known.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// When, from the beginning of the first phase.
    pub at: Duration,
    /// The phase it was in.
    pub phase: &'static str,
    /// Connections nobody held.
    pub idle: usize,
    /// Connections that were held.
    pub active: usize,
    /// Connections that were being opened.
    pub opening: usize,
    /// Checkouts that waited.
    pub waiting: usize,
    /// Checkouts since the beginning.
    pub acquired: u64,
}

/// Collects moments.
#[derive(Debug, Default)]
pub struct Timeline {
    moments: Vec<Moment>,
    /// Of two to the power of this many moments one is kept.
    thinned: u32,
    seen: usize,
}

impl Timeline {
    /// Adds a moment, later than those before.
    pub fn add(&mut self, moment: Moment) {
        let is_kept = self.seen.is_multiple_of(1 << self.thinned);
        self.seen += 1;
        if !is_kept {
            return;
        }
        self.moments.push(moment);
        if self.moments.len() == LIMIT {
            let mut number = 0;
            self.moments.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.thinned += 1;
        }
    }

    /// What was collected, with the rates.
    pub fn samples(&self) -> Vec<Sample> {
        let rates = (0..self.moments.len()).map(|number| self.rate(number));
        let samples = self.moments.iter().zip(rates);
        samples
            .map(|(moment, checkouts_per_second)| Sample {
                at_seconds: moment.at.as_secs_f64(),
                phase: moment.phase.into(),
                idle: moment.idle,
                active: moment.active,
                opening: moment.opening,
                waiting: moment.waiting,
                checkouts_per_second,
            })
            .collect()
    }

    fn rate(&self, number: usize) -> f64 {
        let now = self.moments[number];
        let earlier = &self.moments[..number];
        let before = earlier
            .iter()
            .rfind(|moment| now.at.saturating_sub(moment.at) >= RATE_OVER)
            .or(earlier.first());
        before.map_or(0.0, |before| {
            let seconds = now.at.saturating_sub(before.at).as_secs_f64();
            per_second(now.acquired.saturating_sub(before.acquired), seconds)
        })
    }
}

/// A rate; zero where no time has passed.
#[expect(clippy::cast_precision_loss, reason = "no run makes 2^52 checkouts")]
pub fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(moments: usize) -> Timeline {
        let mut timeline = Timeline::default();
        for number in 0..moments {
            timeline.add(Moment {
                at: Duration::from_millis(250) * u32::try_from(number).unwrap(),
                phase: "work",
                idle: 0,
                active: 1,
                opening: 0,
                waiting: 0,
                acquired: 100 * number as u64,
            });
        }
        timeline
    }

    #[test]
    fn a_long_run_is_told_in_as_many_samples_as_a_short_one_and_at_equal_distances() {
        let samples = timeline(10_000).samples();
        assert!((LIMIT / 2..LIMIT).contains(&samples.len()));
        let distances = samples
            .windows(2)
            .map(|pair| pair[1].at_seconds - pair[0].at_seconds);
        for distance in distances {
            assert!((distance - 16.0).abs() < 1e-9, "{distance}");
        }
    }

    #[test]
    fn rates_are_right_however_much_was_forgotten() {
        for moments in [2, 100, 10_000] {
            let samples = timeline(moments).samples();
            assert!(samples[0].checkouts_per_second.abs() < 1e-9);
            for sample in &samples[1..] {
                assert!((sample.checkouts_per_second - 400.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_moment_right_after_another_has_the_rate_of_a_longer_time() {
        let mut timeline = timeline(5);
        let last = *timeline.moments.last().unwrap();
        timeline.add(Moment {
            at: last.at + Duration::from_millis(1),
            acquired: last.acquired + 50,
            ..last
        });
        let rate = timeline.samples().last().unwrap().checkouts_per_second;
        assert!(rate < 700.0, "{rate}");
    }
}
