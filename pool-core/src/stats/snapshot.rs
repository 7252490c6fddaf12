//! The state of a pool at one moment.

use std::backtrace::Backtrace;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{ClosedBy, LatencySummary};
use crate::inner::clock::Nanos;
use crate::policy::breaker::BreakerState;

/// What a pool has done and how it stands, read at one moment.
///
/// `total = idle + active + opening` in every snapshot. Durations of `wait` and `connect` are
/// exact; of `usage` the first use of a connection in each tick of the pool's clock (1 to 100 ms)
/// and every 64th is timed and stands for the others: for those before it, and when the connection
/// is closed or detached for those after it.
///
/// Reading takes no lock of the queue or of the idle connections: neither a checkout that finds a
/// fit connection nor one that waits is held up, but for a moment where a task's own connections
/// are looked for (`nested_acquire`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Stats {
    /// For how long there has been this pool.
    #[cfg_attr(feature = "serde", serde(with = "super::summary::seconds"))]
    pub age: Duration,
    /// How long ago a connection was last validated, pinged ones included; `None` while none has been.
    #[cfg_attr(
        feature = "serde",
        serde(default, with = "super::summary::seconds_if_any")
    )]
    pub last_validation: Option<Duration>,
    /// Connections there are, those being opened included.
    pub total: usize,
    /// Of these, those that wait in the pool.
    pub idle: usize,
    /// Of these, those that are held, or that the pool validates, recycles or closes.
    pub active: usize,
    /// Of these, those being opened.
    pub opening: usize,
    /// Checkouts that wait now.
    pub waiting: usize,
    /// For how long the one has waited that has waited longest.
    #[cfg_attr(feature = "serde", serde(with = "super::summary::seconds"))]
    pub oldest_waiter: Duration,
    /// The least the pool keeps.
    pub min_size: usize,
    /// The most it may have.
    pub max_size: usize,
    /// Checkouts served.
    pub acquired: u64,
    /// Connections given back, detached or lost by their holders.
    pub released: u64,
    /// Checkouts that failed because their time was up.
    pub timed_out: u64,
    /// Checkouts whose callers went away while they waited: their futures were dropped, by a time limit
    /// around them, say.
    #[cfg_attr(feature = "serde", serde(default))]
    pub cancelled: u64,
    /// Checkouts refused at once because `max_waiting` others waited.
    pub refused: u64,
    /// Checkouts shed from a queue that did not drain.
    pub shed: u64,
    /// Checkouts that waited for longer than `slow_acquire_threshold`, served or not.
    pub slow: u64,
    /// Whether the queue does not drain: see [`Shedding`](crate::Shedding).
    pub overloaded: bool,
    /// How often `auto_scaling` raised the number of connections kept open.
    pub scaled_up: u64,
    /// How often it lowered it.
    pub scaled_down: u64,
    /// Connections opened.
    pub connects: u64,
    /// Attempts to open one that failed, those included whose connection was broken when the waiter it
    /// went to was to use it.
    pub connect_failures: u64,
    /// Of these, those that took longer than they may.
    #[cfg_attr(feature = "serde", serde(default))]
    pub connect_timeouts: u64,
    /// Validations that took longer than `validate_timeout`, pings included.
    #[cfg_attr(feature = "serde", serde(default))]
    pub validate_timeouts: u64,
    /// Recycles that took longer than `recycle_timeout`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub recycle_timeouts: u64,
    /// Checkouts told at once that connects fail.
    pub rejected: u64,
    /// What the circuit breaker is doing.
    pub breaker: BreakerState,
    /// How often it has opened; a probe that fails does not open it anew.
    pub breaker_opened: u64,
    /// How often it has changed, to half-open for a probe and back included.
    pub breaker_changes: u64,
    /// Connections closed.
    pub closed: u64,
    /// Connections closed, by reason.
    pub closed_by: ClosedBy,
    /// Connections taken out of the pool by their holders.
    pub detached: u64,
    /// Connections held for longer than `leak_threshold`, each holder counted once.
    pub leaked: u64,
    /// Connections whose slots were taken back after `reclaim_threshold`.
    pub reclaimed: u64,
    /// The most that were active at the same time: looked at whenever somebody begins to wait, a
    /// connection is opened, or the pool has been at rest, and else at each tick of its clock.
    pub peak_active: usize,
    /// The most that waited at the same time.
    pub peak_waiting: usize,
    /// How often all connections were to be replaced: by `retire_all`, because one was of no use any more, or
    /// because the runtime they were opened on is gone.
    pub generation: u64,
    /// How long checkouts took; those served at once count as no time.
    pub wait: LatencySummary,
    /// How long opening a connection took.
    pub connect: LatencySummary,
    /// How long connections were held.
    pub usage: LatencySummary,
    /// How long validating took, pings included.
    pub validate: LatencySummary,
    /// How long recycling took.
    pub recycle: LatencySummary,
}

impl Stats {
    /// The share of the maximum that is active, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    pub fn utilisation(&self) -> f64 {
        self.active as f64 / self.max_size.max(1) as f64
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            total,
            max_size,
            idle,
            active,
            opening,
            waiting,
            ..
        } = self;
        write!(
            f,
            "{total} of {max_size} connections ({active} active, {idle} idle, {opening} opening), \
             {waiting} waiting"
        )
    }
}

/// What a pool looked like when a checkout ran out of time; in full, as its error message tells
/// it in one line.
///
/// Taken at most every 10 ms, however many checkouts fail.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// The pool's name.
    pub name: Arc<str>,
    /// Its figures; `Snapshot` dereferences to them.
    pub stats: Stats,
    /// Why the last connect failed, unless one has succeeded since.
    pub last_connect_error: Option<Arc<str>>,
    /// Who has held a connection longest.
    pub longest_holder: Option<Holder>,
    /// Whether the pool was paused.
    pub is_paused: bool,
}

impl Deref for Snapshot {
    type Target = Stats;

    fn deref(&self) -> &Stats {
        &self.stats
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stats)?;
        if self.is_paused {
            f.write_str("; paused")?;
        }
        if self.breaker == BreakerState::ForcedOpen
            && self.opening == 0
            && self.total < self.max_size
        {
            // Nothing else says why none is opened, though there is room.
            write!(f, "; breaker {}", self.breaker)?;
        }
        if let Some(error) = &self.last_connect_error {
            write!(f, "; last connect failed: {error}")?;
        }
        if let Some(holder) = &self.longest_holder {
            write!(f, "; longest holder: {holder}")?;
        }
        Ok(())
    }
}

/// Who holds a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Holder {
    /// The connection's number within its pool.
    pub connection: u64,
    /// Where in the code it was checked out.
    pub site: &'static Location<'static>,
    /// For how long it has been held.
    pub held_for: Duration,
    /// The `tracing` span it was checked out in, if the use is one of those that are timed (the
    /// first of a connection in each tick, and every 64th).
    pub span: Option<u64>,
    /// The calls that led to the checkout, of the share `leak_backtraces` of all.
    pub backtrace: Option<Arc<Backtrace>>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {:.1?}", self.site, self.held_for)
    }
}

/// The last snapshot, shared by the checkouts that fail at about the same time.
#[derive(Debug, Default)]
pub(crate) struct SnapshotCache(Mutex<Option<(Nanos, Arc<Snapshot>)>>);

impl SnapshotCache {
    const FRESH_FOR: Nanos = 10_000_000;

    /// The last snapshot if it is fresh at `now`, or the one that `take` takes.
    pub(crate) fn get(&self, now: Nanos, take: impl FnOnce() -> Snapshot) -> Arc<Snapshot> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some((at, snapshot)) if now.saturating_sub(*at) < Self::FRESH_FOR => {
                Arc::clone(snapshot)
            }
            _ => Arc::clone(&cached.insert((now, Arc::new(take()))).1),
        }
    }
}
