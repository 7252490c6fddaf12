//! What a user leaves in a session, and who comes next.

use std::time::Duration;

use pool_postgres::{PgManager, Pool, PooledConnection, Recycle};
use pool_servers::FaultProxy;

use crate::{builder_of, config, pool, server, soon, text, until};

#[tokio::test]
async fn a_clean_return_costs_no_round_trip() {
    let server = server().await;
    let pool = pool(&server, 1);
    for _ in 0..10 {
        text(&pool.get().await.unwrap(), "SELECT 'x'").await;
    }
    assert_eq!((pool.stats().recycle.count, pool.stats().connects), (0, 1));
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back() {
    let server = server().await;
    server.query("CREATE TABLE t (v int)").unwrap();
    let pool = pool(&server, 1);
    for left in ["BEGIN; INSERT INTO t VALUES (1)", "BEGIN; SELECT 1/0"] {
        let _failed = pool.get().await.unwrap().batch_execute(left).await;
        let conn = soon(pool.get()).await.unwrap();
        assert_eq!(
            text(&conn, "SELECT count(*)::text FROM t").await,
            "0",
            "{left}"
        );
    }
    assert_eq!(pool.stats().connects, 1);
}

#[tokio::test]
async fn what_changes_the_session_is_seen_and_undone() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = pool.get().await.unwrap();
    conn.batch_execute(
        "SET work_mem = '64kB'; LISTEN news; CREATE TEMP TABLE mine (x int); \
         DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    )
    .await
    .unwrap();
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    let left = "SELECT (SELECT count(*) FROM pg_listening_channels()) \
                + (SELECT count(*) FROM pg_cursors WHERE name = 'c') \
                + (SELECT count(*) FROM pg_class WHERE relname = 'mine')";
    let left: i64 = conn.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
    assert_ne!(text(&conn, "SHOW work_mem").await, "64kB");
    assert_eq!((pool.stats().connects, pool.stats().recycle.count), (1, 1));
}

#[tokio::test]
async fn what_sql_has_prepared_is_undone_and_what_the_driver_has_is_kept() {
    let server = server().await;
    let pool = pool(&server, 1);
    for _ in 0..2 {
        let conn = soon(pool.get()).await.unwrap();
        let prepare = "PREPARE \"a b\" AS SELECT 1; PREPARE c AS SELECT 2";
        conn.batch_execute(prepare).await.unwrap();
        conn.query_cached("SELECT 3", &[]).await.unwrap();
        assert_eq!(conn.statements().len(), 1);
    }
    assert_eq!(pool.stats().connects, 1);
}

#[tokio::test]
async fn a_setting_the_server_tells_of_is_undone_whoever_has_changed_it() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = soon(pool.get()).await.unwrap();
    let before = text(&conn, "SHOW timezone").await;
    text(&conn, "SELECT set_config('timezone', 'Asia/Tokyo', false)").await;
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    assert_eq!(text(&conn, "SHOW timezone").await, before);
    assert_eq!((pool.stats().connects, pool.stats().recycle.count), (1, 1));
}

#[tokio::test]
async fn what_the_wire_does_not_show_is_undone_when_the_user_says_so_or_always() {
    let server = server().await;
    let settings = config(&server.url()).recycle(Recycle::Clean);
    let always = builder_of(settings, 1).build().unwrap();
    let told = pool(&server, 1);
    for (pool, tell) in [(&always, false), (&told, true)] {
        let mut conn = pool.get().await.unwrap();
        let sql = "SELECT set_config('work_mem', '64kB', false)";
        conn.query_one(sql, &[]).await.unwrap();
        if tell {
            conn.reset_on_return();
        }
        drop(conn);
        let conn = soon(pool.get()).await.unwrap();
        assert_ne!(text(&conn, "SHOW work_mem").await, "64kB");
    }
}

#[tokio::test]
async fn prepared_statements_of_the_driver_survive_a_reset() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = pool.get().await.unwrap();
    let statement = conn.prepare("SELECT $1::int4 + 1").await.unwrap();
    conn.batch_execute("SET work_mem = '64kB'").await.unwrap();
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    let sum: i32 = conn.query_one(&statement, &[&41]).await.unwrap().get(0);
    assert_eq!((sum, pool.stats().recycle.count), (42, 1));
}

#[tokio::test]
async fn a_detached_connection_lives_on() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = PooledConnection::detach(pool.get().await.unwrap());
    pool.close().await;
    assert_eq!(text(&conn, "SELECT 'alive'").await, "alive");
}

#[tokio::test]
async fn a_temporary_table_filled_by_a_query_is_seen_and_dropped() {
    let server = server().await;
    let pool = pool(&server, 1);
    for (prepared, sql) in [
        (false, "CREATE TEMP TABLE mine AS SELECT 1 WHERE false"),
        (false, "SELECT 1 AS x INTO TEMP mine"),
        (true, "CREATE TEMP TABLE mine AS SELECT 1 AS x"),
        (true, "SELECT 1 AS x INTO TEMP mine"),
        (false, "DO $$ BEGIN CREATE TEMP TABLE mine (x int); END $$"),
    ] {
        let conn = soon(pool.get()).await.unwrap();
        if prepared {
            soon(conn.execute(sql, &[])).await.unwrap();
        } else {
            soon(conn.batch_execute(sql)).await.unwrap();
        }
        drop(conn);
        let conn = soon(pool.get()).await.unwrap();
        let left = text(&conn, "SELECT to_regclass('mine')::text IS NULL || ''").await;
        assert_eq!(left, "true", "{sql}");
    }
    assert_eq!((pool.stats().connects, pool.stats().recycle.count), (1, 5));
}

#[tokio::test]
async fn selecting_nothing_is_no_change_of_the_session() {
    let server = server().await;
    let pool = pool(&server, 1);
    for _ in 0..3 {
        let conn = soon(pool.get()).await.unwrap();
        soon(conn.query("SELECT 1 WHERE false", &[])).await.unwrap();
        soon(conn.batch_execute("SELECT 1 WHERE false"))
            .await
            .unwrap();
        // A statement that was dropped a while ago is closed without anybody waiting for it.
        soon(conn.simple_query("SELECT 2; SELECT 1 WHERE false"))
            .await
            .unwrap();
    }
    assert_eq!(pool.stats().recycle.count, 0);
}

#[tokio::test]
async fn sql_of_the_users_own_runs_after_every_use_and_only_then() {
    let server = server().await;
    server.query("CREATE TABLE uses (at int)").unwrap();
    let recycle = Recycle::Custom("INSERT INTO uses VALUES (1)".to_owned());
    let settings = config(&server.url()).recycle(recycle);
    let pool = builder_of(settings, 1).build().unwrap();
    for _ in 0..3 {
        text(&soon(pool.get()).await.unwrap(), "SELECT 'x'").await;
    }
    drop(soon(pool.get()).await.unwrap());
    drop(soon(pool.get()).await.unwrap());
    let uses = server.query("SELECT count(*) FROM uses").unwrap();
    assert_eq!(uses[0][0].as_deref(), Some("3"));
}

#[tokio::test]
async fn verified_finds_a_dead_connection_at_its_return() {
    let server = server().await;
    let proxy = FaultProxy::before(&server).unwrap();
    let settings = config(&server.url_at(proxy.address())).recycle(Recycle::Verified);
    let pool = builder_of(settings, 1)
        .recycle_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let conn = soon(pool.get()).await.unwrap();
    text(&conn, "SELECT 'x'").await;
    proxy.black_hole();
    drop(conn);
    until(|| pool.stats().closed_by.recycle_failed == 1).await;
}

#[tokio::test]
async fn custom_sql_that_drops_prepared_statements_drops_those_that_are_kept() {
    let server = server().await;
    let config = config(&server.url()).recycle(Recycle::Custom("DISCARD ALL".into()));
    let pool = Pool::builder(PgManager::new(config)).max_size(1);
    let pool = pool.min_size(0).build().unwrap();
    for _ in 0..3 {
        let conn = soon(pool.get()).await.unwrap();
        let statement = conn.prepare_cached("SELECT 1").await.unwrap();
        conn.query(&statement, &[]).await.unwrap();
    }
    assert_eq!(pool.stats().connects, 1);
}

#[tokio::test]
async fn whatever_is_temporary_is_seen_and_dropped() {
    let server = server().await;
    let pool = pool(&server, 1);
    for sql in [
        "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE pg_temp.mine AS (x int)",
        "CREATE DOMAIN pg_temp.mine AS int",
        "EXPLAIN ANALYZE CREATE TEMP TABLE mine AS SELECT 1 AS x",
    ] {
        let conn = soon(pool.get()).await.unwrap();
        soon(conn.batch_execute(sql)).await.unwrap();
        drop(conn);
        let conn = soon(pool.get()).await.unwrap();
        let left = "SELECT count(*)::text FROM (SELECT proname FROM pg_proc UNION ALL \
                    SELECT typname FROM pg_type) AS named (name) WHERE name = 'mine'";
        assert_eq!(text(&conn, left).await, "0", "{sql}");
    }
    assert_eq!(pool.stats().connects, 1);
}

#[tokio::test]
async fn a_cursor_of_the_driver_read_to_its_end_is_nothing_left_behind() {
    let server = server().await;
    let pool = pool(&server, 1);
    let mut conn = soon(pool.get()).await.unwrap();
    let transaction = soon(conn.transaction()).await.unwrap();
    let portal = transaction.bind("SELECT generate_series(1, 4)", &[]);
    let portal = soon(portal).await.unwrap();
    for rows in [2, 2, 0] {
        let read = soon(transaction.query_portal(&portal, 2)).await.unwrap();
        assert_eq!(read.len(), rows);
    }
    soon(transaction.commit()).await.unwrap();
    drop((portal, conn));
    drop(soon(pool.get()).await.unwrap());
    assert_eq!(pool.stats().recycle.count, 0);
}

#[tokio::test]
async fn sql_of_the_users_own_does_not_run_before_the_first_use() {
    let server = server().await;
    server.query("CREATE TABLE uses (at int)").unwrap();
    let recycle = Recycle::Custom("INSERT INTO uses VALUES (1)".to_owned());
    let url = format!("{}?target_session_attrs=read-write", server.url());
    let manager = PgManager::new(config(&url).recycle(recycle));
    let pool = Pool::builder(manager).min_size(0).max_size(1);
    let pool = pool.build().unwrap();
    drop(soon(pool.get()).await.unwrap());
    drop(soon(pool.get()).await.unwrap());
    let uses = server.query("SELECT count(*) FROM uses").unwrap();
    assert_eq!(uses[0][0].as_deref(), Some("0"));
}
