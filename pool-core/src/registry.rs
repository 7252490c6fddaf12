//! Many pools of different databases under names, looked after together.
//!
//! The pools stay apart: each has its own tasks, and nothing here is on the way of a checkout.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;

use crate::close::CloseReport;
use crate::config::ConfigError;
use crate::health::{Health, HealthStatus};
use crate::inner::exchange::WhilePaused;
use crate::manager::Manager;
use crate::pool::Pool;
use crate::stats::{Holder, Stats, Windows};

/// A pool whatever its manager: everything but the checkout.
#[async_trait]
pub trait AnyPool: Send + Sync + 'static {
    /// [`Pool::name`].
    fn name(&self) -> &str;
    /// [`Pool::stats`].
    fn stats(&self) -> Stats;
    /// [`Pool::windows`].
    fn windows(&self) -> Windows;
    /// [`Pool::health`].
    fn health(&self) -> Health;
    /// [`Pool::holders`].
    fn holders(&self) -> Vec<Holder>;
    /// [`Pool::resize`].
    ///
    /// # Errors
    ///
    /// As [`Pool::resize`].
    fn resize(&self, min_size: usize, max_size: usize) -> Result<(), ConfigError>;
    /// [`Pool::retire_all`].
    fn retire_all(&self);
    /// [`BreakerHandle::reset`](crate::BreakerHandle::reset) of [`Pool::breaker`].
    fn reset_breaker(&self);
    /// [`Pool::pause`].
    fn pause(&self, meanwhile: WhilePaused);
    /// [`Pool::resume`].
    fn resume(&self);
    /// [`Pool::is_paused`].
    fn is_paused(&self) -> bool;
    /// [`Pool::is_closed`].
    fn is_closed(&self) -> bool;
    /// [`Pool::close`].
    async fn close(&self) -> CloseReport;
    /// [`Pool::close_timeout`].
    async fn close_timeout(&self, patience: Duration) -> CloseReport;
}

#[async_trait]
impl<M: Manager> AnyPool for Pool<M> {
    fn name(&self) -> &str {
        Pool::name(self)
    }
    fn stats(&self) -> Stats {
        Pool::stats(self)
    }

    fn windows(&self) -> Windows {
        Pool::windows(self)
    }
    fn health(&self) -> Health {
        Pool::health(self)
    }
    fn holders(&self) -> Vec<Holder> {
        Pool::holders(self)
    }
    fn resize(&self, min_size: usize, max_size: usize) -> Result<(), ConfigError> {
        Pool::resize(self, min_size, max_size)
    }
    fn retire_all(&self) {
        Pool::retire_all(self);
    }
    fn reset_breaker(&self) {
        Pool::breaker(self).reset();
    }
    fn pause(&self, meanwhile: WhilePaused) {
        Pool::pause(self, meanwhile);
    }
    fn resume(&self) {
        Pool::resume(self);
    }
    fn is_paused(&self) -> bool {
        Pool::is_paused(self)
    }
    fn is_closed(&self) -> bool {
        Pool::is_closed(self)
    }
    async fn close(&self) -> CloseReport {
        Pool::close(self).await
    }
    async fn close_timeout(&self, patience: Duration) -> CloseReport {
        Pool::close_timeout(self, patience).await
    }
}

/// A registry of named pools; clones share it.
///
/// # Example
///
/// ```
/// # use pool_core::{Manager, Pool, Pools};
/// # struct Orders;
/// # impl Manager for Orders {
/// #     type Connection = u32;
/// #     type Error = std::convert::Infallible;
/// #     async fn connect(&self) -> Result<u32, Self::Error> { Ok(1) }
/// #     async fn validate(&self, _: &mut u32) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pools = Pools::new();
/// pools.insert("orders", Pool::builder(Orders).build()?);
///
/// let orders = pools.typed::<Orders>("orders").expect("inserted above");
/// let conn = orders.get().await?;
/// # drop(conn);
/// assert!(pools.health().is_ready());
/// pools.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Pools {
    named: Arc<RwLock<BTreeMap<String, Named>>>,
}

/// One pool, with its type forgotten and, beside it, remembered.
struct Named {
    pool: Arc<dyn AnyPool>,
    typed: Arc<dyn Any + Send + Sync>,
}

impl Pools {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pool under `name`; the pool that had the name before is returned, not closed.
    pub fn insert<M: Manager>(
        &self,
        name: impl Into<String>,
        pool: Pool<M>,
    ) -> Option<Arc<dyn AnyPool>> {
        let named = Named {
            typed: Arc::new(pool.clone()),
            pool: Arc::new(pool),
        };
        self.write()
            .insert(name.into(), named)
            .map(|before| before.pool)
    }

    /// The pool of this name, whatever its manager.
    pub fn get(&self, name: &str) -> Option<Arc<dyn AnyPool>> {
        self.read().get(name).map(|named| Arc::clone(&named.pool))
    }

    /// The pool of this name to check connections out of, if its manager is of this type.
    pub fn typed<M: Manager>(&self, name: &str) -> Option<Pool<M>> {
        self.read()
            .get(name)?
            .typed
            .downcast_ref::<Pool<M>>()
            .cloned()
    }

    /// Takes the pool of this name out; it is not closed.
    pub fn remove(&self, name: &str) -> Option<Arc<dyn AnyPool>> {
        self.write().remove(name).map(|named| named.pool)
    }

    /// All pools with their names, in the order of the names.
    pub fn all(&self) -> Vec<(String, Arc<dyn AnyPool>)> {
        let named = self.read();
        named
            .iter()
            .map(|(name, named)| (name.clone(), Arc::clone(&named.pool)))
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Named>> {
        self.named.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Named>> {
        self.named.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures of each pool.
    pub fn stats(&self) -> BTreeMap<String, Stats> {
        self.all()
            .into_iter()
            .map(|(name, pool)| (name, pool.stats()))
            .collect()
    }

    /// The health of each pool, and of all together.
    pub fn health(&self) -> PoolsHealth {
        let pools: BTreeMap<_, _> = self
            .all()
            .into_iter()
            .map(|(name, pool)| (name, pool.health()))
            .collect();
        let status = pools
            .values()
            .map(|health| health.status)
            .max()
            .unwrap_or_default();
        PoolsHealth { status, pools }
    }

    /// Closes all pools at the same time, each with its own patience.
    ///
    /// # Cancel safety
    ///
    /// As [`Pool::close`]: all are closed as soon as the future is first polled.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub async fn close(&self) -> BTreeMap<String, CloseReport> {
        self.close_each(|pool| async move { pool.close().await })
            .await
    }

    /// Closes all pools at the same time, with one deadline for all.
    ///
    /// # Cancel safety
    ///
    /// As [`Pool::close`]: all are closed as soon as the future is first polled.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub async fn close_timeout(&self, patience: Duration) -> BTreeMap<String, CloseReport> {
        self.close_each(move |pool| async move { pool.close_timeout(patience).await })
            .await
    }

    /// In one task: each is closed before any is waited for.
    async fn close_each<F>(
        &self,
        close: impl Fn(Arc<dyn AnyPool>) -> F,
    ) -> BTreeMap<String, CloseReport>
    where
        F: Future<Output = CloseReport>,
    {
        let closing = |(name, pool)| (name, Box::pin(close(pool)));
        let mut closing: Vec<_> = self.all().into_iter().map(closing).collect();
        let mut reports = BTreeMap::new();
        poll_fn(|cx| {
            closing.retain_mut(|(name, close)| match close.as_mut().poll(cx) {
                Poll::Ready(report) => {
                    reports.insert(std::mem::take(name), report);
                    false
                }
                Poll::Pending => true,
            });
            if closing.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        reports
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, pool) in self.all() {
            map.entry(&name, &format_args!("{}", pool.stats()));
        }
        map.finish()
    }
}

/// How all pools of a registry are.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PoolsHealth {
    /// The worst of all.
    pub status: HealthStatus,
    /// Each pool's.
    pub pools: BTreeMap<String, Health>,
}

impl PoolsHealth {
    /// Whether every pool can serve.
    pub fn is_ready(&self) -> bool {
        self.pools.values().all(Health::is_ready)
    }
}
