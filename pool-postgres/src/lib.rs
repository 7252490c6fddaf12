//! An async connection pool for PostgreSQL on [`tokio_postgres`].
//!
//! ```no_run
//! use pool_postgres::{PgConfig, PgManager, Pool};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config: PgConfig = "postgres://app@localhost/orders".parse()?;
//! let pool = Pool::builder(PgManager::new(config)).max_size(20).build()?;
//!
//! let conn = pool.get().await?;
//! let row = conn.query_one("SELECT count(*) FROM orders WHERE paid = $1", &[&true]).await?;
//! let paid: i64 = row.get(0);
//! # let _ = paid;
//! # Ok(())
//! # }
//! ```
//!
//! A [`PgConnection`] dereferences to [`tokio_postgres::Client`]. Everything of the pool is
//! [`pool_core`]'s: sizes, timeouts, statistics, shutdown. Here is what is particular to PostgreSQL.
//!
//! # How a connection comes back clean, and what that costs
//!
//! The driver does not tell whether a connection is in a transaction. The protocol does: the server
//! ends each answer with its state. This crate reads along on the wire, so at a return it knows for
//! free whether an answer is outstanding, a transaction open, or a session setting changed, and a
//! connection that is clean needs no round trip.
//!
//! | left behind | seen by | what happens |
//! | --- | --- | --- |
//! | a query in flight, an unfinished COPY | requests without an answer | its end is waited for; after 20 ms it is cancelled on the server |
//! | a statement that failed | the state in the server's answer | nothing; in a transaction as below |
//! | a `COPY FROM` that somebody goes on with | its rows' end, which was not sent | it is closed after 20 ms: the server hears of no cancel |
//! | a `COPY FROM` that failed | its error | it is closed: the driver takes later answers for its own |
//! | an open or failed transaction | the state in the server's answer | `ROLLBACK` |
//! | `SET`, `LISTEN`, `PREPARE`, `DECLARE`, `LOAD`, `DO`, `CALL`, `EXPLAIN`, `CREATE …` | the tag of each command | settings reset, `UNLISTEN *`, cursors closed, advisory locks and temporary tables dropped; prepared statements of the driver stay |
//! | rows selected into a temporary table | a `SELECT` that shows no rows | the same; of none at all, by a prepared statement, nothing is seen |
//! | what functions do to the session (`set_config`, `pg_advisory_lock`) | nobody | the same, with [`Recycle::Clean`] |
//! | a connection the server closed | the driver | it is closed |
//!
//! [`PgConfig::recycle`] lists the policies.
//!
//! # Prepared statements
//!
//! A connection keeps the statements prepared with
//! [`prepare_cached`](PgConnection::prepare_cached) and
//! [`query_cached`](PgConnection::query_cached) (100, the least recently used go first); they
//! outlive a reset. After an error that says that one has become useless (0A000: a table has changed;
//! 26000: the server does not know it), after `DISCARD ALL` and after `DEALLOCATE ALL` all are prepared
//! anew. [`statements`](PgConnection::statements) serves transactions as well.
//!
//! # Timeouts
//!
//! | what | setting | default |
//! | --- | --- | --- |
//! | waiting for a connection | `acquire_timeout` of the pool | 30 s |
//! | connecting and logging in | `connect_timeout` of the pool | 10 s |
//! | one host of several | `connect_timeout` in the URL | 3 s; of one host, the pool's |
//! | reaching one of several addresses of a host | `connect_timeout` in the URL | 3 s |
//! | one statement | [`statement_timeout`](PgConfig::statement_timeout) | 60 s, by the server |
//! | validating, recycling, closing | `validate_timeout`, `recycle_timeout`, `close_timeout` of the pool | 5 s each |
//!
//! # Giving a statement up
//!
//! Drop its future and return the connection: what still runs is cancelled, and the connection is
//! handed on only when the server has taken the cancel request. One of your own, by the driver's
//! [`CancelToken`](tokio_postgres::CancelToken), is on its way when the driver says it is done: it may
//! hit what the next user of the connection runs, unless you keep the connection until the statement
//! has ended.
//!
//! # When the primary changes
//!
//! A pool that writes wants `target_session_attrs=read-write`: no connect ends on a standby, whether
//! several hosts are named or a name that moves. A server that stops taking writes and keeps its
//! connections (fenced, or exchanged behind a pooler) is left when it refuses one (25006), or when a
//! connection is validated, which asks for it: all its connections are replaced. A write in a
//! transaction that its user began as read-only costs a round trip at the return, and no connection.
//!
//! # Notices and notifications
//!
//! Notices are logged at debug, or go to [`on_notice`](PgConfig::on_notice). Notifications come by
//! [`PgConnection::notifications`]; a connection that has listened stops when it is returned.
//!
//! # TLS
//!
//! With the feature `rustls` (provider `ring`), or else `native-tls` (OpenSSL, Schannel or Secure
//! Transport, whichever is the system's; tried with OpenSSL 3), in libpq's words: `sslmode` `disable`,
//! `prefer` (the default), `require`, `verify-ca`, `verify-full`; `sslrootcert`, without it the
//! authorities that Mozilla trusts (`rustls`) or the system (`native-tls`); `sslcert` and `sslkey` (for
//! `native-tls` in PKCS#8). The files are read at each connect. Cancel requests take the same way.
//! `prefer` goes on without encryption where the server has none; unlike libpq's it does not try again
//! without where the server speaks TLS and the handshake or the login fails. Across a network that is
//! not yours only `verify-full` keeps others out.
//!
//! `sslnegotiation=direct` (PostgreSQL 17 and later; with `require` or stronger) spares the question
//! whether the server encrypts, and its round trip. The tests have it answered by a stand-in before
//! PostgreSQL 15, which agrees on the protocol `postgresql` as version 17 does.
//!
//! A login by SCRAM over an encrypted connection is bound to the server's certificate
//! (SCRAM-SHA-256-PLUS), so that nobody in between can pass it on: `channel_binding=prefer`. `require`
//! refuses a login that cannot be bound: without encryption, without a password, or with a certificate
//! whose signature names no hash (Ed25519; by `native-tls` RSA-PSS, too). Where something in front of
//! the server ends its encryption and begins another, say `disable`. The driver's
//! [`CancelToken`](tokio_postgres::CancelToken) of a connection that may be bound takes no stream with
//! `NoTls`: whoever cancels by hand says `disable`, too.
//!
//! # Poolers in between
//!
//! Behind PgBouncer in transaction mode a connection of this pool has another server connection for
//! each transaction. So nothing that belongs to a session can be relied on: set
//! [`statement_timeout(None)`](PgConfig::statement_timeout), no [`init_sql`](PgConfig::init_sql) and no
//! [`session`](PgConfig::session) settings (they travel in the startup packet, which PgBouncer
//! refuses unless told to ignore `options`). Before PgBouncer 1.21 that goes for prepared statements,
//! too: set [`statement_cache(0)`](PgConfig::statement_cache), and outside of a transaction take what
//! needs no more than one round trip
//! ([`query_typed`](tokio_postgres::Client::query_typed) and its kin, or
//! [`simple_query`](tokio_postgres::Client::simple_query)): what prepares first may find nothing
//! prepared when it runs. What is seen on the wire stays right: a transaction left open is rolled
//! back. Tried on a real PgBouncer by the tests.
//!
//! # Versions
//!
//! | server | tried | driver |
//! | --- | --- | --- |
//! | PostgreSQL 15 | by every test | `tokio-postgres` 0.7.18 |
//! | PgBouncer 1.18, transaction mode | `pooler.rs` | |
//! | PostgreSQL 14, 16, 17, 18 | by every test but the failovers, on demand (`scripts/test-postgres`) | |
//! | 12, 13 | not by us; the protocol (3.0) is the same | |
//!
//! [`PgConnection::server_version`] tells which one answers.

#![forbid(unsafe_code)]

mod config;
mod connection;
mod driver;
mod error;
mod host;
mod hosts;
mod manager;
mod messages;
mod statements;
mod target;
mod tls;
mod url;
mod wire;

pub use config::PgConfig;
pub use connection::PgConnection;
pub use error::PgError;
pub use manager::PgManager;
pub use messages::Notifications;
pub use pool_core::{self, Cause, Recycle};
pub use statements::Statements;
pub use tls::SslMode;
pub use tokio_postgres;

/// A pool of PostgreSQL connections.
pub type Pool = pool_core::Pool<PgManager>;
/// A connection checked out of a [`Pool`].
pub type PooledConnection = pool_core::PooledConnection<PgManager>;
/// Why there is no connection.
pub type PoolError = pool_core::Error<PgError>;
