//! Behind PgBouncer, which gives each transaction whatever server connection is free.

use pool_postgres::PgManager;
use pool_postgres::pool_core::Manager;
use pool_servers::PgBouncer;

use crate::{builder_of, config, server, soon, text};

#[tokio::test]
async fn transactions_work_and_what_the_startup_packet_may_not_say_is_told() {
    let postgres = server().await;
    let bouncer = PgBouncer::before(&postgres).start().unwrap();
    let plain = config(&bouncer.url())
        .statement_timeout(None)
        .statement_cache(0);
    let pool = builder_of(plain, 4).build().unwrap();
    for number in 0..20 {
        let mut conn = soon(pool.get()).await.unwrap();
        let transaction = soon(conn.transaction()).await.unwrap();
        let sql = format!("SELECT '{number}'");
        let answer = soon(transaction.simple_query(&sql)).await.unwrap();
        assert_eq!(answer.len(), 3, "columns, a row, the end");
        soon(transaction.commit()).await.unwrap();
        drop(conn);
    }
    let conn = soon(pool.get()).await.unwrap();
    soon(conn.batch_execute("BEGIN; SELECT 1")).await.unwrap();
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    assert_eq!(
        soon(text(&conn, "SELECT 'rolled back'")).await,
        "rolled back"
    );
    drop(conn);
    assert!(soon(pool.close()).await.is_complete());

    let with_timeout = PgManager::new(config(&bouncer.url()));
    match soon(with_timeout.connect()).await {
        // From 1.20 on it passes over what it is told to ignore.
        Ok(conn) => soon(with_timeout.close(conn)).await,
        Err(error) => assert!(error.to_string().contains("options"), "{error}"),
    }
}

/// Between two round trips another client may take the server connection that has prepared something.
#[tokio::test]
async fn a_statement_in_one_round_trip_depends_on_no_other() {
    let postgres = server().await;
    let bouncer = PgBouncer::before(&postgres).start().unwrap();
    let manager = PgManager::new(config(&bouncer.url()).statement_timeout(None));
    let conn = soon(manager.connect()).await.unwrap();
    let other = soon(manager.connect()).await.unwrap();
    let backend = "SELECT pg_backend_pid()";
    let before = soon(conn.query_typed_one(backend, &[])).await.unwrap();
    soon(other.batch_execute("BEGIN; SELECT 1")).await.unwrap();
    let after = soon(conn.query_typed_one(backend, &[])).await.unwrap();
    let pids = [before, after].map(|row| row.get::<_, i32>(0));
    assert_ne!(pids[0], pids[1], "the server connection is another");
}
