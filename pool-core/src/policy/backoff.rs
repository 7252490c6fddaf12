//! When to try the next connect after one has failed.
//!
//! Exponential with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015): after the
//! n-th failure in a row the pause is drawn from 0 to 100 ms · 2ⁿ⁻¹, at most 16 s, and never
//! below 100 ms. A failure alone says little, and where one address of several is dead it is not to
//! hold up the connects to the others: after the first the pause is 10 to 20 ms. While somebody waits
//! the pause is at most 250 ms: a server that has come back is then noticed at once, at the price of
//! four to ten attempts a second. The pause counts from the beginning of the attempt: one that hung
//! has paused already. Any success resets it.

use std::time::Duration;

use super::random::Random;
use crate::inner::clock::{Nanos, nanos};

/// The shortest pause after a failure alone, and half of the longest.
const ALONE: Duration = Duration::from_millis(10);
/// The shortest pause after more than one, and what the ceiling is a multiple of.
const BASE: Duration = Duration::from_millis(100);
/// The highest ceiling while nobody waits.
pub(crate) const CAP: Duration = Duration::from_secs(16);
/// The highest ceiling while somebody does.
const EAGER_CAP: Duration = Duration::from_millis(250);

/// The pauses between failing connects of one pool.
#[derive(Debug)]
pub(crate) struct Backoff {
    random: Random,
    failures: u32,
    /// When the last attempt that failed began.
    begun_at: Nanos,
    /// Where between nothing and the ceiling the pause lies, drawn at the failure.
    jitter: f64,
}

impl Backoff {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random,
            failures: 0,
            begun_at: 0,
            jitter: 0.0,
        }
    }

    pub(crate) fn on_failure(&mut self, begun_at: Nanos) {
        self.failures = self.failures.saturating_add(1);
        self.begun_at = self.begun_at.max(begun_at);
        self.jitter = self.random.unit();
    }

    pub(crate) fn on_success(&mut self) {
        self.failures = 0;
    }

    /// How many connects have failed since the last success.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next connect may begin, depending on whether somebody waits for it.
    pub(crate) fn next_at(&self, somebody_waits: bool) -> Nanos {
        let pause = match self.failures {
            0 => return 0,
            1 => ALONE.mul_f64(1.0 + self.jitter),
            more => {
                let cap = if somebody_waits { EAGER_CAP } else { CAP };
                let ceiling = BASE.saturating_mul(1 << (more - 1).min(20)).min(cap);
                ceiling.mul_f64(self.jitter).max(BASE)
            }
        };
        self.begun_at.saturating_add(nanos(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::{ALONE, BASE, Backoff, CAP, EAGER_CAP};
    use crate::inner::clock::nanos;
    use crate::policy::random::Random;

    fn after(failures: u32) -> Backoff {
        let mut backoff = Backoff::new(Random::seeded(3));
        (0..failures).for_each(|_| backoff.on_failure(1000));
        backoff
    }

    #[test]
    fn the_first_connect_need_not_wait() {
        assert_eq!(after(0).next_at(false), 0);
    }

    #[test]
    fn the_pause_after_a_failure_alone_is_short() {
        for _ in 0..100 {
            let mut backoff = Backoff::new(Random::new());
            backoff.on_failure(0);
            assert!((nanos(ALONE)..=2 * nanos(ALONE)).contains(&backoff.next_at(false)));
        }
    }

    #[test]
    fn pauses_grow_to_the_cap_and_never_fall_below_the_base() {
        let mut backoff = after(1);
        let mut longest = 0;
        for failure in 2..200_u32 {
            backoff.on_failure(0);
            let pause = backoff.next_at(false);
            let ceiling = nanos(BASE) << (failure - 1).min(10);
            assert!(pause >= nanos(BASE) && pause <= ceiling.min(nanos(CAP)));
            longest = longest.max(pause);
        }
        assert!(longest > nanos(CAP) / 10 * 9);
    }

    #[test]
    fn pauses_are_short_while_somebody_waits() {
        let mut backoff = after(50);
        for _ in 0..100 {
            backoff.on_failure(0);
            assert!((nanos(BASE)..=nanos(EAGER_CAP)).contains(&backoff.next_at(true)));
        }
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let mut backoff = after(10);
        backoff.on_success();
        assert_eq!((backoff.next_at(false), backoff.failures()), (0, 0));
    }
}
