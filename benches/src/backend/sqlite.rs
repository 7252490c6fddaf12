//! A real file and SQLite.
//!
//! The file has a rollback journal: a connection then takes one descriptor, and ten thousand fit
//! into the twenty thousand that systems commonly allow. With a write-ahead log it is two, since
//! each connection that has read has the log open too; a file of the user's that has one keeps it.
//!
//! A question reads one row by its key and compares what it got.

use std::path::{Path, PathBuf};

use pool_core::url::scheme;
use pool_servers::{Scratch, ServerError};
use pool_sqlite::{JournalMode, SqliteConfig, SqliteConnection, SqliteManager};
use rusqlite::Connection;

use super::{QueryError, Workload};
use crate::footprint;
use crate::report::Server;

/// Rows of the table that questions are asked of.
const ROWS: i64 = 1_000;

/// A database file with the bench's table in it.
#[derive(Debug)]
pub struct Sqlite {
    file: PathBuf,
    write_ahead_log: bool,
    /// Removes the throw-away file when the run is over.
    _directory: Option<Scratch>,
}

/// The database file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// No place for a throw-away file.
    #[error("{0}: is TMPDIR writable?")]
    Directory(#[from] ServerError),
    /// It is no file. Not shown: it may have a password.
    #[error(
        "--url must name a SQLite file, such as app.db or sqlite:app.db, without parameters; for a server say \
         --backend"
    )]
    NoFile,
    /// SQLite refused.
    #[error("{}: {error}", file.display())]
    Database {
        /// The file.
        file: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
}

impl Sqlite {
    /// Makes a throw-away file, or the table `pool_load` in the user's.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn prepare(url: Option<&str>) -> Result<Self, PrepareError> {
        let (directory, file) = if let Some(url) = url {
            (None, path_of(url).ok_or(PrepareError::NoFile)?)
        } else {
            let directory = Scratch::new("pool-load-")?;
            let file = directory.path().join("load.db");
            (Some(directory), file)
        };
        match fill(&file) {
            Ok(journal) => {
                let write_ahead_log = journal.eq_ignore_ascii_case("wal");
                Ok(Self {
                    file,
                    write_ahead_log,
                    _directory: directory,
                })
            }
            Err(error) => Err(PrepareError::Database { file, error }),
        }
    }
}

impl Workload for Sqlite {
    type Manager = SqliteManager;

    fn manager(&self) -> SqliteManager {
        SqliteManager::new(SqliteConfig::file(&self.file).journal_mode(JournalMode::Keep))
    }

    async fn query(&self, connection: &mut SqliteConnection, key: u64) -> Result<(), QueryError> {
        let key = i64::try_from(key)? % ROWS;
        let found = connection
            .interact(move |connection| look_up(connection, key))
            .await?;
        if found == answer(key) {
            Ok(())
        } else {
            Err(format!("row {key} says `{found}`").into())
        }
    }

    /// The descriptors of the file: each connection has one, whatever the journal.
    fn open_now(&self) -> Option<usize> {
        footprint::descriptors_of(&self.file)
    }

    fn descriptors_per_connection(&self) -> usize {
        if self.write_ahead_log { 2 } else { 1 }
    }

    fn server(&self) -> Server {
        let journal = if self.write_ahead_log {
            "write-ahead log"
        } else {
            "rollback journal"
        };
        Server {
            name: "SQLite".to_owned(),
            version: rusqlite::version().to_owned(),
            setup: format!("a file with a {journal}; a query reads one row by its key"),
        }
    }
}

/// `sqlite:file`, `sqlite://file` or just the file.
fn path_of(url: &str) -> Option<PathBuf> {
    let path = match scheme(url) {
        None => url,
        Some("sqlite") => url.strip_prefix("sqlite:")?,
        Some(_) => return None,
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    let is_file = !matches!(path, "" | ":memory:") && !path.contains(['?', '%']);
    is_file.then(|| PathBuf::from(path))
}

fn look_up(connection: &Connection, key: i64) -> rusqlite::Result<String> {
    let mut select = connection.prepare_cached("SELECT answer FROM pool_load WHERE key = ?1")?;
    select.query_row([key], |row| row.get(0))
}

/// Writes the rows and says which journal the file has.
fn fill(file: &Path) -> rusqlite::Result<String> {
    let mut connection = Connection::open(file)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS pool_load (key INTEGER PRIMARY KEY, answer TEXT NOT NULL)",
    )?;
    for key in 0..ROWS {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO pool_load VALUES (?1, ?2)")?
            .execute((key, answer(key)))?;
    }
    transaction.commit()?;
    connection.query_row("PRAGMA journal_mode", (), |row| row.get(0))
}

/// What the row of `key` says.
fn answer(key: i64) -> String {
    format!("answer {key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throw_away_file_has_a_rollback_journal_and_is_removed() {
        let sqlite = Sqlite::prepare(None).unwrap();
        assert!(!sqlite.write_ahead_log);
        let file = sqlite.file.clone();
        assert!(file.exists());
        drop(sqlite);
        assert!(!file.exists());
    }

    #[test]
    fn a_file_of_the_users_keeps_its_journal_and_its_tables() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mine.db");
        let mine = Connection::open(&file).unwrap();
        mine.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE mine (x)")
            .unwrap();

        let url = format!("sqlite://{}", file.display());
        assert!(Sqlite::prepare(Some(&url)).unwrap().write_ahead_log);
        assert!(mine.execute("INSERT INTO mine VALUES (1)", ()).is_ok());
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let message = Sqlite::prepare(Some("/nowhere/x.db"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("/nowhere/x.db"), "{message}");
    }

    #[test]
    fn a_url_is_a_path_with_or_without_its_scheme() {
        for url in ["sqlite:///a/b.db", "sqlite:/a/b.db", "/a/b.db"] {
            assert_eq!(path_of(url), Some(PathBuf::from("/a/b.db")));
        }
    }

    #[test]
    fn what_is_no_file_is_refused_and_shows_no_password() {
        for url in [
            "postgres://u:secret@h/db",
            ":memory:",
            "sqlite::memory:",
            "",
            "sqlite:a.db?mode=ro",
            "sqlite:a%20b.db",
        ] {
            let message = Sqlite::prepare(Some(url)).unwrap_err().to_string();
            assert!(message.starts_with("--url must"), "{url}: {message}");
            assert!(!message.contains("secret"));
        }
    }
}
