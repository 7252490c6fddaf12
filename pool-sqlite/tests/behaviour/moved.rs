//! A database file that is replaced or deleted underneath.

use std::fs;

use pool_core::Manager;
use pool_sqlite::{JournalMode, Pool, SqliteError};

use crate::{Fixture, batch, rows};

/// Puts an empty database in the place of the file, with the same table.
async fn replace(fixture: &Fixture) {
    let other = Fixture::new().await;
    let other = other.dir.path().join("app.db");
    fs::rename(other, fixture.dir.path().join("app.db")).unwrap();
}

#[tokio::test]
async fn a_write_that_finds_its_file_replaced_says_so_and_the_next_connection_has_the_new_one() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config.journal_mode(JournalMode::Delete));
    let pool = Pool::builder(manager).min_size(1).max_size(1);
    let pool = pool.connect().await.unwrap();
    batch(
        &mut pool.get().await.unwrap(),
        "INSERT INTO t (v) VALUES (1)",
    )
    .await;
    replace(&fixture).await;

    let mut conn = pool.get().await.unwrap();
    let lost = conn.interact(|c| c.execute_batch("INSERT INTO t (v) VALUES (2)"));
    assert!(matches!(lost.await, Err(SqliteError::FileMoved)));
    drop(conn);

    let mut conn = pool.get().await.unwrap();
    batch(&mut conn, "INSERT INTO t (v) VALUES (3)").await;
    assert_eq!(rows(&mut conn).await, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn validation_finds_a_file_that_was_replaced_or_deleted() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config.journal_mode(JournalMode::Wal));
    let mut conn = manager.connect().await.unwrap();
    manager.validate(&mut conn).await.unwrap();

    replace(&fixture).await;
    let replaced = manager.validate(&mut conn).await;
    assert!(matches!(replaced, Err(SqliteError::FileMoved)));

    let mut conn = manager.connect().await.unwrap();
    manager.validate(&mut conn).await.unwrap();
    fs::remove_file(fixture.dir.path().join("app.db")).unwrap();
    let deleted = manager.validate(&mut conn).await;
    assert!(matches!(deleted, Err(SqliteError::FileMoved)));
}
