//! Checkouts per second while the run goes on: now, and over the last moments.

use std::collections::VecDeque;
use std::time::Duration;

use crate::timeline::per_second;

/// "Now" is a second: what a quarter of it has is noise.
const NOW: Duration = Duration::from_secs(1);

/// Rates that are remembered: 15 s of them, and a line of a terminal.
const REMEMBERED: usize = 60;

/// Makes rates of a count that grows.
#[derive(Debug, Default)]
pub struct Rates {
    /// Within the last second, and one older.
    counts: VecDeque<(Duration, u64)>,
    past: VecDeque<f64>,
}

impl Rates {
    /// At `at` there were `count` since the beginning.
    pub fn observe(&mut self, at: Duration, count: u64) {
        if let Some(&(before, counted)) = self.counts.back() {
            let seconds = at.saturating_sub(before).as_secs_f64();
            self.past
                .push_back(per_second(count.saturating_sub(counted), seconds));
        }
        if self.past.len() > REMEMBERED {
            self.past.pop_front();
        }
        self.counts.push_back((at, count));
        while self.counts.len() > 2 && at.saturating_sub(self.counts[1].0) >= NOW {
            self.counts.pop_front();
        }
    }

    /// Per second, over the last one.
    pub fn now(&self) -> f64 {
        match (self.counts.front(), self.counts.back()) {
            (Some((from, before)), Some((until, count))) => {
                let seconds = until.saturating_sub(*from).as_secs_f64();
                per_second(count.saturating_sub(*before), seconds)
            }
            _ => 0.0,
        }
    }

    /// The rates from each observation to the next, the latest last.
    pub fn past(&self) -> impl Iterator<Item = f64> + Clone {
        self.past.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(rate: f64, expected: f64) -> bool {
        (rate - expected).abs() < 1e-9
    }

    #[test]
    fn now_is_the_last_second() {
        let mut rates = Rates::default();
        assert!(near(rates.now(), 0.0));
        let mut count = 0;
        for quarter in 0..40 {
            rates.observe(Duration::from_millis(250) * quarter, count);
            count += if quarter < 36 { 1_000 } else { 10 };
        }
        // Three quarters of the last second are slow.
        assert!(near(rates.now(), 1_030.0), "{}", rates.now());
    }

    #[test]
    fn only_so_many_rates_are_remembered() {
        let mut rates = Rates::default();
        for second in 0..1_000 {
            rates.observe(Duration::from_secs(second), 5 * second);
        }
        assert_eq!(rates.past().count(), REMEMBERED);
        assert!(rates.past().all(|rate| near(rate, 5.0)));
    }
}
