//! Opening connections, apart from those who want them.
//!
//! A connect is planned under the lock of the queue, which takes its slot ([`Permit`]), and runs
//! in a task of its own. Before it begins it asks again whether it is still wanted; when it is
//! through, its connection goes to whoever has waited longest. So a caller that gives up cancels
//! nothing others may use, and a slow connect delays nobody: whoever returns a connection
//! meanwhile serves the waiter first.
//!
//! While connects fail one task is left, which tries again at the pace of the backoff.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::bounded::{Failure, bounded, caught_now};
use super::clock::Nanos;
use super::entry::{Entry, Slot};
use super::exchange::Refusal;
use super::record::Record;
use crate::config::Validation;
use crate::manager::{Condition, Manager};
use crate::policy::breaker::Attempt;
use crate::stats::count;

/// Whether a connect depends on somebody wanting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Begun only while waiters or the minimum call for it.
    Demand,
    /// Begun in any case: ahead of a demand that is foreseen.
    Ahead,
}

/// The part of a connect in the capacity: a slot that counts as opening, until it is given back
/// or the connection is available.
pub(crate) struct Permit<M: Manager> {
    inner: Arc<Inner<M>>,
    holds: Holds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// A slot without a connection.
    Slot,
    /// Only the counting as opening: the slot is the connection's.
    Connection,
    Nothing,
}

impl<M: Manager> Permit<M> {
    /// Takes over a slot that the capacity has counted as opening.
    pub(crate) fn for_planned(inner: &Arc<Inner<M>>) -> Self {
        Self {
            inner: Arc::clone(inner),
            holds: Holds::Slot,
        }
    }

    /// Ends the connect: others may be wanted instead, or next.
    fn end(&mut self) {
        let held = std::mem::replace(&mut self.holds, Holds::Nothing);
        let ((), connects) = self.inner.exchange.with_capacity(|c| match held {
            Holds::Slot => c.not_opened(),
            Holds::Connection => c.opened(),
            Holds::Nothing => {}
        });
        self.inner.begin_connects(connects);
    }
}

impl<M: Manager> Drop for Permit<M> {
    fn drop(&mut self) {
        match self.holds {
            // The task was dropped with its runtime. Whoever waits finds another.
            Holds::Slot => self.inner.exchange.abandon_connect(),
            Holds::Connection => self.end(),
            Holds::Nothing => {}
        }
    }
}

/// A connection that is being opened, as statistics and the breaker see it.
struct Opening<M: Manager> {
    inner: Arc<Inner<M>>,
    attempt: Attempt,
    begun_at: Nanos,
    /// `None` once the connect has ended.
    record: Option<Arc<Record>>,
}

impl<M: Manager> Opening<M> {
    fn begin(inner: &Arc<Inner<M>>) -> Self {
        let now = inner.dial.clock.exact();
        let record = inner.registry().register(inner.dial.generation(), now);
        let attempt = inner.begin_attempt();
        Self {
            inner: Arc::clone(inner),
            attempt,
            begun_at: now,
            record: Some(record),
        }
    }

    fn succeeded(mut self) -> Arc<Record> {
        self.record.take().expect("taken when it ends")
    }

    fn failed(mut self, failure: &Failure<M::Error>) {
        if let Some(record) = self.record.take() {
            self.inner.forget(&record);
        }
        self.inner
            .note_failure(self.attempt, self.begun_at, failure);
    }
}

impl<M: Manager> Drop for Opening<M> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.inner.forget(&record);
            self.inner.abandon_attempt();
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
        while inner.may_connect(purpose).await {
            match Self::open(&mut permit, false).await {
                Ok(entry) => return Self::make_available(entry, permit),
                Err(Failure::Closed) => break,
                Err(_) => purpose = Purpose::Demand,
            }
        }
        permit.end();
    }

    /// Waits until the next connect may begin; false when it is no longer wanted.
    async fn may_connect(&self, purpose: Purpose) -> bool {
        loop {
            let now = self.dial.clock.exact();
            let was_asked = self.connecting.was_asked(now);
            if !self
                .exchange
                .confirm_connect(was_asked || purpose == Purpose::Ahead)
            {
                return false;
            }
            let somebody_waits = was_asked || self.exchange.waiting().0 > 0;
            let Some(at) = self.connecting.admit(somebody_waits, now) else {
                return false;
            };
            if at <= now {
                return true;
            }
            tokio::select! {
                () = sleep_until(self.dial.clock.instant(at)) => {}
                () = self.connecting.demand.notified() => {}
                () = self.shut_down() => return false,
            }
        }
    }

    /// Opens a connection in the slot of `permit`, which goes on counting it as opening. It is
    /// validated if that is asked for, or if a connect proves nothing; its life begins after that.
    async fn open(
        permit: &mut Permit<M>,
        is_validated: bool,
    ) -> Result<Box<Entry<M>>, Failure<M::Error>> {
        let inner = Arc::clone(&permit.inner);
        let opening = Opening::begin(&inner);
        let began = Instant::now();
        let limit = inner.connect_limit(opening.begun_at);
        let connect = async {
            let connect = async { inner.manager.connect().await };
            let conn = inner.unbroken(bounded(limit, connect).await?)?;
            let took = began.elapsed();
            if is_validated || inner.distrusts_connects() {
                return Ok((inner.validated(conn).await?, took));
            }
            Ok((conn, took))
        };
        let connected = tokio::select! {
            connected = connect => connected,
            () = inner.shut_down() => Err(Failure::Closed),
        };
        let (conn, took) = match connected {
            Ok(connected) => connected,
            Err(failure) => {
                opening.failed(&failure);
                return Err(failure);
            }
        };
        let record = opening.succeeded();
        let now = inner.dial.clock.exact();
        record.open(now, inner.limits.expiry(now, inner.connecting.jitter()));
        permit.holds = Holds::Connection;
        let slot = Slot {
            inner: Arc::clone(&inner),
            record,
            announced: false,
            accounted: false,
        };
        inner.open.fetch_add(1, Relaxed);
        let entry = Box::new(Entry::new(conn, slot));
        if let Some(Some(interrupter)) = caught_now(|| inner.manager.interrupter(&entry.conn)) {
            entry.slot.record.set_interrupter(interrupter);
        }
        inner.counters.connect.record(took);
        inner.pace.note_connect(took);
        inner.connecting.note_time(took);
        count(&inner.counters.connects);
        let connection = entry.slot.record.id;
        tracing::debug!(pool = %inner.name, connection, ?took, "connection opened");
        Ok(entry)
    }

    /// A new connection, unless it is known to be broken already: then its connect has failed. Were
    /// it a success like others, nothing would pace those that follow.
    fn unbroken(&self, mut conn: M::Connection) -> Result<M::Connection, Failure<M::Error>> {
        match self.condition(&mut conn) {
            Condition::Ready | Condition::NeedsRecycle => Ok(conn),
            Condition::Broken => {
                let _its_end = caught_now(|| drop(conn));
                Err(Failure::Broken)
            }
        }
    }

    fn distrusts_connects(&self) -> bool {
        self.config.validation != Validation::Never && self.trust.is_lost()
    }

    /// A new connection, if it passes its validation: if not, its connect has failed.
    async fn validated(&self, mut conn: M::Connection) -> Result<M::Connection, Failure<M::Error>> {
        match self.validate(&mut conn).await {
            Ok(()) => Ok(conn),
            Err(failure) => {
                let _its_end = caught_now(|| drop(conn));
                Err(Failure::Rejected(Box::new(failure)))
            }
        }
    }

    /// How long a connect that begins now may take.
    fn connect_limit(&self, now: Nanos) -> Option<Duration> {
        let limits = [self.config.connect_timeout, self.connecting.patience(now)];
        limits.into_iter().flatten().min()
    }

    /// Makes a new connection available, and only then lets others be planned: its waiter is not
    /// to be counted twice.
    fn make_available(entry: Box<Entry<M>>, mut permit: Permit<M>) {
        let inner = Arc::clone(&entry.slot.inner);
        let is_judged_by_its_user = inner.connecting.is_doubted() && inner.exchange.waiting().0 > 0;
        Self::release(entry);
        if !is_judged_by_its_user {
            inner.note_success();
        }
        permit.end();
        inner.note_active();
        inner.host.call.notify_one();
    }

    /// Opens and validates one connection for a caller that wants to know how it went.
    pub(crate) async fn open_validated(mut permit: Permit<M>) -> Result<(), Failure<M::Error>> {
        match Self::open(&mut permit, true).await {
            Ok(entry) => {
                Self::make_available(entry, permit);
                Ok(())
            }
            Err(failure) => {
                permit.end();
                Err(failure)
            }
        }
    }

    /// The slots a warm-up is to open next, up to `wanted` connections in all.
    pub(crate) fn plan_up_to(self: &Arc<Self>, wanted: usize) -> Vec<Permit<M>> {
        let planned = self
            .exchange
            .take_capacity(|c| wanted.saturating_sub(c.live()));
        (0..planned).map(|_| Permit::for_planned(self)).collect()
    }

    /// Changes the minimum; what is missing to it is opened.
    pub(crate) fn set_minimum(self: &Arc<Self>, min: usize) {
        let (surplus, connects) = self.exchange.resize(|c| c.min = min);
        for entry in surplus {
            Self::close_refused((entry, Refusal::Surplus));
        }
        self.begin_connects(connects);
    }
}
