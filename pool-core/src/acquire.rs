//! The checkout: the fast way when something is idle, and waiting when nothing is.

use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::{Error, Stage};
use crate::guard::PooledConnection;
use crate::inner::bounded::{Failure, caught_now};
use crate::inner::care::{Care, Tended, Tending};
use crate::inner::clock::{Nanos, nanos};
use crate::inner::entry::Entry;
use crate::inner::exchange::{Arrival, Joined};
use crate::inner::sync::thread_number;
use crate::inner::waiters::Turn;
use crate::inner::{Inner, between};
use crate::manager::{Condition, Manager};
use crate::stats::{CloseReason, count};
use crate::waiting::{Due, Waited, Waiting};

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
        let Some(taken) = self.exchange.take() else {
            return Look::Nothing;
        };
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

    /// Whether a connection that has just been validated or recycled may be handed out: it may
    /// have broken meanwhile.
    fn fitness_after(&self, care: Care, entry: &mut Entry<M>) -> Fitness {
        match caught_now(|| self.manager.condition(&mut entry.conn)) {
            Some(Condition::NeedsRecycle) if care == Care::Validate => {
                Fitness::Needs(Care::Recycle)
            }
            Some(Condition::Ready | Condition::NeedsRecycle) => Fitness::Ready,
            Some(Condition::Broken) | None => Fitness::Unfit(CloseReason::Broken),
        }
    }

    #[inline]
    fn hand_out(&self, mut entry: Box<Entry<M>>, now: Nanos, site: Site) -> PooledConnection<M> {
        entry.slot.record.check_out(now, site);
        if entry.sample.is_due(now, self.limits.sampled_every) {
            entry.sample.begin(self.dial.clock.exact());
            self.traces
                .keep(&entry.slot.record, self.config.leak_backtraces);
        }
        PooledConnection::new(entry)
    }
}

/// The checkout of a caller who is ready to wait for `patience`.
pub(crate) fn wait<M: Manager>(
    inner: &Arc<Inner<M>>,
    first: Look<M>,
    patience: Option<Duration>,
    site: Site,
) -> impl Future<Output = Result<PooledConnection<M>, Error<M::Error>>> + Send + '_ {
    inner.attend();
    let began = inner.dial.clock.exact();
    let deadline = patience.map_or(Nanos::MAX, |patience| began.saturating_add(nanos(patience)));
    let patience = Patience {
        inner,
        began,
        deadline,
        site,
    };
    patience.serve(first)
}

/// Where a checkout that joins the queue finds itself.
enum Place<'a, M: Manager> {
    Served(Box<Entry<M>>),
    InLine(Waiting<'a, M>),
}

/// One checkout that waits.
struct Patience<'a, M: Manager> {
    inner: &'a Arc<Inner<M>>,
    began: Nanos,
    /// One for all stages; [`Nanos::MAX`] for none.
    deadline: Nanos,
    site: Site,
}

impl<M: Manager> Patience<'_, M> {
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function keeps its arguments twice while it waits"
    )]
    fn serve(
        self,
        look: Look<M>,
    ) -> impl Future<Output = Result<PooledConnection<M>, Error<M::Error>>> + Send {
        async move {
            let mut look = look;
            let (inner, site) = (self.inner, self.site);
            let mut failures = 0;
            let mut turn = None;
            loop {
                let (entry, fitness) = match look {
                    Look::Ready(conn) => {
                        self.record(inner.dial.clock.exact());
                        return Ok(conn);
                    }
                    Look::Unready(entry, fitness) => (entry, fitness),
                    Look::Nothing => {
                        let mut entry = self.stand_in_line(&mut turn).await?;
                        let now = inner.dial.clock.exact();
                        let brand_new = entry.slot.record.is_brand_new(now);
                        match inner.fitness(&mut entry, now) {
                            Fitness::Ready => return Ok(self.hand_out(entry, now, site)),
                            // Straight from its connect, it has proved itself even to `Always`.
                            Fitness::Needs(Care::Validate) if brand_new => {
                                return Ok(self.hand_out(entry, now, site));
                            }
                            unready => (entry, unready),
                        }
                    }
                };
                turn.get_or_insert(Turn::FIRST);
                match fitness {
                    Fitness::Ready => unreachable!("what is ready is handed out"),
                    Fitness::Unfit(reason) => Inner::close_entry(entry, reason),
                    Fitness::Needs(care) => match self.tend(entry, care).await? {
                        Ok(mut entry) => match inner.fitness_after(care, &mut entry) {
                            Fitness::Ready => {
                                let now = inner.dial.clock.exact();
                                return Ok(self.hand_out(entry, now, site));
                            }
                            unready => {
                                look = Look::Unready(entry, unready);
                                continue;
                            }
                        },
                        Err(failure) => {
                            failures += 1;
                            if failures > inner.exchange.limits().1 {
                                return Err(given_up(care, failure));
                            }
                        }
                    },
                }
                look = inner.look(site);
            }
        }
    }

    /// Waits for a connection; `turn` is that of an earlier wait of this checkout, if any.
    async fn stand_in_line(
        &self,
        turn: &mut Option<Turn>,
    ) -> Result<Box<Entry<M>>, Error<M::Error>> {
        if let Some(error) = self.inner.forbids_waiting() {
            return Err(error);
        }
        loop {
            let waiting = match self.join(turn)? {
                Place::Served(entry) => return Ok(entry),
                Place::InLine(waiting) => waiting,
            };
            match waiting.await {
                Waited::Served(entry) => return Ok(entry),
                Waited::TimedOut => return Err(self.timed_out(Stage::Wait)),
                Waited::Shed => return Err(self.shed()),
                // Closed, or connects fail: joining again tells which, if it still is so.
                Waited::Dismissed => {}
            }
        }
    }

    /// Joins the queue, unless something is idle after all.
    fn join(&self, turn: &mut Option<Turn>) -> Result<Place<'_, M>, Error<M::Error>> {
        let inner = self.inner;
        if let Some(refusal) = inner.refusal() {
            return Err(refusal);
        }
        let due = Due {
            deadline: self.deadline,
            slow_at: inner.slow_at(self.began),
            began: self.began,
            site: self.site,
        };
        let alarm_at = inner.alarm_for(due.first(), self.began);
        let outlook = inner.outlook();
        let arrival = Arrival {
            turn: *turn,
            since: self.began,
            alarm_at,
            outlook,
        };
        let stay = match inner.exchange.join(arrival, inner.config.max_waiting) {
            Joined::Served(entry) => return Ok(Place::Served(entry)),
            Joined::Closed => return Err(Error::Closed),
            Joined::Paused => return Err(Error::Paused),
            Joined::Full => {
                count(&inner.counters.refused);
                return Err(Error::Overloaded {
                    snapshot: inner.snapshot(),
                });
            }
            Joined::Waiting {
                stay,
                connects,
                holds_back,
            } => {
                *turn = Some(stay.turn());
                inner.begin_connects(connects);
                if let Some(outlook) = outlook.filter(|_| holds_back) {
                    inner.look_again(outlook);
                }
                stay
            }
        };
        let alarm_is_set = inner.alarm_is_set(alarm_at);
        if inner.dial.clock.coarse().is_none() {
            inner.host.call.notify_one();
        }
        inner.note_active();
        inner.connecting.on_demand();
        Ok(Place::InLine(Waiting::new(inner, stay, due, alarm_is_set)))
    }

    async fn tend(&self, entry: Box<Entry<M>>, care: Care) -> Result<Tended<M>, Error<M::Error>> {
        let tending = Tending::new(entry, care);
        if self.deadline == Nanos::MAX {
            return Ok(tending.await);
        }
        let deadline = self.inner.dial.clock.instant(self.deadline);
        // A timer is large, and few checkouts need this one.
        let tended = Box::pin(tokio::time::timeout_at(deadline, tending)).await;
        tended.map_err(|_| self.timed_out(care.stage()))
    }

    fn hand_out(&self, entry: Box<Entry<M>>, now: Nanos, site: Site) -> PooledConnection<M> {
        self.record(now);
        let tick = self.inner.dial.clock.coarse().unwrap_or(now);
        self.inner.hand_out(entry, tick, site)
    }

    fn record(&self, now: Nanos) {
        let waits = self.inner.counters.wait.of(thread_number());
        waits.record(between(self.began, now));
    }

    #[cold]
    fn shed(&self) -> Error<M::Error> {
        let inner = self.inner;
        Error::Shed {
            waited: between(self.began, inner.dial.clock.exact()),
            snapshot: inner.snapshot(),
        }
    }

    #[cold]
    fn timed_out(&self, stage: Stage) -> Error<M::Error> {
        timed_out(
            self.inner,
            stage,
            between(self.began, self.inner.dial.clock.exact()),
        )
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
    Error::Timeout {
        stage,
        waited,
        snapshot,
    }
}

/// What a checkout fails with when more connections were unfit than the pool can have.
fn given_up<E: std::error::Error + 'static>(care: Care, failure: Failure<E>) -> Error<E> {
    match (failure, care) {
        (Failure::Failed(error), Care::Validate) => Error::Validate(error),
        (Failure::Failed(error), Care::Recycle) => Error::Recycle(error),
        (Failure::Panicked, care) => Error::Panicked(care.stage()),
        (Failure::Closed, _) => Error::Closed,
        (Failure::TimedOut(limit), care) => Error::Unanswered {
            stage: care.stage(),
            limit,
        },
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
    if let Some(refusal) = inner.refusal() {
        return Err(refusal);
    }
    inner.open_ahead();
    Err(timed_out(inner, Stage::Wait, Duration::ZERO))
}

/// A checkout that never waits.
pub(crate) fn at_once<M: Manager>(
    inner: &Arc<Inner<M>>,
    site: Site,
) -> Result<Option<PooledConnection<M>>, Error<M::Error>> {
    inner.attend();
    let mut look = inner.look(site);
    loop {
        match look {
            Look::Ready(conn) => return Ok(Some(conn)),
            Look::Unready(entry, Fitness::Needs(care)) => {
                // What answers at once is served; the rest goes on in the background.
                let runtime = inner.host.handle();
                let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
                let tending = pin!(Tending::new(entry, care));
                match tending.poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Ok(mut entry)) => match inner.fitness_after(care, &mut entry) {
                        Fitness::Ready => {
                            let now = inner.dial.clock.exact();
                            return Ok(Some(inner.hand_out(entry, now, site)));
                        }
                        unready => {
                            look = Look::Unready(entry, unready);
                            continue;
                        }
                    },
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
        look = inner.look(site);
    }
}
