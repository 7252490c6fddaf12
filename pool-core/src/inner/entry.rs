//! A pooled connection with everything that belongs to it, and its slot.
//!
//! An entry has one owner at a time: a shard, a waiter's ticket, a guard or a task of the pool.
//! It carries its own way home (a count of the pool), so neither a guard nor a return touches a
//! reference count that threads share. Idle entries and the pool hold each other; closing the
//! pool takes them out and so breaks the circle.
//!
//! Whatever drops an entry frees its slot: the connection is dropped first, then the [`Slot`].

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Inner;
use super::capacity::Capacity;
use super::clock::Nanos;
use super::exchange::{Exchange, Member};
use super::record::{Phase, Record};
use crate::manager::Manager;
use crate::stats::CloseReason;

/// An open connection and its slot.
pub(crate) struct Entry<M: Manager> {
    pub(crate) conn: M::Connection,
    pub(crate) slot: Slot<M>,
    pub(crate) sample: Sample,
}

/// The right to one connection, and its record; dropped, both are free.
pub(crate) struct Slot<M: Manager> {
    pub(crate) inner: Arc<Inner<M>>,
    pub(crate) record: Arc<Record>,
    /// Whether the capacity already counts it as closing.
    pub(crate) announced: bool,
    /// Whether a reason for its end has been counted.
    pub(crate) accounted: bool,
}

/// Which uses of a connection are timed: the first in each tick of the coarse clock, and every
/// 64th. So a busy connection hardly ever reads the clock, and of a quiet one every use counts.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// While a use is timed, when it began, with [`TIMED`]; else how long the last one took that
    /// was.
    time: Nanos,
    /// The low half of the last tick at which a use was timed.
    tick: u32,
    /// The uses for which no timed one stands yet.
    untimed: u32,
}

/// The bit that tells a beginning from a length; it takes 292 years to reach.
const TIMED: Nanos = 1 << 63;

impl Sample {
    /// Whether the use that begins at this tick is to be timed, as one of so many are in any case.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "taken for another by chance, one use is not timed"
    )]
    pub(crate) fn is_due(&mut self, tick: Nanos, every: u32) -> bool {
        let tick = tick as u32;
        self.untimed += 1;
        if self.tick == tick && self.untimed < every {
            return false;
        }
        self.tick = tick;
        true
    }

    /// The present use is timed from now on.
    pub(crate) fn begin(&mut self, now: Nanos) {
        self.time = now | TIMED;
    }

    /// Whether the present use is timed.
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        self.time & TIMED != 0
    }

    /// The present use, which is timed, has ended: how long it took, and how many it stands for.
    pub(crate) fn end(&mut self, now: Nanos) -> (Duration, u64) {
        self.time = now.saturating_sub(self.time & !TIMED);
        self.rest()
    }

    /// How long the last timed use took, and for how many more it is to stand.
    pub(crate) fn rest(&mut self) -> (Duration, u64) {
        let untimed = std::mem::take(&mut self.untimed);
        (Duration::from_nanos(self.time), u64::from(untimed))
    }

    /// The present use counts by itself though it was not timed.
    pub(crate) fn count_alone(&mut self) {
        self.untimed = self.untimed.saturating_sub(1);
    }
}

impl<M: Manager> Entry<M> {
    pub(crate) fn new(conn: M::Connection, slot: Slot<M>) -> Self {
        Self {
            conn,
            slot,
            sample: Sample::default(),
        }
    }

    /// It will serve nobody any more: its last uses count as the last that was timed.
    pub(crate) fn count_untimed(&mut self) {
        let (held, times) = self.sample.rest();
        self.slot.inner.counters.usage.record_n(held, times);
    }
}

impl<M: Manager> Member for Entry<M> {
    #[inline]
    fn exchange(&self) -> &Exchange<Self> {
        &self.slot.inner.exchange
    }

    fn on_hand_over(&self) {
        let (_, since) = self.slot.record.phase();
        self.slot.record.enter(Phase::Busy, since);
    }

    fn on_left_over(&self) {
        let (_, since) = self.slot.record.phase();
        self.slot.record.enter(Phase::Idle, since);
    }
}

impl<M: Manager> Drop for Slot<M> {
    fn drop(&mut self) {
        if !self.accounted {
            self.inner.counters.closed(CloseReason::Abandoned);
        }
        let exchange = &self.inner.exchange;
        let ((), connects) = match (self.inner.forget(&self.record), self.announced) {
            (true, announced) => {
                self.inner.open.fetch_sub(1, Relaxed);
                exchange.with_capacity(|c| c.gone(announced))
            }
            // Its slot was reclaimed just when the exchange refused to take it back.
            (false, true) => exchange.with_capacity(Capacity::not_closing),
            (false, false) => return,
        };
        self.inner.begin_connects(connects);
        self.inner.tell_the_hopeless();
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Sample};

    #[test]
    fn what_ended_since_a_use_was_timed_counts_as_that_one() {
        let mut sample = Sample::default();
        assert!(sample.is_due(7, 64));
        sample.begin(100);
        assert!(sample.is_timed());
        assert_eq!(sample.end(150), (Duration::from_nanos(50), 1));
        assert!(!sample.is_due(7, 64) && !sample.is_due(7, 64));
        assert!(!sample.is_timed());
        assert_eq!(sample.rest(), (Duration::from_nanos(50), 2));
        assert_eq!(sample.rest().1, 0, "each counts once");
    }

    #[test]
    fn of_the_uses_of_one_tick_one_of_so_many_is_timed() {
        let timed = |every| {
            let mut sample = Sample::default();
            [(); 7].map(|()| {
                let is_due = sample.is_due(7, every);
                if is_due {
                    sample.begin(100);
                    sample.end(150);
                }
                is_due
            })
        };
        let (yes, no) = (true, false);
        assert_eq!(timed(1), [yes; 7]);
        assert_eq!(timed(3), [yes, no, no, yes, no, no, yes]);
    }
}
