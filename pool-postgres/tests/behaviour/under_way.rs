//! What is still under way when its connection is returned or closed.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::time::Duration;

use pool_postgres::tokio_postgres::Client;
use pool_postgres::{PgConnection, PgManager, Pool, PooledConnection};
use pool_servers::{FaultProxy, Postgres, Server};

use crate::{builder, config, is_in_transaction, pool, server, soon, text, until};

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
async fn what_ends_by_itself_is_waited_for_and_the_server_is_asked_nothing() {
    let logs = Postgres::new().setting("log_statement", "all");
    let server = logs.start_async().await.unwrap();
    let pool = pool(&server, 1);
    for _ in 0..10 {
        let mut conn = soon(pool.get()).await.unwrap();
        let transaction = soon(conn.transaction()).await.unwrap();
        soon(transaction.simple_query("SELECT 1/0"))
            .await
            .unwrap_err();
        drop(transaction);
        drop(conn);
        let conn = soon(pool.get()).await.unwrap();
        soon(conn.batch_execute("SELECT 1/0")).await.unwrap_err();
    }
    assert!(!is_in_transaction(&soon(pool.get()).await.unwrap()).await);
    let log = server.log();
    let statements = log
        .lines()
        .filter_map(|line| line.split_once("statement: "));
    let asked: Vec<_> = statements
        .map(|(_, sql)| sql)
        .filter(|sql| sql.is_empty())
        .collect();
    assert!(
        log.contains("statement: ROLLBACK") && asked.is_empty(),
        "{asked:?}"
    );
    assert_eq!(pool.stats().connects, 1);
}

#[tokio::test]
async fn a_connection_that_is_closed_while_it_is_busy_leaves_no_statement_behind() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = soon(pool.get()).await.unwrap();
    pool.retire_all();
    give_up_what_sleeps(&server, &conn).await;
    drop(conn);
    drop(soon(pool.get()).await.unwrap());
    assert!(server.query(ACTIVE).unwrap().is_empty());
}

/// The sleeping statements.
const ACTIVE: &str =
    "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1000)' AND state = 'active'";

/// Gives a statement up that the server has begun and never ends.
async fn give_up_what_sleeps(server: &Server, conn: &PgConnection) {
    let endless = conn.batch_execute("SELECT pg_sleep(1000)");
    let begun = until(|| !server.query(ACTIVE).unwrap().is_empty());
    tokio::select! {
        ended = endless => panic!("{ended:?}"),
        () = begun => {}
    }
}

#[tokio::test]
async fn a_busy_connection_to_a_server_that_hangs_leaves_no_task_behind() {
    let server = server().await;
    let pool = builder(&server, 1).close_timeout(Duration::from_millis(100));
    let pool = pool.build().unwrap();
    let conn = soon(pool.get()).await.unwrap();
    give_up_what_sleeps(&server, &conn).await;
    server.hang().unwrap();
    PooledConnection::invalidate(conn);
    drop(pool);
    let tasks = tokio::runtime::Handle::current().metrics();
    until(|| tasks.num_alive_tasks() == 0).await;
    server.resume().unwrap();
}

#[tokio::test]
async fn a_server_that_takes_no_cancel_request_is_sent_no_second_one() {
    let server = server().await;
    let proxy = FaultProxy::before(&server).unwrap();
    let manager = PgManager::new(config(&server.url_at(proxy.address())));
    let pool = Pool::builder(manager).min_size(0).max_size(1);
    let pool = pool.build().unwrap();
    let conn = soon(pool.get()).await.unwrap();
    give_up_what_sleeps(&server, &conn).await;
    proxy.black_hole();
    drop(conn);
    until(|| pool.stats().closed_by.recycle_failed == 1).await;
    soon(pool.close()).await;
    assert_eq!(proxy.attempted(), 2, "the connection, and one request");
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
    let pool = builder(&server, 2).validate_timeout(Duration::from_millis(300));
    let pool = pool.build().unwrap();
    let conn = soon(pool.get()).await.unwrap();
    drop(soon(pool.get()).await.unwrap());
    give_up_what_sleeps(&server, &conn).await;
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
