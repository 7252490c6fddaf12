//! An async connection pool for MySQL and MariaDB on [`mysql_async`], in place of its own pool.
//!
//! ```no_run
//! use pool_mysql::mysql_async::prelude::Queryable;
//! use pool_mysql::{MySqlConfig, MySqlManager, Pool};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = MySqlConfig::from_url("mysql://app@localhost/orders")?;
//! let pool = Pool::builder(MySqlManager::new(config)).max_size(20).build()?;
//!
//! let mut conn = pool.get().await?;
//! let paid: Option<i64> = conn.query_first("SELECT count(*) FROM orders WHERE paid").await?;
//! # let _ = paid;
//! # Ok(())
//! # }
//! ```
//!
//! A [`MySqlConnection`] dereferences to [`mysql_async::Conn`]. Everything of the pool is
//! [`pool_core`]'s: sizes, timeouts, statistics, shutdown. What is particular to MySQL is told at
//! [`MySqlConfig`] (settings and URL parameters), [`Recycle`] (what a returned connection is reset
//! to) and [`MySqlError`] (causes, codes, and which are transient).

#![forbid(unsafe_code)]

mod config;
mod connection;
mod connector;
mod error;
mod manager;
mod server;
mod session;
mod url;

pub use config::{MySqlConfig, Recycle};
pub use connection::MySqlConnection;
pub use error::{Cause, MySqlError};
pub use manager::MySqlManager;
pub use mysql_async;
pub use pool_core;
pub use server::{Flavour, ServerInfo};
pub use url::UrlError;

/// A pool of connections to MySQL or MariaDB.
pub type Pool = pool_core::Pool<MySqlManager>;
/// A connection checked out of a [`Pool`].
pub type PooledConnection = pool_core::PooledConnection<MySqlManager>;
/// Why there is no connection.
pub type PoolError = pool_core::Error<MySqlError>;
