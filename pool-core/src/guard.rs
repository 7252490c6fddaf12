//! The guard of a held connection, and the way of the connection back.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::inner::care::Care;
use crate::inner::clock::{Nanos, nanos};
use crate::inner::entry::Entry;
use crate::inner::exchange::Exchange;
use crate::inner::record::Phase;
use crate::inner::{Inner, between};
use crate::manager::{Condition, Manager};
use crate::metadata::Metadata;
use crate::stats::{CloseReason, count};

/// A use this long is counted with the coarse time, whether it was to be timed or not.
const LONG: Nanos = 500_000_000;

/// A connection checked out of a pool; dropping it gives it back.
///
/// It dereferences to the manager's connection. It is `'static` and may be dropped anywhere: on
/// another thread, outside a runtime, while a panic unwinds, after the pool was closed. A
/// connection whose holder panicked is validated before anybody else gets it, or recycled where it
/// needs that.
///
/// The methods are associated functions, so that none shadows one of the connection.
#[must_use = "dropped at once, it is returned at once"]
pub struct PooledConnection<M: Manager> {
    /// `None` only while it is being taken apart.
    entry: Option<Box<Entry<M>>>,
}

impl<M: Manager> PooledConnection<M> {
    #[inline]
    pub(crate) fn new(entry: Box<Entry<M>>) -> Self {
        Self { entry: Some(entry) }
    }

    #[inline]
    fn entry(&self) -> &Entry<M> {
        self.entry
            .as_ref()
            .expect("there until the guard is given up")
    }

    #[expect(clippy::unnecessary_box_returns, reason = "it is a box everywhere")]
    fn into_entry(self) -> Box<Entry<M>> {
        let mut this = ManuallyDrop::new(self);
        this.entry
            .take()
            .expect("there until the guard is given up")
    }

    /// Takes the connection out of the pool for good; its slot is free at once.
    #[doc(alias("take", "hijack", "into_inner", "leak"))]
    pub fn detach(this: Self) -> M::Connection {
        let mut entry = this.into_entry();
        let now = entry.slot.inner.dial.clock.exact_anywhere();
        end_use(&mut entry, now);
        entry.count_untimed();
        let Entry { conn, mut slot, .. } = *entry;
        slot.accounted = true;
        count(&slot.inner.counters.detached);
        conn
    }

    /// Gives the connection up as unusable: it is closed, and its slot used for a new one.
    #[doc(alias("discard", "evict", "poison"))]
    pub fn invalidate(this: Self) {
        let mut entry = this.into_entry();
        let now = entry.slot.inner.dial.clock.exact_anywhere();
        come_back(&mut entry, now);
        Inner::close_entry(entry, CloseReason::Invalidated);
    }

    /// Says that this use takes for up to `time` from now, so that it is not taken for a leak
    /// before: neither reported nor reclaimed, and no reason for a degraded health.
    pub fn expect_to_hold_for(this: &Self, time: Duration) {
        let slot = &this.entry().slot;
        let now = slot.inner.dial.clock.exact();
        slot.record.allow_until(now.saturating_add(nanos(time)));
    }

    /// What the pool knows of the connection.
    pub fn metadata(this: &Self) -> Metadata {
        Metadata::of(this.entry(), &this.entry().slot.inner)
    }
}

impl<M: Manager> Deref for PooledConnection<M> {
    type Target = M::Connection;

    #[inline]
    fn deref(&self) -> &M::Connection {
        &self.entry().conn
    }
}

impl<M: Manager> DerefMut for PooledConnection<M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut M::Connection {
        &mut self
            .entry
            .as_mut()
            .expect("there until the guard is given up")
            .conn
    }
}

impl<M: Manager> AsRef<M::Connection> for PooledConnection<M> {
    fn as_ref(&self) -> &M::Connection {
        self
    }
}

impl<M: Manager> AsMut<M::Connection> for PooledConnection<M> {
    fn as_mut(&mut self) -> &mut M::Connection {
        self
    }
}

impl<M: Manager<Connection: fmt::Debug>> fmt::Debug for PooledConnection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<M: Manager> Drop for PooledConnection<M> {
    #[inline]
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            give_back(entry);
        }
    }
}

/// A use ends: counts how long it took, if it is one of those that are timed or was long.
#[inline]
fn end_use<M: Manager>(entry: &mut Entry<M>, now: Nanos) -> Option<Duration> {
    let inner = &*entry.slot.inner;
    let since = entry.slot.record.phase().1;
    let held = if entry.sample.is_timed() {
        let (held, times) = entry.sample.end(inner.dial.clock.exact_anywhere());
        inner.counters.usage.record_n(held, times);
        held
    } else if now.saturating_sub(since) >= LONG {
        let held = between(since, now);
        inner.counters.usage.record(held);
        entry.sample.count_alone();
        held
    } else {
        return None;
    };
    inner.pace.note_use(held);
    Some(held)
}

/// A use ends, and the connection is the pool's again.
#[inline]
fn come_back<M: Manager>(entry: &mut Entry<M>, now: Nanos) {
    if let Some(held) = end_use(entry, now) {
        entry.slot.inner.note_return(&entry.slot.record, held);
    }
}

#[inline]
fn give_back<M: Manager>(mut entry: Box<Entry<M>>) {
    let clock = &entry.slot.inner.dial.clock;
    let now = match clock.coarse() {
        Some(now) => now,
        None => clock.exact_anywhere(),
    };
    come_back(&mut entry, now);
    let inner = &*entry.slot.inner;
    let is_unwinding = std::thread::panicking();
    let condition = if is_unwinding {
        // Code of others that panics now would end the process: it is asked later.
        Condition::Ready
    } else {
        inner.condition(&mut entry.conn)
    };
    // Last, for it says too whether the slot is about to be taken back.
    let worn = inner
        .limits
        .worn(&entry.slot.record, inner.dial.generation(), now);
    match (condition, worn) {
        (Condition::Ready, None) if is_unwinding => Inner::tend_after_panic(entry),
        (Condition::Ready, None) => {
            entry.slot.record.enter(Phase::Idle, now);
            if let Err(refused) = Exchange::release(entry) {
                Inner::close_refused(refused);
            }
        }
        (Condition::Broken, _) => Inner::close_entry(entry, CloseReason::Broken),
        (_, Some(reason)) => Inner::close_entry(entry, reason),
        (Condition::NeedsRecycle, None) => Inner::tend_and_release(entry, Care::Recycle),
    }
}
