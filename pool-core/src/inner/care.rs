//! Validating and recycling: what is done to a connection before somebody gets it (again).
//!
//! The future owns the connection, so dropping it at any point frees the slot; and a checkout
//! that gives up on it does not drop it but lets it finish in the background ([`Tending`]): a
//! cancelled validation does not cost the connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::Inner;
use super::bounded::{Failure, bounded, caught_now};
use super::clock::Nanos;
use super::entry::Entry;
use super::exchange::{Exchange, Refused};
use super::record::Phase;
use crate::error::Stage;
use crate::manager::{Condition, Manager};
use crate::stats::{CloseReason, count};

/// What a connection needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    Validate,
    Recycle,
}

impl Care {
    pub(crate) fn stage(self) -> Stage {
        match self {
            Self::Validate => Stage::Validate,
            Self::Recycle => Stage::Recycle,
        }
    }
}

/// The connection, fit to be used, or why it was closed.
pub(crate) type Tended<M> = Result<Box<Entry<M>>, Failure<<M as Manager>::Error>>;

impl<M: Manager> Inner<M> {
    /// Gives the connection what it needs; it is closed when that fails.
    pub(crate) async fn tend(mut entry: Box<Entry<M>>, care: Care) -> Tended<M> {
        let inner = Arc::clone(&entry.slot.inner);
        entry
            .slot
            .record
            .enter(Phase::Busy, inner.dial.clock.exact());
        let conn = &mut entry.conn;
        let result = match care {
            Care::Validate => inner.validate(conn).await,
            Care::Recycle => {
                let opened_at = entry.slot.record.opened_at();
                inner.recycle(conn, opened_at).await
            }
        };
        match result {
            Ok(()) => {
                entry.slot.record.prove(inner.dial.clock.exact());
                Ok(entry)
            }
            Err(failure) => {
                let reason = match care {
                    Care::Validate => CloseReason::ValidateFailed,
                    Care::Recycle => CloseReason::RecycleFailed,
                };
                // That recycling fails whatever the connection has been said once.
                if care == Care::Validate || !inner.recycling.is_failing() {
                    tracing::warn!(
                        pool = %inner.name,
                        connection = entry.slot.record.id,
                        error = %failure.told(),
                        "{reason}, the connection is closed"
                    );
                }
                if care == Care::Validate {
                    let now = inner.dial.clock.exact();
                    inner.trust.note_failure(entry.slot.record.opened_at(), now);
                }
                if inner.concerns_all(care, &failure) {
                    inner.distrust(entry.slot.record.generation);
                }
                Self::close_entry(entry, reason);
                Err(failure)
            }
        }
    }

    /// Asks the manager whether a connection works, and notes what came of it.
    pub(crate) async fn validate(&self, conn: &mut M::Connection) -> Result<(), Failure<M::Error>> {
        let began = Instant::now();
        let work = async { self.manager.validate(conn).await };
        let result = bounded(self.config.validate_timeout, work).await;
        let now = self.dial.clock.exact().max(1);
        self.counters.validated_at.store(now, Relaxed);
        self.counters.validate.record(began.elapsed());
        match result {
            Ok(()) => self.trust.note_answer(),
            Err(Failure::TimedOut(_)) => count(&self.counters.validate_timeouts),
            Err(_) => {}
        }
        result
    }

    async fn recycle(
        &self,
        conn: &mut M::Connection,
        opened_at: Nanos,
    ) -> Result<(), Failure<M::Error>> {
        let began = Instant::now();
        let work = async { self.manager.recycle(conn).await };
        let result = bounded(self.config.recycle_timeout, work).await;
        self.counters.recycle.record(began.elapsed());
        if matches!(result, Err(Failure::TimedOut(_))) {
            count(&self.counters.recycle_timeouts);
        }
        self.note_recycling(opened_at, &result);
        result
    }

    /// Whether what has failed with one connection would fail with those of the same age, too.
    fn concerns_all(&self, care: Care, failure: &Failure<M::Error>) -> bool {
        match (care, failure) {
            (Care::Validate, Failure::Panicked) => false,
            (Care::Validate, _) => true,
            (Care::Recycle, Failure::Failed(error)) => {
                caught_now(|| self.manager.concerns_all(error)).unwrap_or(false)
            }
            (Care::Recycle, _) => false,
        }
    }

    /// A connection of this generation is of no use: those of the same age are replaced rather
    /// than asked one after another, so that a failover costs one validation, not one for each.
    fn distrust(self: &Arc<Self>, generation: u32) {
        if self.dial.raise_generation_from(generation) {
            tracing::warn!(
                pool = %self.name,
                generation = generation + 1,
                "a connection is of no use any more: those opened before are replaced"
            );
            self.close_idle(CloseReason::Generation, |entry| {
                entry.slot.record.generation <= generation
            });
        }
    }

    /// Closes the idle connections that are condemned.
    pub(crate) fn close_idle(
        &self,
        reason: CloseReason,
        condemned: impl FnMut(&mut Entry<M>) -> bool,
    ) {
        let (condemned, spared) = self.exchange.extract(condemned);
        for entry in spared {
            if let Err(refused) = Exchange::release(entry) {
                Self::close_refused(refused);
            }
        }
        for entry in condemned {
            Self::close_entry(entry, reason);
        }
    }

    /// What the manager knows of a connection: one on which it panics is broken.
    #[inline]
    pub(crate) fn condition(&self, conn: &mut M::Connection) -> Condition {
        caught_now(|| self.manager.condition(conn)).unwrap_or(Condition::Broken)
    }

    /// Gives the connection what it needs in the background, and then back to the pool.
    pub(crate) fn tend_and_release(entry: Box<Entry<M>>, care: Care) {
        Self::tend_later(entry, move |_| Some(care));
    }

    /// Looks at what a holder returned while it panicked, now that nothing unwinds any more: a
    /// validation alone would take what is under way on the connection for its own.
    pub(crate) fn tend_after_panic(entry: Box<Entry<M>>) {
        Self::tend_later(entry, |entry| {
            match entry.slot.inner.condition(&mut entry.conn) {
                Condition::Ready => Some(Care::Validate),
                Condition::NeedsRecycle => Some(Care::Recycle),
                Condition::Broken => None,
            }
        });
    }

    /// Gives the connection what it turns out to need in the background, and then back to the pool;
    /// one that nothing helps is closed.
    fn tend_later(
        mut entry: Box<Entry<M>>,
        needs: impl FnOnce(&mut Entry<M>) -> Option<Care> + Send + 'static,
    ) {
        let inner = Arc::clone(&entry.slot.inner);
        if inner.is_shut_down() {
            // Nobody will use it, and the close waits for it.
            return Self::close_entry(entry, CloseReason::PoolClosed);
        }
        let now = inner.dial.clock.exact_anywhere();
        entry.slot.record.enter(Phase::Busy, now);
        inner.host.spawn(async move {
            let Some(care) = needs(&mut entry) else {
                return Self::close_entry(entry, CloseReason::Broken);
            };
            if let Ok(entry) = Self::tend(entry, care).await {
                Self::release(entry);
            }
        });
    }

    /// Makes an open connection available: to the first waiter, or idle; one that was retired
    /// while it was opened or tended is closed.
    pub(crate) fn release(entry: Box<Entry<M>>) {
        let now = entry.slot.inner.dial.clock.exact();
        Self::release_by(Exchange::release, entry, now);
    }

    /// [`release`](Self::release) of a connection that was only pinged: as idle as it was.
    pub(crate) fn release_pinged(entry: Box<Entry<M>>, idle_since: Nanos) {
        Self::release_by(Exchange::release_coldest, entry, idle_since);
    }

    fn release_by(
        release: impl FnOnce(Box<Entry<M>>) -> Result<(), Refused<Entry<M>>>,
        entry: Box<Entry<M>>,
        idle_since: Nanos,
    ) {
        let inner = &entry.slot.inner;
        let (now, generation) = (inner.dial.clock.exact(), inner.dial.generation());
        if let Some(reason) = inner.limits.worn(&entry.slot.record, generation, now) {
            return Self::close_entry(entry, reason);
        }
        entry.slot.record.enter(Phase::Idle, idle_since);
        if let Err(refused) = release(entry) {
            Self::close_refused(refused);
        }
    }
}

/// Tending for a checkout, which may go away meanwhile.
pub(crate) struct Tending<M: Manager> {
    job: Option<Pin<Box<dyn Future<Output = Tended<M>> + Send>>>,
    inner: Arc<Inner<M>>,
}

impl<M: Manager> Tending<M> {
    pub(crate) fn new(entry: Box<Entry<M>>, care: Care) -> Self {
        let inner = Arc::clone(&entry.slot.inner);
        Self {
            job: Some(Box::pin(Inner::tend(entry, care))),
            inner,
        }
    }
}

impl<M: Manager> Future for Tending<M> {
    type Output = Tended<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Tended<M>> {
        let job = self.job.as_mut().expect("not polled again when ready");
        let tended = std::task::ready!(job.as_mut().poll(cx));
        self.job = None;
        Poll::Ready(tended)
    }
}

impl<M: Manager> Drop for Tending<M> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            self.inner.host.spawn(async move {
                if let Ok(entry) = job.await {
                    Inner::release(entry);
                }
            });
        }
    }
}
