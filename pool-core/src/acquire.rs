//! The checkout: the fast way when something is idle, and waiting when nothing is.

use std::future::{Future, pending};
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::sleep_until;

use crate::error::{Error, Stage};
use crate::guard::PooledConnection;
use crate::inner::Inner;
use crate::inner::bounded::Failure;
use crate::inner::care::{Care, Tended, Tending};
use crate::inner::clock::{Nanos, nanos};
use crate::inner::entry::Entry;
use crate::inner::exchange::WhilePaused;
use crate::inner::waiters::Turn;
use crate::manager::{Condition, Manager};
use crate::stats::{CloseReason, count};
use crate::waiting::{Patience, Site, Waiting, timed_out};

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
        match self.condition(&mut entry.conn) {
            Condition::Ready if unproved_for < self.limits.trusted_for => Fitness::Ready,
            Condition::Ready => Fitness::Needs(Care::Validate),
            Condition::NeedsRecycle => Fitness::Needs(Care::Recycle),
            Condition::Broken => Fitness::Unfit(CloseReason::Broken),
        }
    }

    /// Whether a connection that has just been validated or recycled may be handed out: it may
    /// have broken meanwhile.
    fn fitness_after(&self, care: Care, entry: &mut Entry<M>) -> Fitness {
        match self.condition(&mut entry.conn) {
            Condition::NeedsRecycle if care == Care::Validate => Fitness::Needs(Care::Recycle),
            Condition::Ready | Condition::NeedsRecycle => Fitness::Ready,
            Condition::Broken => Fitness::Unfit(CloseReason::Broken),
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

impl<M: Manager> Patience<'_, M> {
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function keeps its arguments twice while it waits"
    )]
    fn serve(
        self,
        mut look: Look<M>,
    ) -> impl Future<Output = Result<PooledConnection<M>, Error<M::Error>>> + Send {
        async move {
            let (inner, site) = (self.inner, self.site);
            let mut failures = 0;
            let mut standing = self.standing();
            loop {
                let (entry, fitness) = match look {
                    Look::Ready(conn) => {
                        self.record(inner.dial.clock.exact());
                        return Ok(conn);
                    }
                    Look::Unready(entry, fitness) => (entry, fitness),
                    Look::Nothing => {
                        if let Some(error) = inner.forbids_waiting() {
                            return Err(error);
                        }
                        let mut entry = Waiting::new(&self, &mut standing).await?;
                        let now = inner.dial.clock.exact();
                        let brand_new = entry.slot.record.is_brand_new(now);
                        match inner.fitness(&mut entry, now) {
                            Fitness::Ready => return Ok(self.hand_out(entry, now, site)),
                            // Straight from its connect, it has proved itself even to `Always`.
                            Fitness::Needs(Care::Validate) if brand_new => {
                                return Ok(self.hand_out(entry, now, site));
                            }
                            unready => {
                                let is_broken = unready == Fitness::Unfit(CloseReason::Broken);
                                if brand_new && is_broken {
                                    inner.note_stillbirth(entry.slot.record.opened_at());
                                }
                                (entry, unready)
                            }
                        }
                    }
                };
                standing.turn.get_or_insert(Turn::FIRST);
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

    async fn tend(&self, entry: Box<Entry<M>>, care: Care) -> Result<Tended<M>, Error<M::Error>> {
        let tending = Tending::new(entry, care);
        // A timer is large, and few checkouts need this one.
        Box::pin(async {
            let suspense = Suspense(&self.inner.counters.cancelled);
            let tended = tokio::select! {
                biased;
                tended = tending => Ok(tended),
                () = self.inner.shut_down() => Err(Error::Closed),
                () = self.time_is_up() => Err(self.timed_out(care.stage())),
            };
            suspense.end();
            tended
        })
        .await
    }

    async fn time_is_up(&self) {
        match self.deadline {
            Nanos::MAX => pending().await,
            deadline => sleep_until(self.inner.dial.clock.instant(deadline)).await,
        }
    }

    fn hand_out(&self, entry: Box<Entry<M>>, now: Nanos, site: Site) -> PooledConnection<M> {
        self.record(now);
        if self.inner.connecting.is_doubted() && entry.slot.record.uses() == 0 {
            self.inner.note_proof();
        }
        let tick = self.inner.dial.clock.coarse().unwrap_or(now);
        self.inner.hand_out(entry, tick, site)
    }
}

/// Dropped before it has ended, it counts a checkout whose caller has gone away.
struct Suspense<'a>(&'a AtomicU64);

impl Suspense<'_> {
    fn end(self) {
        let _ended = ManuallyDrop::new(self);
    }
}

impl Drop for Suspense<'_> {
    fn drop(&mut self) {
        count(self.0);
    }
}

/// What a checkout fails with when more connections were unfit than the pool can have.
fn given_up<E: std::error::Error + 'static>(care: Care, failure: Failure<E>) -> Error<E> {
    match (failure, care) {
        (Failure::Failed(error), Care::Validate) => Error::Validate(error),
        (Failure::Failed(error), Care::Recycle) => Error::Recycle(error),
        (Failure::Panicked, care) => Error::Panicked(care.stage()),
        (Failure::Broken | Failure::Rejected(_), _) => Error::Broken,
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
    if inner.exchange.paused() == Some(WhilePaused::Fail) {
        return Err(Error::Paused);
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
                let Some(runtime) = inner.host.living_handle() else {
                    Inner::release(entry);
                    return Ok(None);
                };
                let _entered = runtime.enter();
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
            Look::Nothing if inner.exchange.paused() == Some(WhilePaused::Fail) => {
                return Err(Error::Paused);
            }
            Look::Nothing => {
                inner.open_ahead();
                return Ok(None);
            }
        }
        look = inner.look(site);
    }
}
