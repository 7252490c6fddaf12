//! The `sqlite` backend of `pool-core`.

mod config;
mod connection;
mod database;
mod error;
mod lock_wait;
mod manager;
mod session;
mod slot;
mod url;
mod watch;
mod workers;

pub use config::{JournalMode, OpenMode, Reset, SqliteConfig, Synchronous};
pub use connection::SqliteConnection;
pub use error::SqliteError;
pub use manager::SqliteManager;
pub use rusqlite;
pub use url::UrlError;
pub use workers::WorkerStats;
