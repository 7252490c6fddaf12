//! An async connection pool for SQLite on [`rusqlite`]: bounded threads, real cancellation, one
//! writer and many readers.
//!
//! ```
//! use pool_sqlite::{Pool, SqliteConfig, SqliteManager};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("app.db");
//! let pool = Pool::builder(SqliteManager::new(SqliteConfig::file(file))).max_size(8).build()?;
//!
//! let mut conn = pool.get().await?;
//! conn.interact(|sqlite| sqlite.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (42)"))
//!     .await?;
//! let x: i64 =
//!     conn.interact(|sqlite| sqlite.query_row("SELECT x FROM t", [], |row| row.get(0))).await?;
//! assert_eq!(x, 42);
//! # Ok(())
//! # }
//! ```
//!
//! Everything of the pool is [`pool_core`]'s: sizes, timeouts, statistics, shutdown. Here is what is
//! particular to SQLite.
//!
//! # Calls
//!
//! [`SqliteConnection::interact`] runs a closure with the [`rusqlite::Connection`] on a worker thread.
//! A call that is dropped, or lasts longer than [`query_timeout`](SqliteConfig::query_timeout) (60 s),
//! really stops: SQLite's interrupt ends the statement, and the connection is not handed out before
//! its closure has returned. What it left behind (an open transaction) is undone first.
//!
//! # Threads
//!
//! All connections of a manager share [`workers`](SqliteConfig::workers) threads (the cores, at least
//! 4), so 10,000 connections do not mean 10,000 threads. A call that waits for another connection's
//! lock gives its worker's turn away, to up to [`spare_workers`](SqliteConfig::spare_workers) (32) more
//! threads, and the call of a connection that holds a lock goes first: a writer's COMMIT never queues
//! behind those who wait for it. What the pool itself asks for (open, check, reset, close) has a thread
//! that no call takes, so a pool whose workers are all in long calls does not think its database dead.
//!
//! Of the ways to drive SQLite from async code this is the cheapest under load that does not block
//! the runtime; ns a call on two cores, `cargo bench -p pool-sqlite --bench driving`:
//!
//! | | `SELECT`, 1 task | 64 tasks | 1,000 tasks |
//! | --- | ---: | ---: | ---: |
//! | inline (blocks the runtime) | 2,903 | 2,920 | 3,156 |
//! | `spawn_blocking` | 46,553 | 11,688 | 12,291 |
//! | a thread for each connection | 25,505 | 9,035 | 12,345 |
//! | this crate, 2 workers | 12,532 | 3,729 | 7,873 |
//!
//! # One writer, many readers
//!
//! SQLite has one writer at a time; who else wants to write waits for its lock. [`SqlitePools`] makes
//! that a queue of the pool, fair and with a deadline, and lets readers read meanwhile:
//!
//! ```
//! use pool_sqlite::{SqliteConfig, SqliteManager, SqlitePools};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("app.db");
//! let db = SqlitePools::new(SqliteManager::new(SqliteConfig::file(file)), 8)?;
//! db.writer().get().await?.interact(|sqlite| sqlite.execute_batch("CREATE TABLE t (x)")).await?;
//! let rows: i64 = db
//!     .readers()
//!     .get()
//!     .await?
//!     .interact(|sqlite| sqlite.query_row("SELECT count(*) FROM t", [], |row| row.get(0)))
//!     .await?;
//! assert_eq!(rows, 0);
//! db.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What a returned connection is given back as
//!
//! Whether a session was changed is seen for free, by SQLite's authorizer; one that was not is
//! handed on as it is.
//!
//! | left behind | what happens |
//! | --- | --- |
//! | an open transaction | rolled back |
//! | attached databases, temporary tables, changed pragmas, functions, hooks | a new handle takes the old one's place, set up as configured |
//! | a running statement (the call was dropped) | interrupted; the connection waits for its end |
//! | a closure that panicked | the connection is closed |
//! | what SQLite shows nobody (functions registered by hand) | reset when [`reset_on_return`](SqliteConnection::reset_on_return) says so, or always with [`Reset::Always`] |
//!
//! # A file that is replaced
//!
//! Close the pool before a file is deleted or replaced, a backup put back for instance, and take its
//! `-wal` and `-shm` away with it; SQLite would play the old log into the new file. Where it happened
//! all the same, a write with a rollback journal fails with [`SqliteError::FileMoved`], and the next
//! validation finds it in any journal mode: all connections are then opened anew. What was written
//! before that, in WAL mode, is lost with the old file.
//!
//! # Timeouts
//!
//! | what | setting | default |
//! | --- | --- | --- |
//! | waiting for a connection | `acquire_timeout` of the pool | 30 s |
//! | opening the file | `connect_timeout` of the pool | 10 s |
//! | one call | [`query_timeout`](SqliteConfig::query_timeout), [`interact_timeout`](SqliteConnection::interact_timeout) | 60 s |
//! | waiting for another connection's lock | [`busy_timeout`](SqliteConfig::busy_timeout) | 5 s |
//!
//! # Memory
//!
//! SQLite reserves 48 KB of lookaside memory for each handle. A program that holds thousands can halve
//! what a handle takes with `LIBSQLITE3_FLAGS = "-DSQLITE_DEFAULT_LOOKASIDE=128,64"` in the `[env]` of its
//! `.cargo/config.toml`, as this project does. A memory database lives as long as its managers and their
//! connections.
//!
//! # Features
//!
//! `bundled` (default) compiles SQLite into the program; without it the system's library is linked.

#![forbid(unsafe_code)]

mod config;
mod connection;
mod database;
mod error;
mod file;
mod lock_wait;
mod manager;
mod pools;
mod session;
mod slot;
mod url;
mod watch;
mod workers;

pub use config::{JournalMode, OpenMode, Reset, SqliteConfig, Synchronous};
pub use connection::SqliteConnection;
pub use error::SqliteError;
pub use manager::SqliteManager;
pub use pool_core;
pub use pools::SqlitePools;
pub use rusqlite;
pub use workers::WorkerStats;

/// A pool of SQLite connections.
pub type Pool = pool_core::Pool<SqliteManager>;
/// A connection checked out of a [`Pool`].
pub type PooledConnection = pool_core::PooledConnection<SqliteManager>;
/// Why there is no connection.
pub type PoolError = pool_core::Error<SqliteError>;
