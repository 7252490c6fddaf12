//! Opening and closing: modes, memory databases, descriptors.

use pool_core::Manager;
use pool_sqlite::{JournalMode, OpenMode, SqliteConfig, SqliteError, SqliteManager};

use crate::{Fixture, batch, number, rows};

#[tokio::test]
async fn a_file_gets_settings_for_production() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.manager(|config| config).connect().await.unwrap();
    let mode: String = conn
        .interact(|c| c.query_row("PRAGMA journal_mode", [], |row| row.get(0)))
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    assert_eq!(number(&mut conn, "PRAGMA synchronous").await, 1);
    assert_eq!(number(&mut conn, "PRAGMA foreign_keys").await, 1);
}

#[tokio::test]
async fn each_journal_mode_can_be_had() {
    let fixture = Fixture::new().await;
    for (mode, name) in [
        (JournalMode::Delete, "delete"),
        (JournalMode::Truncate, "truncate"),
        (JournalMode::Persist, "persist"),
        (JournalMode::Wal, "wal"),
        (JournalMode::Keep, "wal"),
    ] {
        let manager = fixture.manager(|config| config.journal_mode(mode));
        let mut conn = manager.connect().await.unwrap();
        let got: String = conn
            .interact(|c| c.query_row("PRAGMA journal_mode", [], |row| row.get(0)))
            .await
            .unwrap();
        assert_eq!(got, name);
        manager.close(conn).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_first_connects_at_once_create_one_database() {
    let dir = tempfile::tempdir().unwrap();
    let manager = SqliteManager::new(SqliteConfig::file(dir.path().join("new.db")));
    let mut connects = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let manager = manager.clone();
        connects.spawn(async move { manager.connect().await });
    }
    while let Some(conn) = connects.join_next().await {
        conn.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_reader_may_come_first_and_may_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let manager = SqliteManager::new(SqliteConfig::file(dir.path().join("new.db")));
    let mut reader = manager.reader().connect().await.unwrap();
    assert_eq!(
        number(&mut reader, "SELECT count(*) FROM sqlite_schema").await,
        0
    );

    let mut writer = manager.connect().await.unwrap();
    batch(&mut writer, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)").await;
    assert_eq!(rows(&mut reader).await, 0);
    batch(&mut reader, "PRAGMA query_only = off").await;
    let write = reader.interact(|c| c.execute_batch("DELETE FROM t")).await;
    assert!(write.unwrap_err().to_string().contains("readonly"));
}

#[tokio::test]
async fn connections_of_one_manager_share_its_memory_database_and_nobody_else_does() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    batch(&mut conn, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)").await;
    let mut reader = manager.reader().connect().await.unwrap();
    assert_eq!(rows(&mut reader).await, 0);
    let mut stranger = SqliteManager::new(SqliteConfig::memory())
        .connect()
        .await
        .unwrap();
    assert_eq!(
        number(&mut stranger, "SELECT count(*) FROM sqlite_schema").await,
        0
    );
    assert!(
        reader
            .interact(|c| c.execute_batch("DELETE FROM t"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_memory_database_outlives_its_connections() {
    let manager = SqliteManager::new(SqliteConfig::memory_named("outlives its connections?"));
    let mut conn = manager.connect().await.unwrap();
    batch(
        &mut conn,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 2)",
    )
    .await;
    manager.close(conn).await;
    let mut conn = manager.connect().await.unwrap();
    assert_eq!(rows(&mut conn).await, 1);

    let namesake = SqliteConfig::memory_named("outlives its connections?");
    let mut conn = SqliteManager::new(namesake).connect().await.unwrap();
    assert_eq!(rows(&mut conn).await, 1);
}

#[tokio::test]
async fn a_memory_transaction_rolls_back() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    batch(
        &mut conn,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); BEGIN; INSERT INTO t VALUES (1, 2)",
    )
    .await;
    manager.recycle(&mut conn).await.unwrap();
    assert_eq!(rows(&mut conn).await, 0);
}

#[tokio::test]
async fn a_missing_file_is_an_error_unless_it_may_be_created() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing.db");
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let manager = SqliteManager::new(SqliteConfig::file(&path).open_mode(mode));
        let error = manager.connect().await.unwrap_err();
        assert!(matches!(error, SqliteError::CannotOpen { .. }), "{error}");
        assert!(
            error.to_string().contains("the file does not exist"),
            "{error}"
        );
    }
    assert!(!path.exists());
    SqliteManager::new(SqliteConfig::file(&path))
        .connect()
        .await
        .unwrap();
    assert!(path.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_path_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStringExt;

    let dir = tempfile::tempdir().unwrap();
    let name = std::ffi::OsString::from_vec(b"caf\xe9.db".to_vec());
    let manager = SqliteManager::new(SqliteConfig::file(dir.path().join(&name)));
    manager.close(manager.connect().await.unwrap()).await;
    let files: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, [name]);
}

#[tokio::test]
async fn a_path_that_sqlite_would_take_for_something_else_is_refused_with_the_rule() {
    let fixture = Fixture::new().await;
    let uri = format!("file:{}", fixture.dir.path().join("app.db").display());
    for (path, rule) in [
        ("", "must not be empty"),
        (uri.as_str(), "must not begin with `file:`"),
        ("app.db\0.bak", "must not hold a NUL"),
    ] {
        for mode in [OpenMode::ReadWrite, OpenMode::ReadOnly] {
            let manager = SqliteManager::new(SqliteConfig::file(path).open_mode(mode));
            let error = manager.connect().await.unwrap_err();
            assert!(matches!(error, SqliteError::CannotOpen { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(path) && text.contains(rule), "{text}");
        }
    }
}

#[tokio::test]
async fn a_connect_that_fails_says_what_in_the_configuration_is_wrong() {
    let manager = SqliteManager::new(SqliteConfig::memory().init_sql("CREATE TABEL x (a)"));
    let error = manager.connect().await.unwrap_err().to_string();
    assert!(error.contains("TABEL"), "{error}");
}

#[test]
fn a_key_does_not_show() {
    let config = SqliteConfig::file("a.db")
        .pragma("key", "secret")
        .init_sql("-- secret");
    let manager = SqliteManager::new(config.clone());
    assert!(!format!("{config:?} {manager:?}").contains("secret"));
    assert_eq!(manager.name(), "sqlite:a.db");
}

/// How many descriptors of this process are open on files in `dir`.
#[cfg(target_os = "linux")]
fn descriptors(dir: &std::path::Path) -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.starts_with(dir))
        .count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_in_rollback_mode_needs_one_descriptor_and_closing_frees_it() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config.journal_mode(JournalMode::Delete));
    let mut conns = Vec::new();
    for _ in 0..20 {
        let mut conn = manager.connect().await.unwrap();
        batch(&mut conn, "INSERT INTO t (v) VALUES (1)").await;
        assert!(rows(&mut conn).await > 0);
        conns.push(conn);
    }
    let dir = fixture.dir.path().canonicalize().unwrap();
    assert_eq!(descriptors(&dir), 20);
    for conn in conns {
        manager.close(conn).await;
    }
    assert_eq!(descriptors(&dir), 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_connection_is_closed_when_close_returns() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config);
    let mut conn = manager.connect().await.unwrap();
    assert_eq!(rows(&mut conn).await, 0);
    let dir = fixture.dir.path().canonicalize().unwrap();
    assert!(descriptors(&dir) > 0);
    manager.close(conn).await;
    assert_eq!(descriptors(&dir), 0);
    assert!(
        !dir.join("app.db-wal").exists(),
        "the last connection folds the log into the file"
    );
}

#[tokio::test]
async fn every_spelling_of_memory_is_one_database_for_all_connections() {
    for config in [
        SqliteConfig::file(":memory:"),
        SqliteConfig::memory_named(""),
    ] {
        let manager = SqliteManager::new(config);
        let mut first = manager.connect().await.unwrap();
        first
            .interact(|c| c.execute_batch("CREATE TABLE t (x)"))
            .await
            .unwrap();
        let mut second = manager.connect().await.unwrap();
        assert_eq!(number(&mut second, "SELECT count(*) FROM t").await, 0);
    }
}
