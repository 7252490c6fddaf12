//! The handle of a pool.

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::acquire::{self, Look};
use crate::breaker::BreakerHandle;
use crate::builder::PoolBuilder;
use crate::close::CloseReport;
use crate::config::{ConfigError, PoolConfig};
use crate::error::Error;
use crate::guard::PooledConnection;
use crate::health::Health;
use crate::inner::Inner;
use crate::inner::exchange::{Refusal, WhilePaused};
use crate::manager::Manager;
use crate::metadata::Metadata;
use crate::stats::{CloseReason, Holder, Stats, Windows};

/// A pool of connections.
///
/// Clones are handles of the same pool. When the last one is dropped the pool closes: what is
/// idle at once, what is held when it comes back; no task of the pool remains.
pub struct Pool<M: Manager> {
    handle: Arc<Handle<M>>,
}

/// Shared by the clones; dropped with the last.
struct Handle<M: Manager> {
    inner: Arc<Inner<M>>,
}

impl<M: Manager> Drop for Handle<M> {
    fn drop(&mut self) {
        self.inner.begin_shutdown();
    }
}

impl<M: Manager> Pool<M> {
    /// Begins the construction of a pool.
    pub fn builder(manager: M) -> PoolBuilder<M> {
        PoolBuilder::new(manager)
    }

    pub(crate) fn new(manager: M, config: PoolConfig) -> Self {
        Self {
            handle: Arc::new(Handle {
                inner: Inner::new(manager, config),
            }),
        }
    }

    #[inline]
    pub(crate) fn inner(&self) -> &Arc<Inner<M>> {
        &self.handle.inner
    }

    /// Checks a connection out, waiting for up to `acquire_timeout` (30 s by default).
    ///
    /// Waiters are served in the order they came, each by whichever is first: a connection that is
    /// returned or one that is opened.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when the time is up, with what the pool looked like;
    /// [`Error::Overloaded`] when `max_waiting` others wait; [`Error::Shed`] from a queue that does
    /// not drain (`shedding`); [`Error::CircuitOpen`] when the breaker is open and no connection is
    /// left that could come back; [`Error::Nested`] when it would have to wait and its task holds a
    /// connection (`nested_acquire = fail`); [`Error::Paused`]; [`Error::Closed`]; and
    /// [`Error::Validate`], [`Error::Recycle`], [`Error::Unanswered`] or [`Error::Panicked`] when
    /// more connections in a row failed than the pool can have. A connect that fails is tried again
    /// until the time is up.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime, when it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: its place in the queue is given up, a connection meant
    /// for it goes to the next, a connect or a validation it has caused goes on. It is counted as
    /// [`cancelled`](Stats::cancelled). A future that is kept and no longer polled, in a `select!` that
    /// went another way, say, keeps its place and what it is served: drop it before you wait for
    /// something else.
    #[doc(alias("acquire", "checkout", "connection", "get_conn"))]
    #[track_caller]
    #[inline]
    pub fn get(
        &self,
    ) -> impl Future<Output = Result<PooledConnection<M>, Error<M::Error>>> + Send + '_ {
        let site = Location::caller();
        async move {
            let inner = self.inner();
            match inner.look(site) {
                Look::Ready(conn) => Ok(conn),
                other => acquire::wait(inner, other, inner.config.acquire_timeout, site).await,
            }
        }
    }

    /// Checks a connection out, waiting for up to `patience`.
    ///
    /// [`Duration::ZERO`] takes only what is idle now.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    #[doc(alias("acquire_timeout", "timeout_get"))]
    #[track_caller]
    #[inline]
    pub fn get_timeout(
        &self,
        patience: Duration,
    ) -> impl Future<Output = Result<PooledConnection<M>, Error<M::Error>>> + Send + '_ {
        let site = Location::caller();
        async move {
            let inner = self.inner();
            match inner.look(site) {
                Look::Ready(conn) => Ok(conn),
                Look::Nothing if patience.is_zero() => acquire::nothing_now(inner),
                other => acquire::wait(inner, other, Some(patience), site).await,
            }
        }
    }

    /// Checks out what is idle now, without waiting; `None` when nothing is, or when it would have
    /// to be validated first and that takes time (it then goes on in the background).
    ///
    /// When nothing is idle and nothing is being opened, one connection is, for the next attempt.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], and [`Error::Paused`] during a pause in which checkouts fail
    /// ([`WhilePaused::Fail`]).
    #[track_caller]
    pub fn try_get(&self) -> Result<Option<PooledConnection<M>>, Error<M::Error>> {
        acquire::at_once(self.inner(), Location::caller())
    }

    /// The figures of the last 1, 10 and 60 seconds: rates and percentiles.
    ///
    /// The pool begins to keep what they take when somebody asks, and stops two minutes after the
    /// last time, so the first answer is empty. Until then, and for checkouts always, it costs
    /// nothing.
    pub fn windows(&self) -> Windows {
        self.inner().windows()
    }

    /// The figures of this moment.
    pub fn stats(&self) -> Stats {
        self.inner().stats()
    }

    /// Whether the pool can do its work, and if not, why; nothing is asked of the server.
    pub fn health(&self) -> Health {
        self.inner().health()
    }

    /// The circuit breaker: what it is doing, and by hand.
    #[doc(alias("circuit_breaker"))]
    pub fn breaker(&self) -> BreakerHandle<M> {
        BreakerHandle::new(Arc::clone(self.inner()))
    }

    /// Who holds a connection now and where it was checked out, the longest first.
    pub fn holders(&self) -> Vec<Holder> {
        self.inner().holders()
    }

    /// The pool's name: the setting `name`, or the manager's.
    pub fn name(&self) -> &str {
        &self.inner().name
    }

    /// The settings the pool was built with; [`resize`](Self::resize) shows in
    /// [`stats`](Self::stats).
    pub fn config(&self) -> &PoolConfig {
        &self.inner().config
    }

    /// The manager.
    pub fn manager(&self) -> &M {
        &self.inner().manager
    }

    /// Changes `min_size` and `max_size`.
    ///
    /// What is missing to the minimum is opened. What is idle beyond the maximum is closed now,
    /// what is held beyond it when it comes back.
    ///
    /// # Errors
    ///
    /// When they break a rule of the settings; nothing has changed then.
    pub fn resize(&self, min_size: usize, max_size: usize) -> Result<(), ConfigError> {
        let inner = self.inner();
        let mut config = inner.config.clone();
        (config.min_size, config.max_size) = (min_size, max_size);
        config.min_idle = config.min_idle.min(max_size);
        config.validate()?;
        let (surplus, connects) = inner.exchange.resize(|c| {
            (c.min, c.max) = (min_size, max_size);
        });
        tracing::info!(pool = %inner.name, min_size, max_size, closing = surplus.len(), "resized");
        for entry in surplus {
            Inner::close_refused((entry, Refusal::Surplus));
        }
        inner.begin_connects(connects);
        inner.attend();
        Ok(())
    }

    /// Pauses the pool, for maintenance of its server: no checkout is served but one whose connection is
    /// just being validated or recycled, no connect begins, nothing idle is pinged or retired by itself.
    /// Holders keep what they hold, and what they return is kept. [`retire_all`](Self::retire_all),
    /// [`retain`](Self::retain) and [`resize`](Self::resize) close what is idle as ever.
    ///
    /// Does nothing to a closed pool.
    pub fn pause(&self, meanwhile: WhilePaused) {
        if self.inner().exchange.pause(meanwhile) {
            tracing::info!(pool = %self.inner().name, ?meanwhile, "paused");
        }
    }

    /// Ends a pause: those who waited are served in the order they came, and what fell due meanwhile is
    /// retired or pinged.
    pub fn resume(&self) {
        let inner = self.inner();
        let (refused, connects) = inner.exchange.resume();
        tracing::info!(pool = %inner.name, "resumed");
        refused.into_iter().for_each(Inner::close_refused);
        inner.note_active();
        inner.begin_connects(connects);
        inner.attend();
        inner.host.call.notify_one();
        inner.connecting.on_demand();
    }

    /// Whether the pool is paused.
    pub fn is_paused(&self) -> bool {
        self.inner().exchange.is_paused()
    }

    /// Replaces every connection: idle ones are closed now, held ones when they come back, those
    /// being opened when they are through.
    ///
    /// For changed credentials or a server that was replaced. It changes nothing for holders.
    #[doc(alias("soft_evict", "reset", "dispose", "clear", "expire_connections"))]
    pub fn retire_all(&self) {
        let inner = self.inner();
        let generation = inner.dial.next_generation();
        tracing::info!(pool = %inner.name, generation, "all connections retired");
        inner.close_idle(CloseReason::Generation, |entry| {
            entry.slot.record.generation != generation
        });
    }

    /// Closes the idle connections for which `keep` says no.
    ///
    /// Held ones are not asked. `keep` must neither block, for checkouts wait for it, nor use the pool,
    /// which would wait for itself. A checkout without patience ([`try_get`](Self::try_get)) may find
    /// nothing meanwhile.
    ///
    /// # Panics
    ///
    /// When `keep` does: those it had not answered for stay.
    pub fn retain(&self, mut keep: impl FnMut(&mut M::Connection, Metadata) -> bool) {
        let inner = self.inner();
        let mut panicked = None;
        inner.close_idle(CloseReason::NotRetained, |entry| {
            if panicked.is_some() {
                return false;
            }
            let metadata = Metadata::of(entry, inner);
            // A shard is locked here, and what unwinding would drop locks others.
            let kept = catch_unwind(AssertUnwindSafe(|| keep(&mut entry.conn, metadata)));
            kept.map_or_else(
                |panic| {
                    panicked = Some(panic);
                    false
                },
                |keep| !keep,
            )
        });
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }

    /// Closes the pool: checkouts that wait fail at once, also for a validation or a recycling, idle
    /// connections are closed, connects are aborted, and holders have `drain_timeout` (30 s by default)
    /// to return theirs.
    ///
    /// After that, what runs on their connections is interrupted, if the manager can, and they
    /// have `close_timeout` to notice. Whoever still holds one is named in the report and in a
    /// warning; the connection is closed when it comes back.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The pool is closed as soon as the future is first polled; dropping it only ends the waiting.
    #[doc(alias("shutdown", "drain", "end"))]
    pub async fn close(&self) -> CloseReport {
        self.inner().close(self.inner().config.drain_timeout).await
    }

    /// [`close`](Self::close) with `patience` in place of `drain_timeout`.
    ///
    /// # Panics
    ///
    /// As [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// As [`close`](Self::close).
    pub async fn close_timeout(&self, patience: Duration) -> CloseReport {
        self.inner().close(Some(patience)).await
    }

    /// Whether [`close`](Self::close) has been called.
    pub fn is_closed(&self) -> bool {
        self.inner().is_shut_down()
    }
}

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self {
            handle: Arc::clone(&self.handle),
        }
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name())
            .field("state", &format_args!("{}", self.stats()))
            .field("closed", &self.is_closed())
            .finish()
    }
}
