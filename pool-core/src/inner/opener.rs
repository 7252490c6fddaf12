//! Opening connections, apart from those who want them.
//!
//! A connect is planned under the lock of the queue, which takes its slot ([`Permit`]), and runs
//! in a task of its own. Before it begins it asks again whether it is still wanted; when it is
//! through, its connection goes to whoever has waited longest. So a caller that gives up cancels
//! nothing others may use, and a slow connect delays nobody: whoever returns a connection
//! meanwhile serves the waiter first.
//!
//! While connects fail one task is left, which tries again at the pace of the backoff.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::bounded::{Failure, bounded, caught_now};
use super::capacity::Capacity;
use super::clock::Nanos;
use super::entry::{Entry, Slot};
use super::record::Record;
use crate::manager::Manager;
use crate::policy::backoff::Backoff;
use crate::policy::random::Random;
use crate::stats::count;

/// What the connects of one pool share.
#[derive(Debug)]
pub(crate) struct Connecting {
    state: Mutex<State>,
    /// Whether the last connect failed, for those who join the queue.
    failing: AtomicBool,
    /// Somebody waits now: the pause before the next attempt is to be shortened.
    demand: Notify,
}

#[derive(Debug)]
struct State {
    backoff: Backoff,
    random: Random,
    last_error: Option<Arc<str>>,
}

impl Connecting {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                backoff: Backoff::new(Random::new()),
                random: Random::new(),
                last_error: None,
            }),
            failing: AtomicBool::new(false),
            demand: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last connect failed, unless one has succeeded since.
    pub(crate) fn last_error(&self) -> Option<Arc<str>> {
        self.state().last_error.clone()
    }

    /// Somebody has begun to wait.
    pub(crate) fn on_demand(&self) {
        if self.failing.load(Relaxed) {
            self.demand.notify_one();
        }
    }
}

/// Whether a connect depends on somebody wanting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Begun only while waiters or the minimum call for it.
    Demand,
    /// Begun in any case: ahead of a demand that is foreseen.
    Ahead,
}

/// The slot of a connect that is planned or under way.
pub(crate) struct Permit<M: Manager> {
    inner: Arc<Inner<M>>,
    is_spent: bool,
}

impl<M: Manager> Permit<M> {
    /// Takes over a slot that the capacity has counted as opening.
    pub(crate) fn for_planned(inner: &Arc<Inner<M>>) -> Self {
        Self {
            inner: Arc::clone(inner),
            is_spent: false,
        }
    }

    /// Gives the slot back; others may be wanted instead.
    fn give_back(mut self) {
        self.is_spent = true;
        let ((), connects) = self.inner.exchange.with_capacity(Capacity::not_opened);
        self.inner.begin_connects(connects);
    }
}

impl<M: Manager> Drop for Permit<M> {
    fn drop(&mut self) {
        // The task was dropped with its runtime. Whoever waits finds another.
        if !self.is_spent {
            self.inner.exchange.abandon_connect();
        }
    }
}

/// A connection that is being opened, as statistics see it.
struct Opening<M: Manager> {
    inner: Arc<Inner<M>>,
    record: Option<Arc<Record>>,
}

impl<M: Manager> Drop for Opening<M> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.inner.forget(&record);
        }
    }
}

impl<M: Manager> Inner<M> {
    /// Begins connects whose slots are taken.
    pub(crate) fn begin_connects(self: &Arc<Self>, planned: usize) {
        for _ in 0..planned {
            self.begin_connect(Purpose::Demand);
        }
    }

    /// Begins one connect whose slot is taken.
    pub(crate) fn begin_connect(self: &Arc<Self>, purpose: Purpose) {
        self.host
            .spawn(Self::connect(Permit::for_planned(self), purpose));
    }

    async fn connect(mut permit: Permit<M>, mut purpose: Purpose) {
        let inner = Arc::clone(&permit.inner);
        loop {
            if !inner.may_connect(purpose).await {
                return permit.give_back();
            }
            let Err((unspent, failure)) = Self::open(permit).await else {
                return;
            };
            permit = unspent;
            inner.on_connect_failure(&failure);
            purpose = Purpose::Demand;
            if !inner.exchange.is_only_connect() {
                return permit.give_back();
            }
        }
    }

    /// Waits until the next connect may begin; false when it is no longer wanted.
    async fn may_connect(&self, purpose: Purpose) -> bool {
        loop {
            if !self.exchange.confirm_connect(purpose == Purpose::Ahead) {
                return false;
            }
            let somebody_waits = self.exchange.waiting().0 > 0;
            let at = self.connecting.state().backoff.next_at(somebody_waits);
            if at <= self.dial.clock.exact() {
                return true;
            }
            tokio::select! {
                () = sleep_until(self.dial.clock.instant(at)) => {}
                () = self.connecting.demand.notified() => {}
                () = self.shut_down() => return false,
            }
        }
    }

    /// Opens a connection and makes it available, or gives the permit back.
    async fn open(permit: Permit<M>) -> Result<(), (Permit<M>, Failure<M::Error>)> {
        match Self::open_entry(permit).await {
            Ok(entry) => {
                let inner = Arc::clone(&entry.slot.inner);
                Self::release(entry);
                inner.on_connect_success();
                Ok(())
            }
            Err(failed) => Err(failed),
        }
    }

    /// Opens a connection. Its slot still counts as opening: the caller makes it available and
    /// then reports [`on_connect_success`](Self::on_connect_success).
    async fn open_entry(
        mut permit: Permit<M>,
    ) -> Result<Box<Entry<M>>, (Permit<M>, Failure<M::Error>)> {
        let inner = Arc::clone(&permit.inner);
        let mut opening = Opening {
            inner: Arc::clone(&inner),
            record: Some(inner.register()),
        };
        let began = Instant::now();
        let connect = async { inner.manager.connect().await };
        let connected = tokio::select! {
            connected = bounded(inner.config.connect_timeout, connect) => connected,
            () = inner.shut_down() => Err(Failure::Closed),
        };
        let conn = match connected {
            Ok(conn) => conn,
            Err(failure) => return Err((permit, failure)),
        };
        let took = began.elapsed();
        let record = opening.record.take().expect("taken here only");
        let jitter = inner.connecting.state().random.unit();
        let now = inner.dial.clock.exact();
        record.open(now, inner.limits.expiry(now, jitter));
        permit.is_spent = true;
        let slot = Slot {
            inner: Arc::clone(&inner),
            record,
            announced: false,
            accounted: false,
        };
        let entry = Box::new(Entry::new(conn, slot));
        if let Some(Some(interrupter)) = caught_now(|| inner.manager.interrupter(&entry.conn)) {
            let _first = entry.slot.record.interrupter.set(interrupter);
        }
        inner.counters.connect.record(took);
        count(&inner.counters.connects);
        inner.open.fetch_add(1, Relaxed);
        tracing::debug!(pool = %inner.name, connection = entry.slot.record.id, ?took, "connection opened");
        Ok(entry)
    }

    /// A connection is open and available.
    fn on_connect_success(self: &Arc<Self>) {
        let recovered = {
            let mut state = self.connecting.state();
            let failures = state.backoff.failures();
            state.backoff.on_success();
            state.last_error = None;
            failures
        };
        self.connecting.failing.store(false, Relaxed);
        if recovered > 0 {
            tracing::info!(pool = %self.name, failures = recovered, "connects succeed again");
        }
        let ((), connects) = self.exchange.with_capacity(|c| {
            c.opened();
            c.failing = false;
        });
        self.begin_connects(connects);
        self.note_active();
        self.host.call.notify_one();
    }

    fn on_connect_failure(&self, failure: &Failure<M::Error>) {
        if matches!(failure, Failure::Closed) {
            return;
        }
        count(&self.counters.connect_failures);
        let now = self.dial.clock.exact();
        let (failures, retry_at) = {
            let mut state = self.connecting.state();
            state.backoff.on_failure(now);
            state.last_error = Some(failure.to_string().into());
            let waiting = self.exchange.waiting().0 > 0;
            (state.backoff.failures(), state.backoff.next_at(waiting))
        };
        self.connecting.failing.store(true, Relaxed);
        self.exchange.connects_fail();
        tracing::warn!(
            pool = %self.name,
            error = %failure,
            failures,
            retry_in = ?std::time::Duration::from_nanos(retry_at.saturating_sub(now)),
            "cannot connect"
        );
    }

    /// Opens and validates one connection for a caller that wants to know how it went.
    pub(crate) async fn open_validated(permit: Permit<M>) -> Result<(), OpenError<M>> {
        let inner = Arc::clone(&permit.inner);
        let entry = match Self::open_entry(permit).await {
            Ok(entry) => entry,
            Err((permit, failure)) => {
                inner.on_connect_failure(&failure);
                permit.give_back();
                return Err(OpenError::Connect(failure));
            }
        };
        match Self::tend(entry, super::care::Care::Validate).await {
            Ok(entry) => {
                Self::release(entry);
                inner.on_connect_success();
                Ok(())
            }
            Err(failure) => {
                let ((), connects) = inner.exchange.with_capacity(Capacity::opened);
                inner.begin_connects(connects);
                Err(OpenError::Validate(failure))
            }
        }
    }

    /// The slots a warm-up is to open, up to the minimum.
    pub(crate) fn plan_to_minimum(self: &Arc<Self>) -> Vec<Permit<M>> {
        let planned = self
            .exchange
            .take_capacity(|c| c.min.saturating_sub(c.live()));
        (0..planned).map(|_| Permit::for_planned(self)).collect()
    }

    fn register(&self) -> Arc<Record> {
        let now: Nanos = self.dial.clock.exact();
        self.registry().register(self.dial.generation(), now)
    }
}

/// Why a connection that a caller asked for could not be opened.
pub(crate) enum OpenError<M: Manager> {
    Connect(Failure<M::Error>),
    Validate(Failure<M::Error>),
}
