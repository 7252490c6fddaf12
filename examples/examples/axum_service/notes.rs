//! What the service keeps, on each database.

use pool_core::Manager;
use pool_postgres::{PgConnection, PgManager, tokio_postgres};
use pool_sqlite::{SqliteConnection, SqliteError, SqliteManager};

/// A database that keeps notes.
pub(crate) trait Notes: Manager {
    /// What its statements fail with.
    type Failure: std::error::Error + Send + Sync + 'static;

    fn prepare(
        conn: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Failure>> + Send;
    fn add(
        conn: &mut Self::Connection,
        note: String,
    ) -> impl Future<Output = Result<(), Self::Failure>> + Send;
    fn all(
        conn: &mut Self::Connection,
    ) -> impl Future<Output = Result<Vec<String>, Self::Failure>> + Send;
    fn endless(
        conn: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Failure>> + Send;
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL)";
const ALL: &str = "SELECT text FROM notes";

impl Notes for SqliteManager {
    type Failure = SqliteError;

    async fn prepare(conn: &mut SqliteConnection) -> Result<(), SqliteError> {
        conn.interact(|sqlite| sqlite.execute_batch(TABLE)).await
    }

    async fn add(conn: &mut SqliteConnection, note: String) -> Result<(), SqliteError> {
        conn.interact(|sqlite| sqlite.execute("INSERT INTO notes VALUES (?1)", [note]))
            .await
            .map(|_| ())
    }

    async fn all(conn: &mut SqliteConnection) -> Result<Vec<String>, SqliteError> {
        conn.interact(|sqlite| {
            let mut statement = sqlite.prepare_cached(ALL)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect()
        })
        .await
    }

    async fn endless(conn: &mut SqliteConnection) -> Result<(), SqliteError> {
        const ENDLESS: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) \
                               SELECT count(*) FROM c";
        conn.interact(|sqlite| sqlite.query_row(ENDLESS, [], |_| Ok(())))
            .await
    }
}

impl Notes for PgManager {
    type Failure = tokio_postgres::Error;

    async fn prepare(conn: &mut PgConnection) -> Result<(), Self::Failure> {
        conn.batch_execute(TABLE).await
    }

    async fn add(conn: &mut PgConnection, note: String) -> Result<(), Self::Failure> {
        conn.execute("INSERT INTO notes VALUES ($1)", &[&note])
            .await
            .map(|_| ())
    }

    async fn all(conn: &mut PgConnection) -> Result<Vec<String>, Self::Failure> {
        let rows = conn.query(ALL, &[]).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    async fn endless(conn: &mut PgConnection) -> Result<(), Self::Failure> {
        conn.batch_execute("SELECT pg_sleep(3600)").await
    }
}
