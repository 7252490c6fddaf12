use std::fs;
use std::path::PathBuf;

use pool_core::testing::conformance::{Subject, check};
use pool_sqlite::{SqliteConfig, SqliteConnection, SqliteManager};

use crate::{Fixture, soon};

/// A database file; the server is broken when the file has made place for one that is no database.
struct File {
    fixture: Fixture,
}

impl File {
    fn path(&self, name: &str) -> PathBuf {
        self.fixture.dir.path().join(name)
    }
}

impl Subject for File {
    type Manager = SqliteManager;

    fn manager(&self) -> SqliteManager {
        // Without WAL no other connection keeps the file's pages from being read anew.
        let config = SqliteConfig::file(self.path("app.db"));
        SqliteManager::new(
            config
                .journal_mode(pool_sqlite::JournalMode::Delete)
                .validation_query("SELECT count(*) FROM t"),
        )
    }

    async fn exercise(&self, conn: &mut SqliteConnection) -> Result<(), String> {
        let rows = conn.interact(|c| c.query_row("SELECT count(*) FROM t", [], |r| r.get(0)));
        match rows.await {
            Ok(0) => Ok(()),
            Ok(other) => Err(format!("{other} rows")),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn soil(&self, conn: &mut SqliteConnection) -> bool {
        let sql = "BEGIN; INSERT INTO t (v) VALUES (1); CREATE TEMP TABLE x (y)";
        conn.interact(move |c| c.execute_batch(sql)).await.is_ok()
    }

    async fn is_clean(&self, conn: &mut SqliteConnection) -> bool {
        conn.interact(|c| {
            let sql = "SELECT count(*) FROM temp.sqlite_schema";
            Ok(c.is_autocommit() && c.query_row(sql, [], |r| r.get::<_, i64>(0))? == 0)
        })
        .await
        .unwrap_or(false)
    }

    async fn occupy(&self, conn: &mut SqliteConnection) -> bool {
        let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                       SELECT count(*) FROM n";
        let _ended = conn
            .interact(move |c| c.query_row(endless, [], |_| Ok(())))
            .await;
        true
    }

    async fn break_server(&self) -> bool {
        let file = self.path("app.db");
        fs::copy(&file, self.path("kept.db")).unwrap();
        // The same file, so that connections that have it open see it.
        fs::write(&file, [b'?'; 4096]).unwrap();
        true
    }

    async fn restore_server(&self) {
        fs::copy(self.path("kept.db"), self.path("app.db")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_keeps_every_rule() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.manager(|c| c);
    conn = {
        use pool_core::Manager;
        let mut first = conn.connect().await.unwrap();
        first
            .interact(|c| c.pragma_update(None, "journal_mode", "delete"))
            .await
            .unwrap();
        conn.close(first).await;
        conn
    };
    drop(conn);
    let kept = soon(check(&File { fixture })).await.unwrap();
    assert_eq!(kept.len(), 9, "{kept:?}");
}
