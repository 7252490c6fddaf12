//! What the SQLite manager and its connections promise, on real database files.
//!
//! Nothing here sleeps to get an order right: what must happen first is waited for, and a test that
//! would hang fails after [`PATIENCE`].

#![expect(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod calls;
mod conformance;
mod locks;
mod moved;
mod open;
mod pools;
mod reset;

use std::future::Future;
use std::time::Duration;

use pool_core::Manager;
use pool_sqlite::{SqliteConfig, SqliteConnection, SqliteManager};
use tempfile::TempDir;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A statement without end.
const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

/// A directory with a database that has a table `t (id INTEGER PRIMARY KEY, v)`.
struct Fixture {
    dir: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let fixture = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let manager = fixture.manager(|config| config);
        let mut conn = manager.connect().await.unwrap();
        conn.interact(|c| c.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"))
            .await
            .unwrap();
        manager.close(conn).await;
        fixture
    }

    fn config(&self) -> SqliteConfig {
        SqliteConfig::file(self.dir.path().join("app.db"))
    }

    fn manager(&self, settings: impl FnOnce(SqliteConfig) -> SqliteConfig) -> SqliteManager {
        SqliteManager::new(settings(self.config()))
    }
}

/// The answer to a query for one number.
async fn number(conn: &mut SqliteConnection, sql: &'static str) -> i64 {
    conn.interact(move |c| c.query_row(sql, [], |row| row.get(0)))
        .await
        .unwrap()
}

async fn rows(conn: &mut SqliteConnection) -> i64 {
    number(conn, "SELECT count(*) FROM t").await
}

async fn batch(conn: &mut SqliteConnection, sql: &'static str) {
    conn.interact(move |c| c.execute_batch(sql)).await.unwrap();
}

/// Awaits `future`, which has no reason to take long.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("hangs")
}

/// Waits until `condition` holds.
async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Polls `future` once; it must not be done.
async fn pending<F: Future + Unpin>(future: &mut F) {
    let polled = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())
    });
    assert!(polled.await, "it is done already");
}
