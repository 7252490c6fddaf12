use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::time::Duration;

use pool_postgres::tokio_postgres::Client;
use pool_postgres::{PgConnection, PgManager, Pool, PooledConnection, Recycle};
use pool_servers::FaultProxy;

use crate::{config, pool, server, soon, text, until};

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
async fn a_query_that_was_given_up_is_cancelled_on_the_server() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = pool.get().await.unwrap();
    {
        let query = pin!(conn.batch_execute("SELECT pg_sleep(600)"));
        assert!(
            tokio::time::timeout(Duration::from_millis(100), query)
                .await
                .is_err()
        );
    }
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    assert_eq!(soon(text(&conn, "SELECT 'free'")).await, "free");
    assert_eq!(pool.stats().connects, 1);
}

/// On a worker of a runtime the task woken last runs first: the next user, before the driver has seen
/// what the last one left.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_query_given_up_before_it_was_sent_does_not_reach_the_next_user() {
    let server = server().await;
    for uses_it_before in [false, true] {
        let pool = pool(&server, 1);
        let on_a_worker = tokio::spawn(async move {
            let conn = pool.get().await.unwrap();
            let next = tokio::spawn({
                let pool = pool.clone();
                async move { is_in_transaction(&pool.get().await.unwrap()).await }
            });
            until(|| pool.stats().waiting == 1).await;
            {
                let client: &Client = &conn;
                if uses_it_before {
                    client.query_one("SELECT 1", &[]).await.unwrap();
                }
                let mut begin = pin!(client.batch_execute("BEGIN"));
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(begin.as_mut().poll(&mut cx).is_pending());
            }
            drop(conn);
            next.await.unwrap()
        });
        assert!(
            !soon(on_a_worker).await.unwrap(),
            "the next user is in somebody else's transaction"
        );
    }
}

#[tokio::test]
async fn a_query_given_up_while_it_was_sent_does_not_reach_the_next_user() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = soon(pool.get()).await.unwrap();
    let (_, backend) = backend_of(&conn).await;
    server.hang_backend(backend).unwrap();
    {
        let sql = format!("BEGIN; -- {}", "x".repeat(20_000_000));
        let mut begin = pin!(conn.batch_execute(&sql));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(begin.as_mut().poll(&mut cx).is_pending());
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    drop(conn);
    let next = pool.get();
    server.resume().unwrap();
    assert!(!is_in_transaction(&soon(next).await.unwrap()).await);
}

/// A savepoint is an error outside of a transaction.
async fn is_in_transaction(conn: &PgConnection) -> bool {
    soon(conn.batch_execute("SAVEPOINT s")).await.is_ok()
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
    let always = Pool::builder(PgManager::new(settings))
        .min_size(0)
        .max_size(1)
        .build()
        .unwrap();
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
async fn closing_the_pool_interrupts_what_does_not_end_by_itself() {
    let server = server().await;
    let pool = pool(&server, 1);
    let endless = tokio::spawn({
        let pool = pool.clone();
        async move {
            let conn = pool.get().await.unwrap();
            conn.batch_execute("SELECT pg_sleep(600)").await
        }
    });
    until(|| pool.stats().active == 1).await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' \
                   AND state = 'active' AND pid <> pg_backend_pid()";
    pool_servers::eventually("it runs", || {
        server.query(running).unwrap()[0][0].as_deref() == Some("1")
    });
    let report = soon(pool.close_timeout(Duration::from_millis(20))).await;
    assert!(report.is_complete() && report.interrupted == 1, "{report}");
    assert!(endless.await.unwrap().is_err());
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

/// The driver tells the server to forget a statement, and waits for no answer.
#[tokio::test]
async fn a_statement_that_is_being_forgotten_is_nothing_left_behind() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = soon(pool.get()).await.unwrap();
    let (_, backend) = backend_of(&conn).await;
    let statement = soon(conn.prepare("SELECT 1")).await.unwrap();
    // The server hangs, so that the answer is outstanding at the return.
    server.hang_backend(backend).unwrap();
    drop(statement);
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    drop(conn);
    assert_eq!((pool.stats().idle, pool.stats().recycle.count), (1, 0));
    server.resume().unwrap();
}

/// Its number as a text, and as a number.
async fn backend_of(conn: &PgConnection) -> (String, u32) {
    let pid = text(conn, "SELECT pg_backend_pid()::text").await;
    let number = pid.parse().unwrap();
    (pid, number)
}

#[tokio::test]
async fn a_transaction_dropped_on_the_way_out_is_rolled_back_without_a_cancel() {
    let server = server().await;
    let proxy = FaultProxy::before(&server).unwrap();
    let manager = PgManager::new(config(&server.url_at(proxy.address())));
    let pool = Pool::builder(manager)
        .min_size(0)
        .max_size(1)
        .build()
        .unwrap();
    for _ in 0..5 {
        let mut conn = soon(pool.get()).await.unwrap();
        let transaction = soon(conn.transaction()).await.unwrap();
        soon(transaction.simple_query("SELECT 1")).await.unwrap();
    }
    drop(soon(pool.get()).await.unwrap());
    assert_eq!(
        proxy.attempted(),
        1,
        "a cancel would be a connect of its own"
    );
}

#[tokio::test]
async fn sql_of_the_users_own_runs_after_every_use_and_only_then() {
    let server = server().await;
    server.query("CREATE TABLE uses (at int)").unwrap();
    let recycle = Recycle::Custom("INSERT INTO uses VALUES (1)".to_owned());
    let settings = config(&server.url()).recycle(recycle);
    let pool = Pool::builder(PgManager::new(settings))
        .min_size(0)
        .max_size(1)
        .build()
        .unwrap();
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
    let pool = Pool::builder(PgManager::new(settings))
        .min_size(0)
        .max_size(1)
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
async fn a_connection_that_is_closed_while_it_is_busy_leaves_no_statement_behind() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = soon(pool.get()).await.unwrap();
    pool.retire_all();
    let endless = conn.batch_execute("SELECT pg_sleep(1000)");
    let begun = until(|| !server.query(ACTIVE).unwrap().is_empty());
    tokio::select! {
        ended = endless => panic!("{ended:?}"),
        () = begun => {}
    }
    drop(conn);
    drop(soon(pool.get()).await.unwrap());
    assert!(server.query(ACTIVE).unwrap().is_empty());
}

/// The sleeping statements.
const ACTIVE: &str =
    "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1000)' AND state = 'active'";

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
async fn a_busy_connection_to_a_server_that_hangs_leaves_no_task_behind() {
    let server = server().await;
    let manager = PgManager::new(config(&server.url()));
    let pool = Pool::builder(manager).min_size(0).max_size(1);
    let pool = pool.close_timeout(Duration::from_millis(100));
    let pool = pool.build().unwrap();
    let conn = soon(pool.get()).await.unwrap();
    let endless = conn.batch_execute("SELECT pg_sleep(1000)");
    let begun = until(|| !server.query(ACTIVE).unwrap().is_empty());
    tokio::select! {
        ended = endless => panic!("{ended:?}"),
        () = begun => {}
    }
    server.hang().unwrap();
    PooledConnection::invalidate(conn);
    drop(pool);
    let tasks = tokio::runtime::Handle::current().metrics();
    until(|| tasks.num_alive_tasks() == 0).await;
    server.resume().unwrap();
}

/// The driver gives rows on one by one, and reads no other answer before they are taken.
#[tokio::test]
async fn rows_that_somebody_keeps_unread_hold_up_nobody_else() {
    let server = server().await;
    for count in 30..=60 {
        let pool = pool(&server, 2);
        let conn = soon(pool.get()).await.unwrap();
        let other = soon(pool.get()).await.unwrap();
        let sql = format!("SELECT repeat('x', 500) FROM generate_series(1, {count})");
        let none: [&str; 0] = [];
        let kept = soon(conn.query_raw(&sql, none)).await.unwrap();
        let idle = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%repeat%' AND state = 'idle' \
                    AND query NOT LIKE '%activity%'";
        until(|| !server.query(idle).unwrap().is_empty()).await;
        text(&other, "SELECT 'the driver has read on'").await;
        drop(conn);
        let conn = soon(pool.get()).await.unwrap();
        assert_eq!(soon(text(&conn, "SELECT 'x'")).await, "x", "{count} rows");
        drop(kept);
    }
}

fn panics_with(conn: PooledConnection) {
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _held = conn;
        panic!("as it is meant to");
    }));
    assert!(panicked.is_err());
}

#[tokio::test]
async fn a_panic_during_a_query_costs_nobody_else_their_connections() {
    let server = server().await;
    let manager = PgManager::new(config(&server.url()));
    let pool = Pool::builder(manager).min_size(0).max_size(2);
    let pool = pool.validate_timeout(Duration::from_millis(300));
    let pool = pool.build().unwrap();
    let conn = soon(pool.get()).await.unwrap();
    drop(soon(pool.get()).await.unwrap());
    {
        let endless = conn.batch_execute("SELECT pg_sleep(1000)");
        let begun = until(|| !server.query(ACTIVE).unwrap().is_empty());
        tokio::select! {
            ended = endless => panic!("{ended:?}"),
            () = begun => {}
        }
    }
    panics_with(conn);
    until(|| pool.stats().active == 0).await;
    assert_eq!((pool.stats().idle, pool.stats().connects), (2, 2));
    assert!(server.query(ACTIVE).unwrap().is_empty());
}

#[tokio::test]
async fn a_transaction_left_open_by_a_panic_holds_its_locks_no_longer() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = soon(pool.get()).await.unwrap();
    soon(conn.batch_execute("BEGIN")).await.unwrap();
    panics_with(conn);
    until(|| pool.stats().idle == 1).await;
    let open = "SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    assert!(server.query(open).unwrap().is_empty());
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

/// The driver gives its rows on while it reads, and their user may be done before it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_came_in_many_pieces_are_nothing_left_behind() {
    let server = server().await;
    let pool = pool(&server, 1);
    let sql = "SELECT repeat('x', 500) FROM generate_series(1, 2000)";
    for _ in 0..100 {
        let conn = soon(pool.get()).await.unwrap();
        assert_eq!(soon(conn.query(sql, &[])).await.unwrap().len(), 2000);
    }
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
