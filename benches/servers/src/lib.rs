//! Throw-away database servers, and a proxy that breaks the network to them.
//!
//! A test that wants a server starts one, for itself alone, from the programs installed on the
//! machine; nobody has to prepare anything, and two tests never share state:
//!
//! ```no_run
//! use pool_servers::Postgres;
//!
//! let server = Postgres::new().setting("max_connections", "20").start()?;
//! println!("{} {} at {}", server.name(), server.version(), server.url());
//! server.kill()?; // an outage: SIGKILL to every process of it
//! server.restart()?; // the same data, port and socket
//! # Ok::<(), pool_servers::ServerError>(())
//! ```
//!
//! - [`Postgres`], [`MySql`] (MariaDB, or Oracle's MySQL) and [`PgBouncer`] say what to start;
//!   [`Server`] is what runs: its addresses, its end, its hanging, its memory.
//! - [`Postgres::standby_of`] and [`MySql::replica_of`] follow a server until [`Server::promote`].
//! - [`Session`] is a connection without a driver, for what a test has to ask on the side.
//! - [`FaultProxy`] stands between a pool and its server and delays, cuts, swallows or refuses.
//! - [`Scratch`] is a folder for files that go with the process.
//! - [`eventually`] and [`until`] wait for what happens by itself.
//! - [`Callers`] are many at once, and say who of them has been served.
//! - [`Certificates`] come with a server started with TLS.
//!
//! # How a server starts, and why it is quick
//!
//! ```text
//! folder + watchdog ─> data directory ─> free port ─> process ─> answers? ─> Server
//!                      copy of a template             (else: log)
//! ```
//!
//! Making a data directory takes half a second and more; the first server of a kind leaves a copy
//! in cargo's target directory, and the next ones copy that. Nothing of a server is made to last:
//! no sync to disk, no double writing, small caches.
//!
//! # How nothing is left behind
//!
//! Dropping a [`Server`] kills its processes, also when a test panics, and lets go of a pipe that only
//! the test process held; so does the end of that process, when it is killed itself. A watchdog, a
//! shell that was reading from the pipe, kills what still runs, removes the folder and, of a
//! PostgreSQL that was killed, its segment of shared memory.
//!
//! The folder is in `TMPDIR` if that is set, or else in `/dev/shm` where that has room for 2 GiB: the
//! hundreds of files of a new server take a tenth of the time there.
//!
//! # As root
//!
//! PostgreSQL and PgBouncer refuse to run as root. A test that runs as root starts its servers as
//! `nobody`; nothing has to be created for that.

#![forbid(unsafe_code)]

mod account;
mod callers;
mod certificates;
mod error;
mod folder;
mod kind;
mod memory;
mod mysql;
mod pgbouncer;
mod port;
mod postgres;
mod processes;
mod programs;
mod proxy;
mod replication;
mod running;
mod scratch;
mod server;
mod session;
mod template;
mod waiting;

pub use callers::Callers;
pub use certificates::Certificates;
pub use error::ServerError;
pub use memory::Memory;
pub use mysql::MySql;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use proxy::{Connect, FaultProxy};
pub use scratch::Scratch;
pub use server::Server;
pub use session::{Row, Session, SessionError};
pub use waiting::{eventually, until};
