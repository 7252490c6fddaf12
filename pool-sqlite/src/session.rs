//! What a connection carries from one user to the next, how it is seen, and how it is undone.
//!
//! A session starts with the handle's settings and is *changed* when SQL attaches a database, makes
//! a temporary object or sets a pragma ([`watch`] sees that).
//!
//! Invariant: a session that is neither changed nor in a transaction answers SQL as a new one does.
//! A changed session takes its statement cache with it, so no cached statement can change a session
//! unseen later.
//!
//! Undoing is one thing for everything: an open transaction is rolled back; any other change makes a
//! new handle take the old one's place. That costs as much as a connect, and nothing can survive it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::config::{JournalMode, OpenMode, Reset, SqliteConfig, Synchronous};
use crate::error::SqliteError;
use crate::file::OpenFile;
use crate::lock_wait;
use crate::watch::watch;
use crate::workers::{Class, Released};

/// After how many steps of SQLite's machine a prepared statement looks whether its call is cancelled.
/// The steps of all its runs are one count. A scan of 1,000 rows costs 4 % more with 8, and nothing
/// that can be measured with this.
const STEPS: i32 = 1_000;

/// An open handle and what is known of its session.
pub(crate) struct Session {
    pub(crate) conn: Connection,
    file: Option<OpenFile>,
    changed: Arc<AtomicBool>,
    /// Whether the present call is; see [`Slot::cancel`](crate::slot::Slot::cancel).
    cancelled: Arc<AtomicBool>,
    /// An error said that the handle or its file is not in order.
    suspect: bool,
    /// As of the end of the last call.
    in_transaction: bool,
    /// Whether others may wait for what this handle does next, as of the end of the last call.
    holds_lock: bool,
    /// Rows written so far, as of the end of the last call.
    written: u64,
}

impl Session {
    /// Opens a handle on the database at `path` (as SQLite wants it) and sets it up. Its calls stop
    /// when `cancelled`.
    pub(crate) fn open(
        config: &SqliteConfig,
        path: &Path,
        mode: OpenMode,
        cancelled: Arc<AtomicBool>,
    ) -> Result<Self, SqliteError> {
        let failed = |error| SqliteError::opening(error, path);
        let mut conn = Connection::open_with_flags(path, flags(config, mode)).map_err(failed)?;
        let flag = Arc::clone(&cancelled);
        // Pairs with the Release store of `Slot::cancel`.
        conn.progress_handler(STEPS, Some(move || flag.load(Ordering::Acquire)))
            .map_err(failed)?;
        set_up(&mut conn, config, mode).map_err(failed)?;
        let changed = match config.reset {
            Reset::WhenChanged => watch(&mut conn, Arc::clone(&cancelled)).map_err(failed)?,
            Reset::Always => Arc::default(),
        };
        // What the hook prepared was not watched; it must not come out of the cache later.
        conn.flush_prepared_statement_cache();
        Ok(Self {
            file: OpenFile::of(&conn),
            conn,
            changed,
            cancelled,
            suspect: false,
            in_transaction: false,
            holds_lock: false,
            written: 0,
        })
    }

    /// Takes back, before each call, what belongs to the pool.
    pub(crate) fn begin_call(&mut self, mode: OpenMode) -> rusqlite::Result<()> {
        self.conn.busy_handler(Some(lock_wait::busy_handler))?;
        // A deferred transaction that reads first and writes later fails when it meets another
        // writer, without waiting; one that is immediate waits.
        self.conn.set_transaction_behavior(match mode {
            OpenMode::ReadOnly => TransactionBehavior::Deferred,
            OpenMode::Create | OpenMode::ReadWrite => TransactionBehavior::Immediate,
        });
        Ok(())
    }

    /// Looks, after each call, at what it has left. Says whether it may have released a lock.
    pub(crate) fn end_call(&mut self) -> Released {
        let (held, had_written) = (self.holds_lock, self.written);
        self.holds_lock = holds_lock(&self.conn);
        self.in_transaction = self.holds_lock || !self.conn.is_autocommit();
        self.written = self.conn.total_changes();
        let released = !self.holds_lock && (held || self.written != had_written);
        if released {
            Released::Yes
        } else {
            Released::No
        }
    }

    /// Notes what an error of a call says about the handle, and names it to the caller.
    pub(crate) fn judge(&mut self, error: rusqlite::Error) -> SqliteError {
        use rusqlite::ErrorCode::{
            AuthorizationForStatementDenied, DatabaseCorrupt, NotADatabase, SystemIoFailure,
        };
        let code = error.sqlite_error_code();
        if code == Some(AuthorizationForStatementDenied) && self.cancelled.load(Ordering::Acquire) {
            return SqliteError::Interrupted;
        }
        let error = SqliteError::from(error);
        self.suspect |= matches!(error, SqliteError::FileMoved)
            || matches!(code, Some(DatabaseCorrupt | NotADatabase | SystemIoFailure));
        error
    }

    /// Whose its next task is, which would be of `class` if no other connection could wait for it.
    pub(crate) fn next_task(&self, class: Class) -> Class {
        if self.holds_lock {
            Class::Holder
        } else {
            class
        }
    }

    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Whether the path of the database leads to another file than the one that is open, or to none.
    pub(crate) fn has_lost_its_file(&self) -> bool {
        self.file.as_ref().is_some_and(|file| !file.is_in_place())
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Whether something of the session differs from that of a new handle.
    pub(crate) fn is_changed(&self) -> bool {
        // Written on the thread that ran the call, which has handed the session over by a mutex.
        self.changed.load(Ordering::Relaxed)
    }
}

/// More exact than the autocommit flag: a transaction that has only been declared (BEGIN) holds
/// nothing, and its first statement may itself have to wait for a lock.
#[cfg(feature = "bundled")]
fn holds_lock(conn: &Connection) -> bool {
    use rusqlite::TransactionState;
    !matches!(
        conn.transaction_state::<&str>(None),
        Ok(TransactionState::None)
    )
}

/// What is asked above is newer than the SQLite of some systems.
#[cfg(not(feature = "bundled"))]
fn holds_lock(conn: &Connection) -> bool {
    !conn.is_autocommit()
}

fn flags(config: &SqliteConfig, mode: OpenMode) -> OpenFlags {
    let access = match mode {
        OpenMode::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        OpenMode::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
        OpenMode::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let uri = if config.is_memory() {
        OpenFlags::SQLITE_OPEN_URI
    } else {
        OpenFlags::empty()
    };
    // One thread at a time uses a handle: SQLite need not lock it.
    access | uri | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Applies the configuration to a new handle.
fn set_up(conn: &mut Connection, config: &SqliteConfig, mode: OpenMode) -> rusqlite::Result<()> {
    conn.busy_handler(Some(lock_wait::busy_handler))?;
    conn.set_prepared_statement_cache_capacity(config.statement_cache);
    if mode != OpenMode::ReadOnly {
        set_journal_mode(conn, config)?;
    }
    conn.execute_batch(&pragmas(config, mode))?;
    for (name, value) in &config.pragmas {
        conn.pragma_update(None, name, value)?;
    }
    if let Some(sql) = &config.init_sql {
        conn.execute_batch(sql)?;
    }
    if let Some(hook) = &config.on_connect {
        hook(conn)?;
    }
    Ok(())
}

/// Asks for the journal mode. That a file is in WAL mode is written in the file; the other modes are
/// a matter of the connection.
fn set_journal_mode(conn: &Connection, config: &SqliteConfig) -> rusqlite::Result<()> {
    let asked = config
        .journal_mode
        .keyword()
        .filter(|_| !config.is_memory());
    let Some(asked) = asked else { return Ok(()) };
    let sql = format!("PRAGMA journal_mode = {asked}");
    let got: String = conn.query_row(&sql, [], |row| row.get(0))?;
    if got != asked {
        // SQLite keeps the old mode where the file system cannot do what was asked for.
        tracing::warn!(asked, %got, "SQLite keeps another journal mode");
    }
    Ok(())
}

fn pragmas(config: &SqliteConfig, mode: OpenMode) -> String {
    use std::fmt::Write;
    let mut sql = format!("PRAGMA foreign_keys = {};", u8::from(config.foreign_keys));
    let in_wal_mode = config.journal_mode == JournalMode::Wal && !config.is_memory();
    let synchronous = config
        .synchronous
        .or(in_wal_mode.then_some(Synchronous::Normal));
    // Writing into a `String` cannot fail.
    if let Some(synchronous) = synchronous {
        let _ = write!(sql, "PRAGMA synchronous = {};", synchronous.keyword());
    }
    if let Some(size) = config.cache_size {
        let _ = write!(sql, "PRAGMA cache_size = {size};");
    }
    if let Some(size) = config.mmap_size {
        let _ = write!(sql, "PRAGMA mmap_size = {size};");
    }
    if mode == OpenMode::ReadOnly {
        sql.push_str("PRAGMA query_only = 1;");
    }
    sql
}
