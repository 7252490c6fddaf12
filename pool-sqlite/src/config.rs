//! Where the database is, and how each connection to it is set up.
//!
//! A [`SqliteConfig`] is plain data with defaults fit for production; what it does not name can be
//! set as a pragma. Nothing here opens a file: a [`SqliteManager`](crate::SqliteManager) does.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A database and the settings of the connections to it.
///
/// Every setting is a method, and a parameter of the URL that [`from_url`](Self::from_url) reads:
///
/// | setting | default | parameter |
/// | --- | --- | --- |
/// | [`open_mode`](Self::open_mode) | read, write, create | `mode=rwc`, `rw`, `ro`, `memory` |
/// | [`journal_mode`](Self::journal_mode) | WAL (a memory database has no choice) | `journal_mode=wal`, `delete`, `truncate`, `persist`, `memory`, `off`, `keep` |
/// | [`synchronous`](Self::synchronous) | NORMAL in WAL mode, else SQLite's FULL | `synchronous=off`, `normal`, `full`, `extra` |
/// | [`busy_timeout`](Self::busy_timeout) | 5 s | `busy_timeout=5s` |
/// | [`foreign_keys`](Self::foreign_keys) | on | `foreign_keys=on`, `off` |
/// | [`cache_size`](Self::cache_size) | SQLite's, 2 MiB a connection | `cache_size=-2000` |
/// | [`mmap_size`](Self::mmap_size) | SQLite's, 0 | `mmap_size=268435456` |
/// | [`statement_cache`](Self::statement_cache) | 16 statements | `statement_cache=16` |
/// | [`query_timeout`](Self::query_timeout) | 60 s | `query_timeout=60s`, `none` |
/// | [`validation_query`](Self::validation_query) | `SELECT 1` | `validation_query=SELECT%201` |
/// | [`workers`](Self::workers) | the cores, at least 4 | `workers=4` |
/// | [`spare_workers`](Self::spare_workers) | 32 | `spare_workers=32` |
/// | [`reset`](Self::reset) | when changed | `reset=when_changed`, `always` |
/// | [`pragma`](Self::pragma) | none | |
/// | [`init_sql`](Self::init_sql), [`on_connect`](Self::on_connect) | none | |
///
/// # Example
///
/// ```
/// use pool_sqlite::{SqliteConfig, Synchronous};
/// use std::time::Duration;
///
/// let config = SqliteConfig::file("app.db")
///     .busy_timeout(Duration::from_secs(2))
///     .synchronous(Synchronous::Full)
///     .pragma("temp_store", "memory");
/// # let _ = config;
/// ```
#[derive(Clone)]
#[must_use]
pub struct SqliteConfig {
    pub(crate) location: Location,
    pub(crate) open_mode: OpenMode,
    pub(crate) journal_mode: JournalMode,
    pub(crate) synchronous: Option<Synchronous>,
    pub(crate) busy_timeout: Duration,
    pub(crate) foreign_keys: bool,
    pub(crate) cache_size: Option<i64>,
    pub(crate) mmap_size: Option<u64>,
    pub(crate) pragmas: Vec<(String, String)>,
    pub(crate) init_sql: Option<String>,
    pub(crate) on_connect: Option<OnConnect>,
    pub(crate) statement_cache: usize,
    pub(crate) query_timeout: Option<Duration>,
    pub(crate) validation_query: String,
    pub(crate) workers: usize,
    pub(crate) spare_workers: usize,
    pub(crate) reset: Reset,
}

type OnConnect = Arc<dyn Fn(&mut rusqlite::Connection) -> rusqlite::Result<()> + Send + Sync>;

/// Where the database lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    File(PathBuf),
    /// Shared by all connections of a manager; a name makes it shared by managers, too.
    Memory(Option<String>),
}

/// What may be done with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpenMode {
    /// Read and write; the file is created when it is missing.
    #[default]
    Create,
    /// Read and write; the file must exist.
    ReadWrite,
    /// Read only; the file must exist.
    ReadOnly,
}

/// How SQLite makes a transaction atomic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalMode {
    /// A write-ahead log: readers and the writer do not wait for one another. Two descriptors a
    /// connection.
    Wal,
    /// A rollback journal, deleted at each commit. One descriptor a connection.
    Delete,
    /// A rollback journal, cut to nothing at each commit.
    Truncate,
    /// A rollback journal whose header is zeroed at each commit.
    Persist,
    /// A rollback journal in memory: a crash in mid-transaction corrupts the database.
    Memory,
    /// No journal: no rollback, and a crash in mid-transaction corrupts the database.
    Off,
    /// Whatever the file has.
    Keep,
}

/// How often SQLite waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// Never: a power failure may corrupt the database.
    Off,
    /// At checkpoints. In WAL mode nothing can be corrupted, but the last commits before a power
    /// failure may be lost.
    Normal,
    /// At each commit.
    Full,
    /// At each commit, and the directory too.
    Extra,
}

/// When a returned connection is given a fresh session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// When something of the session has changed: an open transaction, an attached database, a
    /// temporary object, a pragma. What was changed by calling methods of the driver is not seen;
    /// see [`SqliteConnection::reset_on_return`](crate::SqliteConnection::reset_on_return).
    #[default]
    WhenChanged,
    /// After every use.
    Always,
}

/// A query whose answer says nothing.
pub(crate) const ASKS_NOTHING: &str = "SELECT 1";

impl SqliteConfig {
    /// A database in the file `path`, created when it is missing; `:memory:` is [`memory`](Self::memory).
    ///
    /// It is a path and not a URI: one that is empty or begins with `file:` is refused by the first
    /// connect. Write `./file:` for a file that is called so.
    pub fn file(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        if path.as_os_str() == ":memory:" {
            return Self::memory();
        }
        Self::at(Location::File(path.to_owned()))
    }

    /// A database in memory, shared by all connections of one manager (and its
    /// [`reader`](crate::SqliteManager::reader)). It lives as long as any of them, and holds at most
    /// 1 GiB (SQLite's `SQLITE_MEMDB_DEFAULT_MAXSIZE`).
    pub fn memory() -> Self {
        Self::at(Location::Memory(None))
    }

    /// A database in memory, shared by all that use the same name in this process. It lives as long as
    /// any manager or connection of that name.
    pub fn memory_named(name: impl Into<String>) -> Self {
        Self::at(Location::Memory(Some(name.into())))
    }

    fn at(location: Location) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            location,
            open_mode: OpenMode::Create,
            journal_mode: JournalMode::Wal,
            synchronous: None,
            busy_timeout: Duration::from_secs(5),
            foreign_keys: true,
            cache_size: None,
            mmap_size: None,
            pragmas: Vec::new(),
            init_sql: None,
            on_connect: None,
            statement_cache: 16,
            query_timeout: Some(Duration::from_secs(60)),
            validation_query: ASKS_NOTHING.to_owned(),
            workers: cores.max(4),
            spare_workers: 32,
            reset: Reset::WhenChanged,
        }
    }

    /// What may be done with the file; [`OpenMode::Create`] by default. [`OpenMode::ReadOnly`] leaves
    /// the journal mode alone and switches `query_only` on.
    pub fn open_mode(mut self, mode: OpenMode) -> Self {
        self.open_mode = mode;
        self
    }

    /// The journal mode; [`JournalMode::Wal`] by default. A memory database ignores it.
    pub fn journal_mode(mut self, mode: JournalMode) -> Self {
        self.journal_mode = mode;
        self
    }

    /// How often SQLite waits for the disk; by default [`Synchronous::Normal`] in WAL mode, else SQLite's
    /// own, [`Synchronous::Full`].
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = Some(synchronous);
        self
    }

    /// How long a call waits for a lock that another connection holds, before it fails with
    /// [`SqliteError::Busy`](crate::SqliteError::Busy); 5 s by default. Zero: not at all.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Whether foreign keys are enforced; on by default.
    pub fn foreign_keys(mut self, on: bool) -> Self {
        self.foreign_keys = on;
        self
    }

    /// The page cache of each connection: a number of pages or, negative, of KiB; SQLite's own by
    /// default, 2,000 KiB.
    pub fn cache_size(mut self, pages_or_negative_kib: i64) -> Self {
        self.cache_size = Some(pages_or_negative_kib);
        self
    }

    /// How many bytes of the file are read through a memory map; SQLite's own by default, 0.
    pub fn mmap_size(mut self, bytes: u64) -> Self {
        self.mmap_size = Some(bytes);
        self
    }

    /// Any other pragma, set on each new connection after those above, in the order given.
    pub fn pragma(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.pragmas.push((name.into(), value.into()));
        self
    }

    /// SQL that each new connection runs after its pragmas. It must be repeatable.
    pub fn init_sql(mut self, sql: impl Into<String>) -> Self {
        self.init_sql = Some(sql.into());
        self
    }

    /// What each new connection runs last, on a worker thread: the place to register functions,
    /// collations and hooks. It must be repeatable.
    ///
    /// The hooks to leave alone are the authorizer, by which changes are seen (who needs one of his own
    /// sets [`Reset::Always`], which needs none), and the progress handler, by which cancelled calls
    /// end.
    pub fn on_connect<F>(mut self, hook: F) -> Self
    where
        F: Fn(&mut rusqlite::Connection) -> rusqlite::Result<()> + Send + Sync + 'static,
    {
        self.on_connect = Some(Arc::new(hook));
        self
    }

    /// How many statements `prepare_cached` keeps for each connection; 16 by default, 0 keeps none.
    pub fn statement_cache(mut self, statements: usize) -> Self {
        self.statement_cache = statements;
        self
    }

    /// How long a call may take, its wait for a worker and for locks included, before it is
    /// interrupted and fails with [`SqliteError::Timeout`](crate::SqliteError::Timeout); 60 s by
    /// default. `None` or zero: as long as it likes.
    pub fn query_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.query_timeout = timeout.into().filter(|timeout| !timeout.is_zero());
        self
    }

    /// What validation and keepalive pings ask; `SELECT 1` by default, which no worker need run: SQLite
    /// is in this process, and what ails a connection is known from its last error. Whether the file is
    /// still the one at its path is looked for with every query.
    ///
    /// That shows that the connection answers, without touching the file;
    /// `PRAGMA schema_version` reads the file's first page.
    pub fn validation_query(mut self, sql: impl Into<String>) -> Self {
        self.validation_query = sql.into();
        self
    }

    /// How many threads run calls at once (at least 1); by default as many as there are cores, at
    /// least 4. They start when they are needed and end when they are not.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// How many more threads may exist while workers wait for a lock; 32 by default. No more than
    /// `workers` + `spare_workers` + 3 ever do: two are kept for connections that hold a lock, one for
    /// the pool.
    pub fn spare_workers(mut self, threads: usize) -> Self {
        self.spare_workers = threads;
        self
    }

    /// When a returned connection is given a fresh session; [`Reset::WhenChanged`] by default.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.location, Location::Memory(_))
    }
}

impl JournalMode {
    /// What the pragma calls it; `None` when there is nothing to ask for.
    pub(crate) fn keyword(self) -> Option<&'static str> {
        match self {
            Self::Wal => Some("wal"),
            Self::Delete => Some("delete"),
            Self::Truncate => Some("truncate"),
            Self::Persist => Some("persist"),
            Self::Memory => Some("memory"),
            Self::Off => Some("off"),
            Self::Keep => None,
        }
    }
}

impl Synchronous {
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Normal => "normal",
            Self::Full => "full",
            Self::Extra => "extra",
        }
    }
}

impl fmt::Debug for SqliteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteConfig")
            .field("location", &self.location)
            .field("open_mode", &self.open_mode)
            .field("journal_mode", &self.journal_mode)
            .field("synchronous", &self.synchronous)
            .field("busy_timeout", &self.busy_timeout)
            .field("foreign_keys", &self.foreign_keys)
            .field("cache_size", &self.cache_size)
            .field("mmap_size", &self.mmap_size)
            .field("statement_cache", &self.statement_cache)
            .field("query_timeout", &self.query_timeout)
            .field("validation_query", &self.validation_query)
            .field("workers", &self.workers)
            .field("spare_workers", &self.spare_workers)
            .field("reset", &self.reset)
            // The values of pragmas and the SQL may hold a key (`PRAGMA key`): names only.
            .field(
                "pragmas",
                &self
                    .pragmas
                    .iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            )
            .field("init_sql", &self.init_sql.as_ref().map(|_| ".."))
            .field("on_connect", &self.on_connect.as_ref().map(|_| ".."))
            .finish()
    }
}
