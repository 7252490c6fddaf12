use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use pool_postgres::{PgManager, Pool, PooledConnection, Recycle};

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
    let pool = pool(&server, 1);
    let on_a_worker = tokio::spawn(async move {
        let conn = pool.get().await.unwrap();
        let next = tokio::spawn({
            let pool = pool.clone();
            async move {
                let conn = pool.get().await.unwrap();
                // A savepoint is an error outside of a transaction.
                conn.batch_execute("SAVEPOINT s").await.is_err()
            }
        });
        until(|| pool.stats().waiting == 1).await;
        {
            let mut begin = pin!(conn.batch_execute("BEGIN"));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(begin.as_mut().poll(&mut cx).is_pending());
        }
        drop(conn);
        next.await.unwrap()
    });
    assert!(
        soon(on_a_worker).await.unwrap(),
        "the next user is in somebody else's transaction"
    );
}

#[tokio::test]
async fn a_copy_left_unfinished_is_ended() {
    let server = server().await;
    server.query("CREATE TABLE t (v int)").unwrap();
    let pool = pool(&server, 1);
    let conn = pool.get().await.unwrap();
    let sink = conn
        .copy_in::<_, &'static [u8]>("COPY t FROM STDIN")
        .await
        .unwrap();
    drop(sink);
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    assert_eq!(soon(text(&conn, "SELECT count(*)::text FROM t")).await, "0");
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
async fn what_the_wire_does_not_show_is_undone_when_the_user_says_so_or_always() {
    let server = server().await;
    let settings = config(&server.url()).recycle(Recycle::Always);
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
