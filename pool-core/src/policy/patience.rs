//! How long a connect may take while connects fail.
//!
//! A server that has vanished without a word, a network that swallows packets, leave a connect hanging
//! for as long as it is let; when the server is back, that one knows nothing of it. So once connects
//! fail, each gets twenty times what the slowest of late took, at least 200 ms, and more the longer
//! the outage goes on, a fifteenth of it: recovery is noticed within that share of the time that was
//! lost anyway, and a server that has become slower than it ever was is let in as well in the end.

use std::time::Duration;

use crate::inner::clock::{Nanos, nanos};

/// How many times the slowest connect of late.
const TIMES: Nanos = 20;
/// What every connect is given.
const LEAST: Duration = Duration::from_millis(200);
/// The share of the outage.
const SHARE: Nanos = 15;

/// What is known of one pool's connects.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// The slowest connect of late, which fades by an eighth with each that is faster; 0 before the
    /// first.
    slowest: Nanos,
    /// Since when connects have failed.
    failing_since: Option<Nanos>,
}

impl Patience {
    /// A connect took so long.
    pub(crate) fn note(&mut self, took: Duration) {
        self.slowest = nanos(took).max(self.slowest - self.slowest / 8).max(1);
    }

    pub(crate) fn on_success(&mut self) {
        self.failing_since = None;
    }

    pub(crate) fn on_failure(&mut self, now: Nanos) {
        self.failing_since.get_or_insert(now);
    }

    /// How long a connect that begins now may take; `None` for as long as ever.
    pub(crate) fn limit(&self, now: Nanos) -> Option<Duration> {
        let since = self.failing_since.filter(|_| self.slowest > 0)?;
        let by_experience = self.slowest.saturating_mul(TIMES).max(nanos(LEAST));
        let by_outage = now.saturating_sub(since) / SHARE;
        Some(Duration::from_nanos(by_experience.max(by_outage)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn after(connects: &[u64]) -> Patience {
        let mut patience = Patience::default();
        for &ms in connects {
            patience.note(Duration::from_millis(ms));
        }
        patience
    }

    #[test]
    fn nothing_is_cut_short_while_connects_succeed_or_none_ever_has() {
        assert_eq!(after(&[5]).limit(0), None);
        let mut unknown = after(&[]);
        unknown.on_failure(0);
        assert_eq!(unknown.limit(1_000 * MS), None);
    }

    #[test]
    fn it_follows_the_slowest_of_late_and_the_outage() {
        let mut patience = after(&[50, 3]);
        patience.on_failure(0);
        assert_eq!(patience.limit(0), Some(Duration::from_millis(875)), "fades");
        let mut patience = after(&[1]);
        patience.on_failure(0);
        patience.on_failure(500 * MS);
        assert_eq!(patience.limit(1_000 * MS), Some(LEAST));
        assert_eq!(patience.limit(60_000 * MS), Some(Duration::from_secs(4)));
        patience.on_success();
        assert_eq!(patience.limit(60_000 * MS), None);
    }
}
