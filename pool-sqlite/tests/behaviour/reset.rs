//! Recycling: what one user leaves behind the next does not find.

use pool_core::{Condition, Manager};
use pool_sqlite::{Reset, SqliteConfig, SqliteConnection, SqliteManager};

use crate::{Fixture, batch, number, rows};

/// Returns the connection as a pool does.
async fn give_back(manager: &SqliteManager, conn: &mut SqliteConnection) {
    if manager.condition(conn) == Condition::NeedsRecycle {
        manager.recycle(conn).await.unwrap();
    }
    assert_eq!(manager.condition(conn), Condition::Ready);
}

#[tokio::test]
async fn ordinary_use_needs_no_recycling() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config);
    let mut conn = manager.connect().await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
    batch(
        &mut conn,
        "INSERT INTO t (v) VALUES (1); UPDATE t SET v = 2",
    )
    .await;
    batch(
        &mut conn,
        "BEGIN; DELETE FROM t; ROLLBACK; CREATE INDEX i ON t (v)",
    )
    .await;
    assert_eq!(rows(&mut conn).await, 1);
    manager.validate(&mut conn).await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
}

#[tokio::test]
async fn an_open_transaction_is_rolled_back() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config);
    let mut conn = manager.connect().await.unwrap();
    batch(
        &mut conn,
        "BEGIN; INSERT INTO t (v) VALUES (1); SAVEPOINT s; DELETE FROM t",
    )
    .await;
    assert_eq!(manager.condition(&mut conn), Condition::NeedsRecycle);
    give_back(&manager, &mut conn).await;
    assert_eq!(rows(&mut conn).await, 0);
    batch(&mut conn, "BEGIN IMMEDIATE; COMMIT").await;
}

#[tokio::test]
async fn attached_databases_and_temporary_objects_are_gone() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config);
    let mut conn = manager.connect().await.unwrap();
    for change in [
        "ATTACH ':memory:' AS other; CREATE TABLE other.x (a)",
        "CREATE TEMP TABLE x (a); INSERT INTO x VALUES (1)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM t; END",
        "BEGIN; CREATE TEMP TABLE x (a)",
    ] {
        batch(&mut conn, change).await;
        give_back(&manager, &mut conn).await;
        let temporary = number(&mut conn, "SELECT count(*) FROM temp.sqlite_schema").await;
        let databases = "SELECT count(*) FROM pragma_database_list WHERE name <> 'temp'";
        assert_eq!(
            (temporary, number(&mut conn, databases).await),
            (0, 1),
            "{change}"
        );
    }
}

#[tokio::test]
async fn changed_pragmas_are_as_configured_again() {
    let fixture = Fixture::new().await;
    let manager =
        fixture.manager(|config| config.cache_size(-777).pragma("recursive_triggers", "on"));
    let mut conn = manager.connect().await.unwrap();
    let settings = "SELECT (SELECT foreign_keys FROM pragma_foreign_keys) * 1000000
        + (SELECT recursive_triggers FROM pragma_recursive_triggers) * 100000
        + (SELECT synchronous FROM pragma_synchronous) * 10000
        + (SELECT -cache_size FROM pragma_cache_size)";
    assert_eq!(number(&mut conn, settings).await, 1_110_777);
    batch(
        &mut conn,
        "PRAGMA foreign_keys = off; PRAGMA cache_size = 1; PRAGMA synchronous = full;
         PRAGMA recursive_triggers = off",
    )
    .await;
    assert_ne!(number(&mut conn, settings).await, 1_110_777);
    give_back(&manager, &mut conn).await;
    assert_eq!(number(&mut conn, settings).await, 1_110_777);
}

#[tokio::test]
async fn a_cached_statement_cannot_change_a_later_session_unseen() {
    let fixture = Fixture::new().await;
    let attach = "ATTACH ':memory:' AS other";
    let manager =
        fixture.manager(|config| config.on_connect(move |c| c.prepare_cached(attach).map(drop)));
    let mut conn = manager.connect().await.unwrap();
    for _ in 0..2 {
        conn.interact(move |c| c.prepare_cached(attach)?.execute([]))
            .await
            .unwrap();
        assert_eq!(manager.condition(&mut conn), Condition::NeedsRecycle);
        give_back(&manager, &mut conn).await;
        assert_eq!(
            number(&mut conn, "SELECT count(*) FROM pragma_database_list").await,
            1
        );
    }
}

#[tokio::test]
async fn what_cannot_be_seen_goes_when_the_user_says_so() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let hook = |c: &mut rusqlite::Connection| c.commit_hook(Some(|| true));
    conn.interact(hook).await.unwrap();
    conn.reset_on_return();
    give_back(&manager, &mut conn).await;
    batch(&mut conn, "CREATE TABLE x (a); INSERT INTO x VALUES (1)").await;
}

#[tokio::test]
async fn a_pool_may_reset_after_every_use() {
    let manager = SqliteManager::new(SqliteConfig::memory().reset(Reset::Always));
    let mut conn = manager.connect().await.unwrap();
    manager.validate(&mut conn).await.unwrap();
    assert_eq!(
        manager.condition(&mut conn),
        Condition::Ready,
        "nobody has used it"
    );
    conn.interact(|c| c.commit_hook(Some(|| true)))
        .await
        .unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::NeedsRecycle);
    give_back(&manager, &mut conn).await;
    batch(&mut conn, "CREATE TABLE x (a); INSERT INTO x VALUES (1)").await;
}

#[tokio::test]
async fn a_reset_connection_can_still_be_interrupted() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    batch(&mut conn, "CREATE TEMP TABLE x (a)").await;
    give_back(&manager, &mut conn).await;
    let timeout = std::time::Duration::from_millis(20);
    let endless = conn.interact_timeout(timeout, |c| {
        c.query_row(crate::ENDLESS, [], |row| row.get::<_, i64>(0))
    });
    assert!(crate::soon(endless).await.unwrap_err().is_timeout());
    assert_eq!(crate::soon(number(&mut conn, "SELECT 1")).await, 1);
}

#[tokio::test]
async fn what_each_new_connection_runs_a_reset_connection_runs_again() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config.init_sql("CREATE TEMP TABLE mine (a)"));
    let mut conn = manager.connect().await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
    batch(&mut conn, "DROP TABLE mine").await;
    give_back(&manager, &mut conn).await;
    assert_eq!(number(&mut conn, "SELECT count(*) FROM mine").await, 0);
}

#[tokio::test]
async fn a_damaged_file_is_noticed_and_its_connection_not_reused() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config);
    let path = fixture.dir.path().join("broken.db");
    std::fs::write(
        &path,
        "this is no database, though it is long enough to be one ".repeat(99),
    )
    .unwrap();
    let broken = SqliteManager::new(SqliteConfig::file(&path));
    let error = broken.connect().await.unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");

    let mut conn = manager.connect().await.unwrap();
    let path = path.to_str().unwrap().to_owned();
    let used = conn
        .interact(move |c| c.execute("ATTACH ?1 AS broken", [path]))
        .await;
    let used = match used {
        Ok(_) => {
            conn.interact(|c| c.execute_batch("SELECT * FROM broken.x"))
                .await
        }
        Err(error) => Err(error),
    };
    assert!(used.is_err());
    assert_eq!(manager.condition(&mut conn), Condition::Broken);
}

#[tokio::test]
async fn a_handle_that_was_exchanged_is_not_handed_on() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config);
    let mut conn = manager.connect().await.unwrap();
    conn.interact(|c| {
        *c = rusqlite::Connection::open_in_memory()?;
        Ok(())
    })
    .await
    .unwrap();
    give_back(&manager, &mut conn).await;
    assert_eq!(rows(&mut conn).await, 0);
}
