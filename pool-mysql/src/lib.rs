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
//! [`MySqlConfig`] (settings and URL parameters), [`MySqlConfig::recycle`] (what a returned connection is reset
//! to) and [`MySqlError`] (causes, codes, and which are transient).
//!
//! # Timeouts
//!
//! | what | setting | default |
//! | --- | --- | --- |
//! | waiting for a connection | `acquire_timeout` of the pool | 30 s |
//! | connecting and logging in | `connect_timeout` of the pool | 10 s |
//! | one statement | [`statement_timeout`](MySqlConfig::statement_timeout): `max_statement_time` on MariaDB, `max_execution_time` (of `SELECT` only) on MySQL | 60 s |
//! | validating, recycling, closing | `validate_timeout`, `recycle_timeout`, `close_timeout` of the pool | 5 s each |
//! | an idle connection, by the server | its `wait_timeout`, 8 h unless set; keep the pool's `idle_timeout` or `keepalive` below it | 10 min, 60 s |
//!
//! # When the primary changes
//!
//! A server that becomes a replica keeps its connections, and refuses writes (1290, 1836, 1874). A
//! connection that was opened while it took them is closed when it comes back with such an error, and
//! so are all others of its age: new ones may reach the new primary. While the name leads to the old one
//! still, each that is refused is closed alone. Connections of a pool that never reached a primary are
//! kept. What the driver's own `Conn` was told is not seen, nor what an account is allowed that is
//! exempt from `read_only`.
//!
//! # TLS
//!
//! With the feature `rustls` (provider `ring`): `tls_ca=/etc/ca.pem` trusts one authority,
//! `require_ssl=true` those that Mozilla trusts, and [`MySqlConfig::tls`](MySqlConfig) takes the
//! driver's options, client certificates among them. A server without TLS is then refused.
//!
//! # Proxies in between
//!
//! Not tried by us; by their manuals, `ProxySQL` and `MaxScale` give a client's statements to whatever
//! server connection is free, as long as the session has no state that they track. A session
//! setting of [`MySqlConfig`] keeps them from it, so set as few as possible. Connection numbers are
//! the proxy's: before a `KILL` this crate compares what server answers, and stops nothing where it is
//! another one. Some proxies answer a ping by themselves:
//! [`validation_query`](MySqlConfig::validation_query) asks the server.
//!
//! # Versions
//!
//! | server | tried | driver |
//! | --- | --- | --- |
//! | MariaDB 10.11 | by every test | `mysql_async` 0.37 |
//! | MySQL 9 (Oracle's) | by every test, where it can be installed (`scripts/test-mysql`) | |
//! | MySQL 5.7, 8.0, 8.4, MariaDB 10.2 and later | not by us | |
//!
//! [`MySqlConnection::server`] tells which one answers.

#![forbid(unsafe_code)]

mod commands;
mod config;
mod connection;
mod connector;
mod error;
mod manager;
mod mark;
mod queryable;
mod server;
mod session;
mod transaction;
mod url;

pub use config::MySqlConfig;
pub use connection::MySqlConnection;
pub use error::MySqlError;
pub use manager::MySqlManager;
pub use mysql_async;
pub use pool_core::{self, Cause, Recycle};
pub use server::{Flavour, ServerInfo};
pub use transaction::Transaction;

/// A pool of connections to MySQL or MariaDB.
pub type Pool = pool_core::Pool<MySqlManager>;
/// A connection checked out of a [`Pool`].
pub type PooledConnection = pool_core::PooledConnection<MySqlManager>;
/// Why there is no connection.
pub type PoolError = pool_core::Error<MySqlError>;
