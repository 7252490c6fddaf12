//! Whether a run had the cores it is about.
//!
//! Two threads that contend are three times slower than one that does all the work alone. So when
//! something else keeps a core busy, a contended run looks three times faster than it is. Each run
//! therefore says how many cores it used; one that had too few is repeated. A pool whose callers park
//! uses less than it had: that is no reason to repeat it.

use std::fs;
use std::time::{Duration, Instant};

use crate::contest::{Metric, Values};

/// What `on_two` adds to what is measured.
pub(super) const CORES_USED: Metric = Metric::neither("cores_used", "cores");

/// Cores a run for two must have used, unless the machine had two for it.
const USED: f64 = 1.6;

/// Cores others must have left to it.
const HAD: f64 = 1.8;

/// How long a run is repeated, with pauses, before it counts as it is.
const PATIENCE: Duration = Duration::from_secs(8);

const PAUSE: Duration = Duration::from_millis(300);

/// Runs `work` until it had two cores, and adds how many it used to what it measured.
pub(super) fn on_two(work: impl Fn() -> Values) -> Values {
    let first = Instant::now();
    loop {
        let before = Spent::now();
        let began = Instant::now();
        let mut values = work();
        let elapsed = began.elapsed();
        let spent = before.zip(Spent::now());
        let used = spent.map(|(before, after)| after.used_since(&before, elapsed));
        let had = spent.map(|(before, after)| after.had_since(&before, elapsed));
        let enough = used.is_none_or(|used| used >= USED) || had.is_some_and(|had| had >= HAD);
        if enough || first.elapsed() > PATIENCE {
            values.push(used);
            return values;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Processor time spent so far.
#[derive(Debug, Clone, Copy)]
struct Spent {
    /// By this process.
    own: Duration,
    /// By everybody, and what the host gave to other machines.
    all: Duration,
    /// Processors of the machine.
    processors: u32,
}

impl Spent {
    /// `None` where the system does not tell.
    fn now() -> Option<Self> {
        // The command's name is in parentheses and may have spaces; user and system time are the 12th
        // and 13th field after it (proc(5)), in hundredths of a second.
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        let own = own.rsplit_once(')')?.1;
        let own = sum(own.split_whitespace().skip(11).take(2));
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let mut lines = machine.lines();
        // User, nice, system, idle, iowait, irq, softirq, steal.
        let fields = lines.next()?.split_whitespace().skip(1).take(8);
        let busy = fields
            .enumerate()
            .filter(|(place, _)| ![3, 4].contains(place));
        Some(Self {
            own,
            all: sum(busy.map(|(_, field)| field)),
            processors: lines
                .take_while(|line| line.starts_with("cpu"))
                .fold(0, |count, _| count + 1),
        })
    }

    /// Cores this process used.
    fn used_since(&self, before: &Self, elapsed: Duration) -> f64 {
        self.own.saturating_sub(before.own).as_secs_f64() / elapsed.as_secs_f64()
    }

    /// Cores others left to this process.
    fn had_since(&self, before: &Self, elapsed: Duration) -> f64 {
        let own = self.own.saturating_sub(before.own);
        let others = self.all.saturating_sub(before.all).saturating_sub(own);
        f64::from(self.processors) - others.as_secs_f64() / elapsed.as_secs_f64()
    }
}

/// Hundredths of a second as time.
fn sum<'a>(fields: impl Iterator<Item = &'a str>) -> Duration {
    let hundredths = fields
        .filter_map(|field| field.parse::<u64>().ok())
        .sum::<u64>();
    Duration::from_millis(hundredths * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn work_takes_processor_time() {
        let before = Spent::now().unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(200) {}
        let after = Spent::now().unwrap();
        assert!(after.own > before.own);
        assert!(after.all > before.all);
        assert!(after.processors > 0);
    }

    #[test]
    fn what_others_take_is_not_had() {
        let spent = |own, all| Spent {
            own: Duration::from_secs(own),
            all: Duration::from_secs(all),
            processors: 2,
        };
        let (before, after) = (spent(1, 10), spent(2, 12));
        let elapsed = Duration::from_secs(2);
        assert!((after.used_since(&before, elapsed) - 0.5).abs() < 1e-9);
        assert!((after.had_since(&before, elapsed) - 1.5).abs() < 1e-9);
    }
}
