//! The checkout: the fast way when something is idle, and waiting when nothing is.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Stage};
use crate::guard::PooledConnection;
use crate::inner::Inner;
use crate::inner::bounded::{Failure, caught_now};
use crate::inner::care::{Care, Tending};
use crate::inner::clock::Nanos;
use crate::inner::entry::Entry;
use crate::inner::exchange::{Joined, Stay};
use crate::manager::{Condition, Manager};
use crate::stats::{CloseReason, count};

/// Where in the user's code a checkout was made.
pub(crate) type Site = &'static Location<'static>;

/// What a look at the idle set has given.
pub(crate) enum Look<M: Manager> {
    /// A connection, handed out.
    Ready(PooledConnection<M>),
    /// A connection that cannot be handed out as it is.
    Unready(Box<Entry<M>>, Fitness),
    /// Nothing is idle.
    Nothing,
}

/// Whether a connection may be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitness {
    Ready,
    Needs(Care),
    Unfit(CloseReason),
}

impl<M: Manager> Inner<M> {
    /// Takes what is idle; no lock, no clock, no allocation.
    #[inline]
    pub(crate) fn look(&self, site: Site) -> Look<M> {
        let Some(taken) = self.exchange.take() else { return Look::Nothing };
        let mut entry = taken.item;
        if taken.new_low {
            self.note_active();
        }
        let now = match self.dial.clock.coarse() {
            Some(now) => now,
            None => entry.slot.inner.wind_up(),
        };
        match self.fitness(&mut entry, now) {
            Fitness::Ready => Look::Ready(self.hand_out(entry, now, site)),
            other => Look::Unready(entry, other),
        }
    }

    #[inline]
    fn fitness(&self, entry: &mut Entry<M>, now: Nanos) -> Fitness {
        let record = &entry.slot.record;
        if let Some(reason) = self.limits.worn(record, self.dial.generation(), now) {
            return Fitness::Unfit(reason);
        }
        let unproved_for = now.saturating_sub(record.unproved_since());
        match caught_now(|| self.manager.condition(&mut entry.conn)) {
            Some(Condition::Ready) if unproved_for < self.limits.trusted_for => Fitness::Ready,
            Some(Condition::Ready) => Fitness::Needs(Care::Validate),
            Some(Condition::NeedsRecycle) => Fitness::Needs(Care::Recycle),
            Some(Condition::Broken) | None => Fitness::Unfit(CloseReason::Broken),
        }
    }

    #[inline]
    fn hand_out(&self, mut entry: Box<Entry<M>>, now: Nanos, site: Site) -> PooledConnection<M> {
        entry.slot.record.check_out(now, site);
        if entry.sample.is_due(now) {
            entry.sample.began = Some(self.dial.clock.exact());
        }
        PooledConnection::new(entry)
    }
}

/// The checkout of a caller who is ready to wait for `patience`.
pub(crate) async fn wait<M: Manager>(
    inner: &Arc<Inner<M>>,
    first: Look<M>,
    patience: Option<Duration>,
    site: Site,
) -> Result<PooledConnection<M>, Error<M::Error>> {
    inner.attend();
    let began = Instant::now();
    let mut stage = Stage::Wait;
    let served = {
        let serve = serve(inner, first, site, &mut stage);
        match patience.and_then(|patience| began.checked_add(patience)) {
            None => Ok(serve.await),
            Some(deadline) => tokio::time::timeout_at(deadline, serve).await,
        }
    };
    let waited = began.elapsed();
    match served {
        Ok(result) => {
            if result.is_ok() {
                inner.counters.wait.record(waited);
                inner.note_active();
            }
            result
        }
        Err(_) => Err(timed_out(inner, stage, waited)),
    }
}

#[cold]
fn timed_out<M: Manager>(inner: &Inner<M>, stage: Stage, waited: Duration) -> Error<M::Error> {
    count(&inner.counters.timed_out);
    let snapshot = inner.snapshot();
    let there_was_room = snapshot.total - snapshot.opening < snapshot.max_size;
    let stage = match stage {
        Stage::Wait if there_was_room => Stage::Connect,
        other => other,
    };
    tracing::debug!(pool = %inner.name, ?waited, %stage, %snapshot, "checkout timed out");
    Error::Timeout { stage, waited, snapshot }
}

async fn serve<M: Manager>(
    inner: &Arc<Inner<M>>,
    mut look: Look<M>,
    site: Site,
    stage: &mut Stage,
) -> Result<PooledConnection<M>, Error<M::Error>> {
    let mut failures = 0;
    let mut served_before = false;
    loop {
        let (entry, fitness) = match look {
            Look::Ready(conn) => return Ok(conn),
            Look::Unready(entry, fitness) => (entry, fitness),
            Look::Nothing => {
                let mut entry = stand_in_line(inner, served_before).await?;
                let fitness = match inner.fitness(&mut entry, inner.dial.clock.exact()) {
                    // Straight from its connect, it has proved itself even to `Always`.
                    Fitness::Needs(Care::Validate) if entry.slot.record.is_brand_new() => {
                        Fitness::Ready
                    }
                    other => other,
                };
                (entry, fitness)
            }
        };
        served_before = true;
        match fitness {
            Fitness::Ready => {
                let now = inner.dial.clock.coarse().unwrap_or_else(|| inner.wind_up());
                return Ok(inner.hand_out(entry, now, site));
            }
            Fitness::Unfit(reason) => Inner::close_entry(entry, reason),
            Fitness::Needs(care) => {
                *stage = care.stage();
                match Tending::new(entry, care).await {
                    Ok(entry) => {
                        let now = inner.dial.clock.exact();
                        return Ok(inner.hand_out(entry, now, site));
                    }
                    Err(failure) => {
                        failures += 1;
                        if failures > inner.exchange.limits().1 {
                            return Err(given_up(care, failure));
                        }
                    }
                }
                *stage = Stage::Wait;
            }
        }
        look = inner.look(site);
    }
}

/// What a checkout fails with when more connections were unfit than the pool can have.
fn given_up<E: std::error::Error + 'static>(care: Care, failure: Failure<E>) -> Error<E> {
    match (failure, care) {
        (Failure::Failed(error), Care::Validate) => Error::Validate(error),
        (Failure::Failed(error), Care::Recycle) => Error::Recycle(error),
        (Failure::Panicked, care) => Error::Panicked(care.stage()),
        (Failure::Closed, _) => Error::Closed,
        (Failure::TimedOut(limit), care) => Error::Unanswered { stage: care.stage(), limit },
    }
}

async fn stand_in_line<M: Manager>(
    inner: &Arc<Inner<M>>,
    at_front: bool,
) -> Result<Box<Entry<M>>, Error<M::Error>> {
    match inner.exchange.join(at_front, inner.config.max_waiting) {
        Joined::Served(entry) => Ok(entry),
        Joined::Closed => Err(Error::Closed),
        Joined::Full => {
            count(&inner.counters.refused);
            Err(Error::Overloaded { snapshot: inner.snapshot() })
        }
        Joined::Waiting { stay, connects } => {
            inner.begin_connects(connects);
            inner.connecting.on_demand();
            Waiting { inner, stay: Some(stay), was_polled: false }.await.ok_or(Error::Closed)
        }
    }
}

/// A stay in the queue; dropped, it passes on what was meant for it.
struct Waiting<'a, M: Manager> {
    inner: &'a Arc<Inner<M>>,
    stay: Option<Stay<Entry<M>>>,
    was_polled: bool,
}

impl<M: Manager> Future for Waiting<'_, M> {
    /// `None` when the pool was closed.
    type Output = Option<Box<Entry<M>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stay = self.stay.as_ref().expect("not polled again when ready");
        match stay.poll(cx) {
            Poll::Ready(served) => {
                // Whoever is served or dismissed is no longer in the queue.
                self.stay = None;
                Poll::Ready(served)
            }
            Poll::Pending => {
                if self.was_polled {
                    // Woken without being served: a task the pool relied on may be gone.
                    self.inner.attend();
                    self.inner.replenish();
                }
                self.was_polled = true;
                Poll::Pending
            }
        }
    }
}

impl<M: Manager> Drop for Waiting<'_, M> {
    fn drop(&mut self) {
        if let Some(stay) = self.stay.take() {
            if let Err(refused) = self.inner.exchange.leave(stay) {
                Inner::close_refused(refused);
            }
        }
    }
}

/// Answers a checkout without patience that found nothing idle.
#[cold]
pub(crate) fn nothing_now<M: Manager>(
    inner: &Arc<Inner<M>>,
) -> Result<PooledConnection<M>, Error<M::Error>> {
    if inner.is_shut_down() {
        return Err(Error::Closed);
    }
    inner.attend();
    inner.open_ahead();
    Err(timed_out(inner, Stage::Wait, Duration::ZERO))
}

/// A checkout that never waits.
pub(crate) fn at_once<M: Manager>(
    inner: &Arc<Inner<M>>,
    site: Site,
) -> Result<Option<PooledConnection<M>>, Error<M::Error>> {
    inner.attend();
    loop {
        match inner.look(site) {
            Look::Ready(conn) => return Ok(Some(conn)),
            Look::Unready(entry, Fitness::Needs(care)) => {
                // What answers at once is served; the rest goes on in the background.
                let _runtime = inner.host.handle();
                let mut tending = Tending::new(entry, care);
                let mut cx = Context::from_waker(std::task::Waker::noop());
                match Pin::new(&mut tending).poll(&mut cx) {
                    Poll::Ready(Ok(entry)) => {
                        let now = inner.dial.clock.exact();
                        return Ok(Some(inner.hand_out(entry, now, site)));
                    }
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => return Ok(None),
                }
            }
            Look::Unready(entry, Fitness::Unfit(reason)) => Inner::close_entry(entry, reason),
            Look::Unready(_, Fitness::Ready) => unreachable!("what is ready is handed out"),
            Look::Nothing if inner.is_shut_down() => return Err(Error::Closed),
            Look::Nothing => {
                inner.open_ahead();
                return Ok(None);
            }
        }
    }
}
