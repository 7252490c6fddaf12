//! One database as all its managers and connections share it: settings, worker threads, and the
//! first open.
//!
//! The first connect of a process prepares the database before any other goes on: it creates the
//! file and switches it to its journal mode, which needs the file for itself, and it makes a
//! read-only connection possible before anybody has written. For a database in memory it also keeps
//! a handle, so that the contents outlive the pool's connections.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::config::{Location, OpenMode, SqliteConfig};
use crate::error::SqliteError;
use crate::session::Session;
use crate::workers::Workers;

pub(crate) struct Database {
    pub(crate) config: SqliteConfig,
    pub(crate) workers: Workers,
    /// What SQLite is given to open.
    path: PathBuf,
    /// What people are told.
    pub(crate) name: String,
    /// Set once the first open has gone well; holds the handle that keeps a memory database alive.
    pub(crate) prepared: OnceCell<Option<Mutex<Box<Session>>>>,
}

impl Database {
    pub(crate) fn new(config: SqliteConfig) -> Self {
        let (path, name) = match &config.location {
            Location::File(path) => (path.clone(), format!("sqlite:{}", path.display())),
            Location::Memory(None) => (
                memory_uri('u', &unique()).into(),
                "sqlite::memory:".to_owned(),
            ),
            Location::Memory(Some(name)) => (
                memory_uri('n', name).into(),
                format!("sqlite:{name}?mode=memory"),
            ),
        };
        let workers = Workers::new(config.workers, config.spare_workers);
        Self {
            config,
            workers,
            path,
            name,
            prepared: OnceCell::new(),
        }
    }

    /// Opens a handle; blocks. Its calls stop when `cancelled`.
    pub(crate) fn open(
        &self,
        mode: OpenMode,
        cancelled: Arc<AtomicBool>,
    ) -> Result<Session, SqliteError> {
        if let Location::File(path) = &self.config.location
            && let Some(rule) = broken_rule(path)
        {
            return Err(SqliteError::CannotOpen {
                path: path.display().to_string(),
                hint: format!("the path of the file {rule}"),
                source: rusqlite::Error::InvalidPath(path.clone()),
            });
        }
        Session::open(&self.config, &self.path, mode, cancelled)
    }
}

/// Why SQLite would not take `path` for the name of a file, or not of this one.
fn broken_rule(path: &Path) -> Option<&'static str> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() {
        Some("must not be empty: SQLite would make a temporary database for each connection")
    } else if bytes.starts_with(b"file:") {
        Some(
            "must not begin with `file:`: SQLite may take it for a URI; write `./file:` for a file",
        )
    } else if bytes.contains(&0) {
        Some("must not hold a NUL")
    } else if cfg!(not(unix)) && path.to_str().is_none() {
        Some("must be valid Unicode on this system")
    } else {
        None
    }
}

/// The `memdb` file system shares what begins with a slash among all handles of the process. The
/// older way, `cache=shared`, is not used: it locks tables, and its locks ignore `busy_timeout`.
/// Names of a `kind` are apart from those of another, and none is too short to be shared.
fn memory_uri(kind: char, name: &str) -> String {
    use std::fmt::Write;
    let mut uri = format!("file:/{kind}-");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing into a `String` cannot fail.
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.push_str("?vfs=memdb");
    uri
}

fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Only its being different matters.
    format!("pool-sqlite-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
