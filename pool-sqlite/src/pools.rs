//! One writer and many readers of the same database, each side a pool.

use std::fmt;
use std::time::Duration;

use pool_core::{CloseReport, ConfigError, PoolBuilder};

use crate::manager::SqliteManager;
use crate::{Pool, PoolError};

/// A pool with the one connection that writes, and a pool of read-only connections.
///
/// Who wants to write waits in the writer's queue, in order and with a deadline, rather than for
/// SQLite's lock; readers go on meanwhile (in WAL mode). Both sides share the worker threads.
///
/// Clones are handles of the same pools.
#[derive(Clone)]
pub struct SqlitePools {
    writer: Pool,
    readers: Pool,
}

impl SqlitePools {
    /// The default settings of a pool on both sides, with up to `readers` readers.
    ///
    /// # Errors
    ///
    /// When `readers` is not a valid size.
    pub fn new(manager: SqliteManager, readers: usize) -> Result<Self, ConfigError> {
        Self::with(manager, |writer| writer, |side| side.max_size(readers))
    }

    /// Settings of one's own for each side; the writer's size is one in any case.
    ///
    /// # Errors
    ///
    /// When the settings of a side break a rule.
    pub fn with(
        manager: SqliteManager,
        writer: impl FnOnce(PoolBuilder<SqliteManager>) -> PoolBuilder<SqliteManager>,
        readers: impl FnOnce(PoolBuilder<SqliteManager>) -> PoolBuilder<SqliteManager>,
    ) -> Result<Self, ConfigError> {
        let readers = readers(Pool::builder(manager.reader())).build()?;
        let writer = writer(Pool::builder(manager))
            .min_size(1)
            .max_size(1)
            .build()?;
        Ok(Self { writer, readers })
    }

    /// Waits until the file is there and the writer can be reached.
    ///
    /// # Errors
    ///
    /// As [`Pool::get`](pool_core::Pool::get).
    ///
    /// # Panics
    ///
    /// As [`Pool::get`](pool_core::Pool::get).
    ///
    /// # Cancel safety
    ///
    /// As [`Pool::get`](pool_core::Pool::get).
    pub async fn ready(&self) -> Result<(), PoolError> {
        self.writer.get().await.map(drop)
    }

    /// The pool with the one connection that may write.
    pub fn writer(&self) -> &Pool {
        &self.writer
    }

    /// The pool of read-only connections.
    pub fn readers(&self) -> &Pool {
        &self.readers
    }

    /// Closes both sides, the readers first; each has its `drain_timeout`.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The readers are closed from the first poll on; the writer is closed when they have gone, or
    /// their time is up. A future that is dropped before leaves the writer open: call it again.
    pub async fn close(&self) -> [CloseReport; 2] {
        let readers = self.readers.close().await;
        [readers, self.writer.close().await]
    }

    /// Closes both sides with `patience` for each.
    ///
    /// # Panics
    ///
    /// As [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// As [`close`](Self::close).
    pub async fn close_timeout(&self, patience: Duration) -> [CloseReport; 2] {
        let readers = self.readers.close_timeout(patience).await;
        [readers, self.writer.close_timeout(patience).await]
    }
}

impl fmt::Debug for SqlitePools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlitePools")
            .field("writer", &self.writer)
            .field("readers", &self.readers)
            .finish()
    }
}
