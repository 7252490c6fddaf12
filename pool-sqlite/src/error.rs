//! What can go wrong with SQLite, told apart by what to do about it.
//!
//! SQLite answers `database is locked` to two different questions and `unable to open database
//! file` when the process has run out of descriptors. The variants here say which it was; the
//! driver's own error stays inside as the source.

use std::any::Any;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::ErrorCode;

/// Why a call on a [`SqliteConnection`](crate::SqliteConnection) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// SQLite refused: a constraint, a syntax error, a missing table, a full disk.
    #[error("SQLite: {0}")]
    Rusqlite(#[source] rusqlite::Error),

    /// Another connection held the lock longer than `busy_timeout`.
    #[error(
        "the database stayed locked by another connection (SQLITE_BUSY): {0}; \
         keep write transactions short, begin them IMMEDIATE, or raise busy_timeout"
    )]
    Busy(#[source] rusqlite::Error),

    /// A read transaction wanted to write, but its view of the database is out of date. Waiting
    /// cannot help: roll back and begin again.
    #[error(
        "a read transaction cannot become a write transaction, since another connection wrote in \
         the meantime (SQLITE_BUSY_SNAPSHOT): {0}; begin transactions that write with IMMEDIATE"
    )]
    StaleSnapshot(#[source] rusqlite::Error),

    /// A table is locked inside this process: by the same connection's own open statement, or by
    /// a connection in shared-cache mode. `busy_timeout` does not apply.
    #[error("a table is locked within this process (SQLITE_LOCKED): {0}")]
    Locked(#[source] rusqlite::Error),

    /// The database file could not be opened.
    #[error("cannot open `{path}`: {source}; {hint}")]
    CannotOpen {
        /// What was to be opened.
        path: String,
        /// What the process could find out about the reason.
        hint: String,
        /// SQLite's own answer.
        source: rusqlite::Error,
    },

    /// The database file was moved, deleted or replaced while this connection had it open. The pool
    /// closes the connection; the next one opens what is there now.
    #[error(
        "the database file was moved, deleted or replaced while it was open; the next connection opens \
         what is at its path now"
    )]
    FileMoved,

    /// The call took longer than `query_timeout`, or the time it was given, and was interrupted.
    #[error("interrupted after the query timeout of {0:?}")]
    Timeout(Duration),

    /// The call was interrupted from outside: by the pool's shutdown, or by somebody with the
    /// interrupt handle.
    #[error("interrupted before it was done (SQLITE_INTERRUPT)")]
    Interrupted,

    /// The closure panicked. Its connection has been closed.
    #[error("the closure panicked, and its connection was closed: {0}")]
    Panicked(String),

    /// The connection is closed: an earlier call panicked on it or found no thread to run on.
    #[error("the connection is closed")]
    Closed,

    /// The operating system gave no thread to run SQLite on.
    #[error("cannot start a thread to run SQLite on: {0}")]
    NoThread(#[source] io::Error),
}

impl SqliteError {
    /// Whether the same call may well succeed when tried again a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy(_)
            | Self::StaleSnapshot(_)
            | Self::Locked(_)
            | Self::FileMoved
            | Self::Timeout(_)
            | Self::Interrupted
            | Self::NoThread(_) => true,
            Self::CannotOpen { .. } | Self::Rusqlite(_) | Self::Panicked(_) | Self::Closed => false,
        }
    }

    /// Whether the call was stopped by the query timeout.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// The driver's error, where SQLite itself gave one.
    pub fn as_rusqlite(&self) -> Option<&rusqlite::Error> {
        match self {
            Self::Rusqlite(error)
            | Self::Busy(error)
            | Self::StaleSnapshot(error)
            | Self::Locked(error)
            | Self::CannotOpen { source: error, .. } => Some(error),
            _ => None,
        }
    }

    /// Tells an error of opening `path` from the others, and why it could not be opened.
    pub(crate) fn opening(error: rusqlite::Error, path: &Path) -> Self {
        if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) {
            let hint = why_cannot_open(path);
            return Self::CannotOpen {
                path: path.display().to_string(),
                hint,
                source: error,
            };
        }
        Self::from(error)
    }

    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::Panicked(message)
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error() {
            Some(e) if e.extended_code == rusqlite::ffi::SQLITE_BUSY_SNAPSHOT => {
                Self::StaleSnapshot(error)
            }
            Some(e) if e.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED => Self::FileMoved,
            Some(e) => match e.code {
                ErrorCode::DatabaseBusy => Self::Busy(error),
                ErrorCode::DatabaseLocked => Self::Locked(error),
                ErrorCode::OperationInterrupted => Self::Interrupted,
                ErrorCode::CannotOpen => Self::opening_somewhere(error),
                _ => Self::Rusqlite(error),
            },
            None => Self::Rusqlite(error),
        }
    }
}

impl SqliteError {
    /// An open that failed inside a closure or late (SQLite opens its files lazily): which file is
    /// not known.
    fn opening_somewhere(error: rusqlite::Error) -> Self {
        let hint = descriptors_hint().unwrap_or_else(|| {
            "the file, its directory or its journal is missing or not accessible".to_owned()
        });
        Self::CannotOpen {
            path: "a database file".to_owned(),
            hint,
            source: error,
        }
    }
}

/// SQLite says the same for a missing directory, for missing rights, and for `EMFILE`.
///
/// The database file itself is never opened to find out: closing any descriptor of a file drops
/// every POSIX lock the process holds on it, those of SQLite's other connections included.
fn why_cannot_open(path: &Path) -> String {
    if let Some(hint) = descriptors_hint() {
        return hint;
    }
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => "it is a directory".to_owned(),
        Ok(found) if !found.is_file() => "it is not a regular file".to_owned(),
        Ok(_) => "the file exists: are it, its directory and its journal readable and writable by \
                  this process, and are file descriptors left (`ulimit -n`)?"
            .to_owned(),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
            match parent.map(std::fs::metadata) {
                Some(Err(error)) => format!("its directory cannot be used: {error}"),
                _ => {
                    "the file does not exist, and was not to be or could not be created".to_owned()
                }
            }
        }
        Err(error) => error.to_string(),
    }
}

/// Says so when the process has no file descriptor left.
fn descriptors_hint() -> Option<String> {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    let probe = std::fs::File::open(if cfg!(windows) { "NUL" } else { "/dev/null" });
    match probe.err()?.raw_os_error()? {
        EMFILE => Some(
            "the process is out of file descriptors: raise `ulimit -n` or lower max_size (a \
             connection needs 1 descriptor, 2 in WAL mode)"
                .to_owned(),
        ),
        ENFILE => Some("the machine is out of file descriptors".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> SqliteError {
        SqliteError::from(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(code),
            None,
        ))
    }

    #[test]
    fn a_lock_of_another_connection_and_one_of_this_process_are_told_apart() {
        assert!(matches!(
            failure(rusqlite::ffi::SQLITE_BUSY),
            SqliteError::Busy(_)
        ));
        assert!(matches!(
            failure(rusqlite::ffi::SQLITE_LOCKED),
            SqliteError::Locked(_)
        ));
        assert!(matches!(
            failure(rusqlite::ffi::SQLITE_BUSY_SNAPSHOT),
            SqliteError::StaleSnapshot(_)
        ));
    }

    #[test]
    fn what_may_pass_is_transient_and_what_will_not_is_not() {
        assert!(failure(rusqlite::ffi::SQLITE_BUSY).is_transient());
        assert!(SqliteError::Timeout(Duration::from_secs(1)).is_transient());
        assert!(!failure(rusqlite::ffi::SQLITE_CONSTRAINT).is_transient());
        assert!(!SqliteError::Panicked(String::new()).is_transient());
    }

    #[test]
    fn a_missing_directory_is_named_as_the_reason() {
        let error = rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            None,
        );
        let text = SqliteError::opening(error, Path::new("/no/such/directory/app.db")).to_string();
        assert!(text.contains("/no/such/directory/app.db"), "{text}");
        assert!(text.contains("its directory cannot be used"), "{text}");
    }
}
