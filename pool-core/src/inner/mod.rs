//! What all handles, guards and tasks of one pool share.
//!
//! ```text
//!   opener   care   closer   keeper      tasks and what they do to a connection
//!        \     |      |      /
//!              entry                     a connection and its slot
//!                |
//!             exchange                   the seam between idle and waiting
//!            /    |    \
//!        idle  waiters  capacity         its three parts
//!            \    |
//!             berth                      one atomic place
//! ```

pub(crate) mod berth;
pub(crate) mod bounded;
pub(crate) mod capacity;
pub(crate) mod care;
pub(crate) mod clock;
pub(crate) mod closer;
pub(crate) mod connecting;
pub(crate) mod entry;
pub(crate) mod exchange;
pub(crate) mod host;
pub(crate) mod idle;
pub(crate) mod leak;
mod minder;
#[cfg(all(test, pool_loom))]
mod model;
pub(crate) mod opener;
pub(crate) mod overload;
pub(crate) mod pace;
pub(crate) mod record;
mod recycling;
pub(crate) mod registry;
pub(crate) mod scaling;
pub(crate) mod slow;
pub(crate) mod sync;
pub(crate) mod trace;
pub(crate) mod trust;
pub(crate) mod waiters;
mod watching;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use tokio::sync::{Notify, watch};

use self::capacity::Capacity;
use self::clock::{Clock, Nanos};
use self::connecting::Connecting;
use self::entry::Entry;
use self::exchange::Exchange;
use self::host::Host;
use self::idle::Shards;
use self::opener::Purpose;
use self::pace::Pace;
use self::record::{Phase, Record};
use self::recycling::Recycling;
use self::registry::Registry;
use self::slow::Reports;
use self::trace::Traces;
use self::trust::Trust;
use crate::config::PoolConfig;
use crate::health::{self, Health};
use crate::manager::Manager;
use crate::policy::upkeep::Limits;
use crate::stats::{Counters, History, Holder, Snapshot, SnapshotCache, Stats};

/// What one pool consists of.
pub(crate) struct Inner<M: Manager> {
    pub(crate) manager: M,
    pub(crate) config: PoolConfig,
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) dial: CachePadded<Dial>,
    pub(crate) exchange: Exchange<Entry<M>>,
    registry: CachePadded<Mutex<Registry>>,
    pub(crate) counters: CachePadded<Counters>,
    /// Connections that are open.
    pub(crate) open: AtomicUsize,
    pub(crate) connecting: Connecting,
    pub(crate) trust: Trust,
    recycling: Recycling,
    pub(crate) pace: Pace,
    pub(crate) host: Host,
    snapshot: SnapshotCache,
    history: Mutex<History>,
    slow_reports: Reports,
    pub(crate) traces: Traces,
    /// Whether the queue stands.
    pub(crate) is_overloaded: AtomicBool,
    /// True once the pool is closed; tasks watch it.
    shut_down: watch::Sender<bool>,
    /// Told of each connection that is gone after that.
    pub(crate) gone: Notify,
}

/// What every checkout reads and hardly anybody writes.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) clock: Clock,
    generation: AtomicU32,
}

impl Dial {
    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    pub(crate) fn next_generation(&self) -> u32 {
        self.generation.fetch_add(1, Relaxed) + 1
    }

    /// Raises the generation unless it has been raised since; says whether it has.
    pub(crate) fn raise_generation_from(&self, seen: u32) -> bool {
        self.generation
            .compare_exchange(seen, seen + 1, Relaxed, Relaxed)
            .is_ok()
    }
}

impl<M: Manager> Inner<M> {
    pub(crate) fn new(manager: M, config: PoolConfig) -> Arc<Self> {
        let name = match &config.name {
            Some(name) => name.as_str().into(),
            None => manager.name().into(),
        };
        let parallelism = std::thread::available_parallelism().map_or(1, usize::from);
        let capacity = Capacity::new(config.min_size, config.max_size, config.max_connecting);
        let shards = Shards::new(config.reuse, parallelism, config.max_size);
        Arc::new(Self {
            manager,
            limits: Limits::new(&config),
            name,
            dial: CachePadded::new(Dial {
                clock: Clock::new(),
                generation: AtomicU32::new(0),
            }),
            exchange: Exchange::new(shards, capacity),
            registry: CachePadded::default(),
            counters: CachePadded::new(Counters::new(parallelism)),
            open: AtomicUsize::new(0),
            connecting: Connecting::new(&config),
            trust: Trust::default(),
            recycling: Recycling::default(),
            pace: Pace::new(),
            host: Host::default(),
            snapshot: SnapshotCache::default(),
            history: Mutex::default(),
            slow_reports: Reports::default(),
            traces: Traces::new(),
            is_overloaded: AtomicBool::new(false),
            shut_down: watch::Sender::new(false),
            gone: Notify::new(),
            config,
        })
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection no longer exists; false when its slot had been taken back before.
    pub(crate) fn forget(&self, record: &Record) -> bool {
        let was_counted = self.registry().remove(record);
        self.traces.forget(record);
        if self.is_shut_down() {
            self.gone.notify_waiters();
        }
        was_counted
    }

    /// Ready when the pool is closed.
    pub(crate) async fn shut_down(&self) {
        // The sender is ours, so it cannot be gone.
        let mut closed = self.shut_down.subscribe();
        let _closed = closed.wait_for(|closed| *closed).await;
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.exchange.is_closed()
    }

    /// Fails those who wait, closes what is idle, ends the tasks. Again, it does nothing.
    pub(crate) fn begin_shutdown(&self) {
        let Some(drained) = self.exchange.close() else {
            return;
        };
        self.shut_down.send_replace(true);
        // Of those that were gone before that nobody was told.
        self.gone.notify_waiters();
        tracing::info!(pool = %self.name, idle = drained.len(), "pool closed");
        for entry in drained {
            Self::close_refused((entry, exchange::Refusal::Closed));
        }
    }

    /// Opens what waiters and the minimum call for.
    pub(crate) fn replenish(self: &Arc<Self>) {
        let ((), connects) = self.exchange.with_capacity(|_| ());
        self.begin_connects(connects);
    }

    /// Opens one connection for whoever comes next, if there is room and none is coming.
    pub(crate) fn open_ahead(self: &Arc<Self>) {
        if self
            .exchange
            .take_capacity(|c| usize::from(c.opening() == 0))
            > 0
        {
            self.begin_connect(Purpose::Ahead);
        }
    }

    /// Keeps the peak of active connections true: called where it may have risen.
    #[cold]
    pub(crate) fn note_active(&self) {
        if self.exchange.is_paused() {
            // What is kept is idle, and nobody is served.
            return;
        }
        let open = self.open.load(Relaxed);
        self.counters
            .saw_active(open.saturating_sub(self.exchange.shards.count()));
    }

    pub(crate) fn stats(&self) -> Stats {
        let (census, generation) = {
            let mut registry = self.registry();
            (registry.census(), self.dial.generation())
        };
        let now = self.dial.clock.exact();
        let (waiting, peak_waiting) = self.exchange.waiting();
        let oldest_since = self.exchange.oldest_since();
        let oldest_waiter = oldest_since.map_or(Duration::ZERO, |since| between(since, now));
        let validated_at = self.counters.validated_at.load(Relaxed);
        // While somebody waits nothing is idle: what looks so is on its way to a waiter.
        let (idle, on_the_way) = if waiting > 0 && !self.exchange.is_paused() {
            (0, census.idle)
        } else {
            (census.idle, 0)
        };
        let active = census.held + census.busy + on_the_way;
        let (min_size, max_size) = self.exchange.limits();
        let counters = &self.counters;
        counters.saw_active(active);
        let closed_by = counters.closed_by();
        Stats {
            age: Duration::from_nanos(now),
            last_validation: (validated_at > 0).then(|| between(validated_at, now)),
            total: idle + active + census.opening,
            idle,
            active,
            opening: census.opening,
            waiting,
            oldest_waiter,
            min_size,
            max_size,
            acquired: census.uses,
            released: census.released,
            timed_out: counters.timed_out.load(Relaxed),
            cancelled: counters.cancelled.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            shed: counters.shed.load(Relaxed),
            slow: counters.slow.load(Relaxed),
            scaled_up: counters.scaled_up.load(Relaxed),
            scaled_down: counters.scaled_down.load(Relaxed),
            overloaded: self.is_overloaded.load(Relaxed),
            rejected: counters.rejected.load(Relaxed),
            breaker: self.connecting.breaker_state(),
            breaker_opened: counters.breaker_opened.load(Relaxed),
            breaker_changes: counters.breaker_changes.load(Relaxed),
            connects: counters.connects.load(Relaxed),
            connect_failures: counters.connect_failures.load(Relaxed),
            connect_timeouts: counters.connect_timeouts.load(Relaxed),
            validate_timeouts: counters.validate_timeouts.load(Relaxed),
            recycle_timeouts: counters.recycle_timeouts.load(Relaxed),
            closed: closed_by.iter().map(|(_, count)| count).sum(),
            closed_by,
            detached: counters.detached.load(Relaxed),
            leaked: counters.leaked.load(Relaxed),
            reclaimed: counters.reclaimed.load(Relaxed),
            peak_active: counters.peak_active(),
            peak_waiting,
            generation: generation.into(),
            wait: counters.wait.summary_of(census.uses),
            connect: counters.connect.summary(),
            usage: counters.usage.summary(),
            validate: counters.validate.summary(),
            recycle: counters.recycle.summary(),
        }
    }

    /// Who holds a connection now, the longest first.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        self.holders_among(self.registry().records(), self.dial.clock.exact())
    }

    /// Who does, those included whose slots were reclaimed.
    pub(crate) fn last_holders(&self) -> Vec<Holder> {
        self.holders_among(self.registry().all(), self.dial.clock.exact())
    }

    /// Who holds a connection past `leak_threshold`, and longer than was said of it.
    fn overdue(&self) -> Vec<Holder> {
        let now = self.dial.clock.exact();
        let registry = self.registry();
        let is_overdue =
            |record: &&Arc<Record>| self.limits.leaked_at(record, record.phase().1) <= now;
        self.holders_among(registry.records().iter().filter(is_overdue), now)
    }

    fn holders_among<'a>(
        &self,
        records: impl IntoIterator<Item = &'a Arc<Record>>,
        now: Nanos,
    ) -> Vec<Holder> {
        let mut holders: Vec<_> = records
            .into_iter()
            .filter_map(|record| self.holder(record, now))
            .collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held_for));
        holders
    }

    /// Who holds that connection, if anybody does.
    pub(crate) fn holder(&self, record: &Record, now: Nanos) -> Option<Holder> {
        let (phase, since) = record.phase();
        let site = record.site().filter(|_| phase == Phase::Held)?;
        let trace = self.traces.of(record);
        let (span, backtrace) = trace.map_or((None, None), |trace| (trace.span, trace.backtrace));
        Some(Holder {
            connection: record.id,
            site,
            held_for: between(since, now),
            span,
            backtrace,
        })
    }

    pub(crate) fn health(&self) -> Health {
        let now = self.dial.clock.exact();
        let (stats, connecting) = (self.stats(), &self.connecting);
        // A pool that makes do with what it has does well as long as nobody waits for more.
        let is_short = stats.waiting > 0 && connecting.last_error().is_some();
        health::judge(health::Signs {
            stats,
            is_closed: self.is_shut_down(),
            paused: self.exchange.paused(),
            breaker: connecting.breaker_state(),
            is_failing: is_short || connecting.is_failing(),
            last_connect_error: connecting.last_failure(now),
            recycle_error: self.recycling.failure(now),
            slow_after: self.config.slow_acquire_threshold,
            overdue: self.overdue(),
        })
    }

    /// The state of the pool for an error message.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.get(self.dial.clock.exact(), || Snapshot {
            name: Arc::clone(&self.name),
            stats: self.stats(),
            last_connect_error: self.connecting.last_error(),
            longest_holder: self.holders().into_iter().next(),
            is_paused: self.exchange.is_paused(),
        })
    }
}

/// The time from one moment to another, none if they are the other way round.
pub(crate) fn between(from: Nanos, to: Nanos) -> Duration {
    Duration::from_nanos(to.saturating_sub(from))
}
