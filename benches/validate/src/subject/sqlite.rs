//! A SQLite file. It has no server to stop: its folder is moved away instead, as a disk that is
//! unmounted would be.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use pool_benches::footprint;
use pool_benches::options::Backend;
use pool_servers::Scratch;
use pool_sqlite::{SqliteConfig, SqliteConnection, SqliteManager};

use super::{Subject, hold_and_work};
use crate::Failure;

pub(crate) struct Sqlite {
    /// Removed at the end.
    directory: Scratch,
}

impl Sqlite {
    pub(crate) fn prepare() -> Result<Self, Failure> {
        let directory = Scratch::new("pool-validate-")?;
        let this = Self { directory };
        fs::create_dir(this.folder())?;
        Ok(this)
    }

    fn folder(&self) -> PathBuf {
        self.directory.path().join("database")
    }

    fn elsewhere(&self) -> PathBuf {
        self.directory.path().join("unmounted")
    }

    fn file(&self) -> PathBuf {
        self.folder().join("validate.db")
    }
}

impl Subject for Sqlite {
    type Manager = SqliteManager;

    fn server(&self) -> String {
        "SQLite, a file".to_owned()
    }

    fn has_network(&self) -> bool {
        false
    }

    fn manager(&self) -> SqliteManager {
        SqliteManager::new(SqliteConfig::file(self.file()))
    }

    async fn query(&self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        conn.interact(|conn| conn.query_row("SELECT 1", [], |_| Ok(())))
            .await?;
        Ok(())
    }

    async fn slow_query(&self, conn: &mut SqliteConnection, time: Duration) -> Result<(), Failure> {
        conn.interact(move |conn| {
            std::thread::sleep(time);
            conn.query_row("SELECT 1", [], |_| Ok(()))
        })
        .await?;
        Ok(())
    }

    fn stop(&self) -> Result<(), Failure> {
        Ok(fs::rename(self.folder(), self.elsewhere())?)
    }

    fn start(&self) -> Result<(), Failure> {
        Ok(fs::rename(self.elsewhere(), self.folder())?)
    }

    /// Descriptors of the file.
    fn open_now(&self) -> Result<usize, Failure> {
        footprint::descriptors_of(&self.file()).ok_or_else(|| "the system does not tell".into())
    }

    /// By a panic on it, after which nobody knows what state it is in.
    async fn kill(&self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        // Without a word on the terminal, which a panic of its own would have.
        let died = conn.interact(|_| -> Result<(), _> {
            std::panic::resume_unwind(Box::new("killed, to see who notices"))
        });
        match died.await {
            Err(_) => Ok(()),
            Ok(()) => Err("it survived".into()),
        }
    }

    fn refuses_url(&self, url: &str) -> Option<String> {
        SqliteConfig::from_url(url)
            .err()
            .map(|error| error.to_string())
    }

    async fn extreme(connections: usize) -> Result<pool_benches::report::Report, Failure> {
        let workload = pool_benches::backend::sqlite::Sqlite::prepare(None)?;
        hold_and_work(workload, Backend::Sqlite, connections).await
    }
}
