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
    /// When the present use began, if it is timed; 0 if not.
    began: Nanos,
    /// The low half of the last tick at which a use was timed.
    tick: u32,
    untimed: u32,
}

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
        self.began = now.max(1);
    }

    /// When the present use began, if it was timed; only once.
    #[inline]
    pub(crate) fn end(&mut self) -> Option<Nanos> {
        match std::mem::take(&mut self.began) {
            0 => None,
            began => Some(began),
        }
    }

    /// How many uses the one stands for that was timed.
    pub(crate) fn weight(&mut self) -> u64 {
        u64::from(std::mem::take(&mut self.untimed))
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
