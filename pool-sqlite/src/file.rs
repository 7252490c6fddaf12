//! Whether the file that a handle has open is still the one at its path.
//!
//! A file that is deleted, or makes place for another (a backup that is put back), lives on for those
//! who have it open, and what they write goes with it. With a rollback journal SQLite looks before it
//! writes (`SQLITE_READONLY_DBMOVED`), with a write-ahead log it never does ("How To Corrupt An SQLite
//! Database File", section 2.5).

use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// The file of a handle, as it was when the handle was opened.
pub(crate) struct OpenFile {
    path: PathBuf,
    identity: Identity,
}

impl OpenFile {
    /// `None` for a database in memory, and where the system does not tell one file from another.
    pub(crate) fn of(conn: &Connection) -> Option<Self> {
        let path = PathBuf::from(conn.path()?);
        let identity = identity(&path)?;
        Some(Self { path, identity })
    }

    /// Whether its path still leads to it.
    pub(crate) fn is_in_place(&self) -> bool {
        identity(&self.path) == Some(self.identity)
    }
}

/// The device and the number of the file on it.
type Identity = (u64, u64);

/// The file is not opened: see [`SqliteError::opening`](crate::SqliteError::opening).
#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Where an open file cannot be deleted or replaced, there is nothing to look for.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}
