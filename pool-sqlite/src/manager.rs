//! What the pool asks of SQLite.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex};

use pool_core::{Condition, ConfigError, Interrupter, Manager};

use crate::config::{ASKS_NOTHING, OpenMode, SqliteConfig};
use crate::connection::SqliteConnection;
use crate::database::Database;
use crate::error::SqliteError;
use crate::workers::{Class, WorkerStats};

/// Opens, checks and resets connections to one SQLite database.
///
/// Clones share the database and its worker threads.
#[derive(Clone)]
pub struct SqliteManager {
    database: Arc<Database>,
    mode: OpenMode,
}

impl SqliteManager {
    /// A manager for the database of `config`. Opens nothing yet.
    pub fn new(config: SqliteConfig) -> Self {
        let mode = config.open_mode;
        Self {
            database: Arc::new(Database::new(config)),
            mode,
        }
    }

    /// A manager for the database of a connection string such as `sqlite:app.db`; see
    /// [`SqliteConfig::from_url`].
    ///
    /// # Errors
    ///
    /// If it is not the connection string of a SQLite database.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        SqliteConfig::from_url(url).map(Self::new)
    }

    /// A manager of read-only connections to the same database, on the same worker threads.
    #[must_use]
    pub fn reader(&self) -> Self {
        Self {
            database: Arc::clone(&self.database),
            mode: OpenMode::ReadOnly,
        }
    }

    /// What the worker threads do, for all clones, readers and pools of this manager.
    pub fn worker_stats(&self) -> WorkerStats {
        self.database.workers.stats()
    }

    /// The first connect creates the file and its journal mode, alone.
    async fn prepare(&self) -> Result<(), SqliteError> {
        let mode = self.database.config.open_mode;
        if mode == OpenMode::ReadOnly {
            return Ok(());
        }
        let first = || async {
            let conn = SqliteConnection::open(Arc::clone(&self.database), mode).await?;
            if !self.database.config.is_memory() {
                conn.close().await;
                return Ok(None);
            }
            Ok(conn.take_home().map(Mutex::new))
        };
        self.database
            .prepared
            .get_or_try_init(first)
            .await
            .map(drop)
    }
}

impl Manager for SqliteManager {
    type Connection = SqliteConnection;
    type Error = SqliteError;

    async fn connect(&self) -> Result<SqliteConnection, SqliteError> {
        self.prepare().await?;
        SqliteConnection::open(Arc::clone(&self.database), self.mode).await
    }

    async fn validate(&self, conn: &mut SqliteConnection) -> Result<(), SqliteError> {
        if conn.has_lost_its_file() {
            return Err(SqliteError::FileMoved);
        }
        let query = &self.database.config.validation_query;
        // Busy workers are no reason to think a connection dead.
        if query == ASKS_NOTHING && conn.condition() == Condition::Ready {
            return Ok(());
        }
        let query = query.clone();
        conn.ask(Class::Upkeep, None, move |c| {
            c.prepare_cached(&query)?.query(())?.next().map(drop)
        })
        .await
    }

    async fn recycle(&self, conn: &mut SqliteConnection) -> Result<(), SqliteError> {
        conn.reset().await
    }

    fn condition(&self, conn: &mut SqliteConnection) -> Condition {
        conn.condition()
    }

    async fn close(&self, conn: SqliteConnection) {
        conn.close().await;
    }

    fn interrupter(&self, conn: &SqliteConnection) -> Option<Interrupter> {
        Some(conn.interrupter())
    }

    fn name(&self) -> Cow<'_, str> {
        if self.mode == self.database.config.open_mode {
            Cow::Borrowed(&self.database.name)
        } else {
            Cow::Owned(format!("{} (readers)", self.database.name))
        }
    }
}

impl fmt::Debug for SqliteManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteManager")
            .field("config", &self.database.config)
            .field("mode", &self.mode)
            .field("workers", &self.worker_stats())
            .finish()
    }
}
