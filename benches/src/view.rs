//! What there is to see of a run at one moment, in words: one line for a pipe, a few for a terminal.

use crate::sparkline::sparkline;
use crate::table::{grouped, time};
use crate::timeline::Moment;

/// A run at one moment.
#[derive(Debug)]
pub struct View<'a, R> {
    /// What the pool counts.
    pub moment: &'a Moment,
    /// How much of the phase is done.
    pub done: Done,
    /// Checkouts per second now.
    pub per_second: f64,
    /// The rates of the last moments, the latest last.
    pub past: R,
    /// What takes time, where something was measured of it.
    pub latency: Option<Latency>,
}

/// How much of a phase is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Of the whole, which is 1,000.
    pub permille: u64,
    /// The same in words.
    pub words: String,
}

/// Two percentiles of what the phase is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// `wait` or `connect`.
    pub of: &'static str,
    /// Half took at most this, in nanoseconds.
    pub p50_ns: f64,
    /// 99 of 100 took at most this, in nanoseconds.
    pub p99_ns: f64,
}

impl<R: Iterator<Item = f64> + Clone> View<'_, R> {
    /// One line without any control character.
    pub fn line(&self) -> String {
        format!(
            "{} {}: {}; {}",
            self.moment.phase,
            self.done.words,
            self.speed(),
            self.sizes()
        )
    }

    /// The lines below the bar of a terminal, each within 80 columns.
    pub fn lines(&self) -> String {
        format!(
            "{}, {}\n{}\n{}",
            self.done.words,
            self.speed(),
            self.sizes(),
            sparkline(self.past.clone())
        )
    }

    fn speed(&self) -> String {
        let rate = format!("{} checkouts/s", grouped(self.per_second.round()));
        match self.latency {
            None => rate,
            Some(Latency { of, p50_ns, p99_ns }) => {
                format!("{rate}, {of} p50 {} p99 {}", time(p50_ns), time(p99_ns))
            }
        }
    }

    fn sizes(&self) -> String {
        let Moment {
            idle,
            active,
            opening,
            waiting,
            ..
        } = *self.moment;
        format!(
            "{} idle, {} active, {} opening; {} waiting",
            grouped(idle),
            grouped(active),
            grouped(opening),
            grouped(waiting)
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::time::Duration;

    pub(crate) const MOMENT: Moment = Moment {
        at: Duration::from_secs(8),
        phase: "work",
        idle: 12_345,
        active: 9_998,
        opening: 8,
        waiting: 30_002,
        acquired: 1,
    };

    pub(crate) fn view() -> View<'static, std::iter::RepeatN<f64>> {
        View {
            moment: &MOMENT,
            done: Done {
                permille: 400,
                words: "8 s of 20 s".to_owned(),
            },
            per_second: 1_234_567.4,
            past: std::iter::repeat_n(1.0, 60),
            latency: Some(Latency {
                of: "wait",
                p50_ns: 123_456.0,
                p99_ns: 999_999_999.0,
            }),
        }
    }

    #[test]
    fn a_line_says_the_phase_the_rate_the_waits_and_the_sizes() {
        assert_eq!(
            view().line(),
            "work 8 s of 20 s: 1,234,567 checkouts/s, wait p50 123.5 us p99 1000.00 ms; \
             12,345 idle, 9,998 active, 8 opening; 30,002 waiting"
        );
    }

    #[test]
    fn what_was_not_measured_is_not_shown() {
        let mut view = view();
        view.latency = None;
        assert!(!view.line().contains("p50"));
    }

    #[test]
    fn a_terminal_of_80_columns_is_wide_enough() {
        let lines = view().lines();
        assert_eq!(lines.lines().count(), 3);
        for line in lines.lines() {
            assert!(line.chars().count() < 80, "{line}");
        }
        assert!(lines.ends_with(&"█".repeat(60)));
    }

    #[test]
    fn no_line_has_a_control_character() {
        assert!(!view().line().contains(char::is_control));
        assert!(view().line().is_ascii());
    }
}
