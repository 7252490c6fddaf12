//! MySQL and MariaDB.

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
