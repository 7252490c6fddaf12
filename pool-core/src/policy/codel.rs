//! Controlled delay: tells a queue that stands from a burst that drains.
//!
//! Over each interval the shortest delay is kept. When even that is above the target, nobody was
//! served in time: the queue stands, and whoever has waited for twice the target is shed. (Nichols
//! and Jacobson, RFC 8289; with the way of shedding of `db_connection`.)

use crate::inner::clock::Nanos;

/// Watches the delay of one queue.
#[derive(Debug)]
pub(crate) struct Codel {
    target: Nanos,
    interval: Nanos,
    interval_ends: Nanos,
    /// The shortest delay of this interval.
    least: Nanos,
    is_overloaded: bool,
}

impl Codel {
    pub(crate) fn new(target: Nanos, interval: Nanos) -> Self {
        Self {
            target,
            interval,
            interval_ends: 0,
            least: 0,
            is_overloaded: false,
        }
    }

    /// Who has waited longest has waited for `delay`, 0 when nobody waits. Says whether the queue
    /// stands.
    pub(crate) fn observe(&mut self, delay: Nanos, now: Nanos) -> bool {
        if now < self.interval_ends {
            self.least = self.least.min(delay);
            return self.is_overloaded;
        }
        // Nobody looks while nobody waits: after a gap this is the first interval of a queue.
        let is_the_next = now - self.interval_ends < self.interval;
        self.is_overloaded = is_the_next && self.least > self.target;
        self.interval_ends = now.saturating_add(self.interval);
        self.least = delay;
        self.is_overloaded
    }

    /// The wait after which a checkout is shed from a queue that stands.
    pub(crate) fn sheds_after(&self) -> Nanos {
        self.target.saturating_mul(2)
    }

    /// How long until it should look again at a queue that is not empty.
    pub(crate) fn pause(&self) -> Nanos {
        (self.target / 2).max(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::Codel;

    const MS: u64 = 1_000_000;

    fn codel() -> Codel {
        Codel::new(50 * MS, 2_000 * MS)
    }

    /// Whether the queue stands after `delay` has told, every 25 ms for `time`, its delay.
    fn told(codel: &mut Codel, from: u64, time: u64, delay: impl Fn(u64) -> u64) -> bool {
        let mut stands = false;
        for at in (from..from + time).step_by(25) {
            stands = codel.observe(delay(at) * MS, at * MS);
        }
        stands
    }

    #[test]
    fn a_queue_in_which_everybody_waits_too_long_stands_after_one_interval() {
        let mut codel = codel();
        assert!(!told(&mut codel, 10_000, 2_000, |_| 60));
        assert!(told(&mut codel, 12_000, 25, |_| 60));
    }

    #[test]
    fn a_burst_that_drains_is_none() {
        let mut codel = codel();
        let burst = |at: u64| if at % 1_000 < 900 { 400 } else { 0 };
        assert!(!told(&mut codel, 10_000, 60_000, burst));
    }

    #[test]
    fn waits_within_the_target_are_no_overload_however_long_the_queue_lasts() {
        assert!(!told(&mut codel(), 10_000, 60_000, |_| 50));
    }

    #[test]
    fn it_is_over_one_interval_after_somebody_was_served_in_time() {
        let mut codel = codel();
        assert!(told(&mut codel, 10_000, 4_000, |_| 60));
        assert!(!told(&mut codel, 14_000, 2_025, |at| u64::from(
            at > 14_100
        ) * 60));
    }

    #[test]
    fn a_queue_is_looked_at_twice_within_the_target_but_no_more_than_once_a_millisecond() {
        assert_eq!(codel().pause(), 25 * MS);
        assert_eq!(Codel::new(1, 2_000 * MS).pause(), MS);
    }

    #[test]
    fn what_was_before_a_gap_says_nothing_of_the_queue_after_it() {
        let mut codel = codel();
        assert!(told(&mut codel, 10_000, 4_000, |_| 60));
        assert!(!codel.observe(60 * MS, 60_000 * MS));
    }
}
