//! A driver-agnostic, generic connection pool for async Rust.
//!
//! Two things set it apart: a checkout costs nearly nothing, on one core and on many, with every
//! feature on; and nothing is ever lost, whatever is cancelled, panics, hangs or dies.
//!
//! Use a backend crate (`pool-postgres`, `pool-mysql`, `pool-sqlite`), or write a [`Manager`]:
//!
//! ```
//! use pool_core::{Manager, Pool};
//! use std::time::Duration;
//! use tokio::io::AsyncWriteExt;
//! use tokio::net::TcpStream;
//!
//! struct Lines(std::net::SocketAddr);
//!
//! impl Manager for Lines {
//!     type Connection = TcpStream;
//!     type Error = std::io::Error;
//!
//!     async fn connect(&self) -> std::io::Result<TcpStream> {
//!         TcpStream::connect(self.0).await
//!     }
//!     async fn validate(&self, conn: &mut TcpStream) -> std::io::Result<()> {
//!         conn.write_all(b"ping\n").await
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = server.local_addr()?;
//! let pool = Pool::builder(Lines(address))
//!     .max_size(20)
//!     .acquire_timeout(Duration::from_secs(3))
//!     .build()?;
//!
//! let mut conn = pool.get().await?; // waits for up to 3 s, in the order of arrival
//! conn.write_all(b"hello\n").await?;
//! drop(conn); // back to the pool
//!
//! println!("{}", pool.stats());
//! pool.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A tour
//!
//! | to | see |
//! | --- | --- |
//! | make a pool | [`Pool::builder`], [`PoolBuilder::build`] (lazy), [`PoolBuilder::connect`] (eager) |
//! | configure it from the environment, a URL or a file | [`PoolConfig`] |
//! | check a connection out | [`Pool::get`], [`Pool::get_timeout`], [`Pool::try_get`] |
//! | give it back | drop the [`PooledConnection`]; or [`detach`](PooledConnection::detach), [`invalidate`](PooledConnection::invalidate) |
//! | know what happens | [`Pool::stats`], [`Pool::holders`], [`Error::Timeout`], `tracing` events |
//! | change it while it runs | [`Pool::resize`], [`Pool::retire_all`], [`Pool::retain`] |
//! | know whether it is well | [`Pool::health`], [`Health`] |
//! | do something at each connect, checkout, return or close (hooks) | a [`Manager`] around the manager: `examples/around_a_manager.rs` |
//! | live through an outage | [`Pool::breaker`], [`BreakerState`], [`Error::CircuitOpen`] |
//! | hold it still for maintenance | [`Pool::pause`], [`Pool::resume`] |
//! | look after several pools | [`Pools`], [`AnyPool`] |
//! | see its last seconds | [`Pool::windows`] |
//! | end it | [`Pool::close`], [`CloseReport`] |
//! | choose a manager at run time | [`BoxManager`] |
//! | test a manager, or an application in bad weather | `pool_core::testing` (feature `testing`) |
//!
//! # What it promises
//!
//! 1. There are never more than `max_size` connections, those being opened or closed included (but
//!    for what `reclaim_threshold` takes back, and after a `resize` to less until holders return).
//! 2. Dropping any future at any point loses nothing: no connection, no slot, no wake-up.
//! 3. Waiters are served in the order they came; a newcomer never overtakes them.
//! 4. A waiter gets whichever is first, a returned connection or a new one.
//! 5. At most `max_connecting` connects run at once, none dies with the caller that caused it, and
//!    after a failure they are paced.
//! 6. A connection known to be broken is never handed out.
//! 7. Manager code that panics, hangs or errs costs its own connection only.
//! 8. Closing fails waiters at once, lets holders finish, and reports who did not.
//! 9. A guard may be dropped anywhere.
//! 10. Reading statistics or health takes no lock of the queue or of the idle connections: neither
//!     a checkout that finds a fit connection nor one that waits is held up, but for a moment where
//!     a use is traced (its span or its calls) or a task's own connections are looked for
//!     (`nested_acquire`).
//! 11. Nothing depends on the wall clock; with a paused runtime clock every timer can be tested.
//! 12. No message, `Debug` or metric shows a password.
//!
//! # Log events
//!
//! All have targets that begin with `pool_core`, and the field `pool`; nothing is logged on the
//! fast path.
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | debug | connection opened | `connection`, `took` |
//! | debug | connection closed | `connection`, `reason`, `age`, `uses` |
//! | debug | checkout timed out | `waited`, `stage`, `snapshot` |
//! | warn | cannot connect | `error`, `failures`, `retry_in` |
//! | info | connects succeed again | `failures` |
//! | warn | validation failed / recycling failed, the connection is closed | `connection`, `error` |
//! | warn | connection held for longer than `leak_threshold` | `connection`, `site`, `held_for`, `held_in`, `backtrace` |
//! | warn | checkout waits for long | `site`, `waited`, `others`, `snapshot` |
//! | warn | checkout waits for long, and its own task holds a connection | and `held` |
//! | warn | overloaded | `waiting`, `oldest`, `shedding` |
//! | info | no longer overloaded | `waiting`, `shed` |
//! | info | scaled | `from`, `to`, `reason`, `utilisation` |
//! | info | connection that was held for long came back | `connection`, `site`, `held_for` |
//! | warn | connection held for longer than `reclaim_threshold` | `connection`, `site`, `held_for` |
//! | warn | circuit breaker opened | `state`, `error` |
//! | info | circuit breaker changed (half-open for a probe, and back to open: debug) | `state` |
//! | warn | a connection is of no use any more: those opened before are replaced | `generation` |
//! | warn | the server takes no more connections | `error` |
//! | info | paused | `meanwhile` |
//! | info | resumed | |
//! | info | resized | `min_size`, `max_size`, `closing` |
//! | info | all connections retired | `generation` |
//! | info | pool closed, pool shut down | `idle`, `report` |
//! | warn | connection still held after the pool was closed | `connection`, `site`, `held_for` |
//!
//! # Features
//!
//! None is on by default. `serde`: [`PoolConfig`] and [`Stats`]. `opentelemetry`: statistics by the
//! names of its conventions. `metrics`, `prometheus-client`: statistics for the crates of these
//! names. `dashboard`: a live page and its endpoints, as an axum router. `testing`: the scripted
//! mock manager and the conformance kit.

mod acquire;
mod breaker;
mod builder;
mod cause;
mod close;
mod config;
pub mod duration;
mod error;
pub mod export;
mod guard;
mod health;
mod inner;
mod keeper;
mod manager;
mod metadata;
mod password;
mod policy;
mod pool;
mod recycle;
mod registry;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
pub mod url;
mod waiting;

pub use breaker::BreakerHandle;
pub use builder::PoolBuilder;
pub use cause::Cause;
pub use close::CloseReport;
pub use config::{
    ConfigError, ConfigProblem, NestedAcquire, Parameter, PoolConfig, Reuse, Shedding, Validation,
};
pub use error::{Error, Stage};
pub use guard::PooledConnection;
pub use health::{ConnectFailure, Health, HealthStatus};
pub use inner::exchange::WhilePaused;
pub use manager::{BoxManager, Condition, DynManager, Interrupter, Manager, Severity};
pub use metadata::Metadata;
pub use password::PasswordProvider;
pub use policy::breaker::BreakerState;
pub use policy::scaler::ScaleReason;
pub use pool::Pool;
pub use recycle::Recycle;
pub use registry::{AnyPool, Pools, PoolsHealth};
pub use stats::{
    Buckets, CloseReason, ClosedBy, Holder, LatencySummary, Snapshot, Stats, Window, Windows,
};
