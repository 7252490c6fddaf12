//! Prepared statements that connections keep.

use std::future::Future;
use std::pin::pin;

use pool_postgres::pool_core::Manager;
use pool_postgres::tokio_postgres::error::SqlState;
use pool_postgres::{PgConnection, PgManager};

use crate::{config, pool, server, soon};

async fn connected(url: &str) -> (PgManager, PgConnection) {
    let manager = PgManager::new(config(url));
    let conn = soon(manager.connect()).await.unwrap();
    (manager, conn)
}

/// How many prepared statements the server has for the connection.
async fn on_the_server(conn: &PgConnection) -> i64 {
    let sql = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1%'";
    soon(conn.query_one(sql, &[])).await.unwrap().get(0)
}

#[tokio::test]
async fn a_statement_is_prepared_once_also_across_a_transaction_and_a_reset() {
    let server = server().await;
    let (manager, mut conn) = connected(&server.url()).await;
    let statements = conn.statements();
    soon(conn.prepare_cached("SELECT $1::int4")).await.unwrap();
    let transaction = soon(conn.transaction()).await.unwrap();
    let statement = statements.prepare(&transaction, "SELECT $1::int4");
    let statement = soon(statement).await.unwrap();
    let row = soon(transaction.query_one(&statement, &[&7]))
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
    soon(transaction.commit()).await.unwrap();
    conn.reset_on_return();
    soon(manager.recycle(&mut conn)).await.unwrap();
    let rows = soon(conn.query_cached("SELECT $1::int4", &[&8]))
        .await
        .unwrap();
    assert_eq!(rows[0].get::<_, i32>(0), 8);
    assert_eq!((statements.len(), on_the_server(&conn).await), (1, 1));
}

#[tokio::test]
async fn the_least_recently_used_goes_first_and_leaves_the_server_too() {
    let server = server().await;
    let url = format!("{}?statement_cache=2", server.url());
    let (_, conn) = connected(&url).await;
    for sql in [
        "SELECT $1::int4",
        "SELECT $1::int8",
        "SELECT $1::int4",
        "SELECT $1::text",
    ] {
        soon(conn.prepare_cached(sql)).await.unwrap();
    }
    assert_eq!(
        (conn.statements().len(), on_the_server(&conn).await),
        (2, 2)
    );
    soon(conn.prepare_cached("SELECT $1::int4")).await.unwrap();
    assert_eq!(on_the_server(&conn).await, 2, "it was still there");
}

#[tokio::test]
async fn without_a_cache_nothing_is_kept() {
    let server = server().await;
    let url = format!("{}?statement_cache=0", server.url());
    let (_, conn) = connected(&url).await;
    drop(soon(conn.prepare_cached("SELECT $1::int4")).await.unwrap());
    assert!(conn.statements().is_empty());
    assert_eq!(on_the_server(&conn).await, 0);
}

#[tokio::test]
async fn an_error_of_the_query_leaves_the_statement_and_a_forgotten_one_is_prepared_anew() {
    let server = server().await;
    let (_, conn) = connected(&server.url()).await;
    let sql = "SELECT $1::int4 / $2::int4";
    let error = soon(conn.query_cached(sql, &[&1, &0])).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    assert_eq!(
        conn.statements().len(),
        1,
        "the statement is as good as before"
    );
    soon(conn.batch_execute("DEALLOCATE ALL")).await.unwrap();
    let rows = soon(conn.query_cached(sql, &[&6, &3])).await.unwrap();
    assert_eq!(rows[0].get::<_, i32>(0), 2);
}

#[tokio::test]
async fn a_statement_whose_table_has_changed_is_prepared_anew() {
    let server = server().await;
    let (_, conn) = connected(&server.url()).await;
    let sql = "SELECT * FROM changing";
    soon(conn.batch_execute("CREATE TABLE changing (a int)"))
        .await
        .unwrap();
    soon(conn.query_cached(sql, &[])).await.unwrap();
    let change = "ALTER TABLE changing ADD COLUMN b text; INSERT INTO changing VALUES (1, 'x')";
    soon(conn.batch_execute(change)).await.unwrap();
    let rows = soon(conn.query_cached(sql, &[])).await.unwrap();
    assert_eq!(rows[0].len(), 2);

    soon(conn.batch_execute("ALTER TABLE changing DROP COLUMN b"))
        .await
        .unwrap();
    soon(conn.batch_execute("BEGIN")).await.unwrap();
    let error = soon(conn.query_cached(sql, &[])).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    soon(conn.batch_execute("ROLLBACK")).await.unwrap();
    assert_eq!(soon(conn.query_cached(sql, &[])).await.unwrap()[0].len(), 1);
}

#[tokio::test]
async fn those_that_the_server_was_told_to_forget_are_forgotten() {
    let server = server().await;
    let (_, conn) = connected(&server.url()).await;
    for forget in ["DISCARD ALL", "DEALLOCATE ALL", "DISCARD TEMP"] {
        soon(conn.prepare_cached("SELECT 7")).await.unwrap();
        soon(conn.batch_execute(forget)).await.unwrap();
        let statement = soon(conn.prepare_cached("SELECT 7")).await.unwrap();
        soon(conn.query_one(&statement, &[])).await.unwrap();
    }
}

/// The driver prepares once what it looks types up with, and for good.
#[tokio::test]
async fn types_can_be_looked_up_though_somebody_had_all_statements_forgotten() {
    let server = server().await;
    for name in ["early", "late"] {
        let create = format!("CREATE TYPE {name} AS ENUM ('a')");
        server.query(&create).unwrap();
    }
    for forget in ["DISCARD ALL", "DEALLOCATE ALL"] {
        let pool = pool(&server, 1);
        let conn = soon(pool.get()).await.unwrap();
        soon(conn.query("SELECT 'a'::early", &[])).await.unwrap();
        soon(conn.batch_execute(forget)).await.unwrap();
        drop(conn);
        let conn = soon(pool.get()).await.unwrap();
        soon(conn.query("SELECT 'a'::late", &[])).await.unwrap();
    }
}

/// Only the next one who prepares it can help: in a transaction that has failed nothing can be tried again.
#[tokio::test]
async fn a_statement_that_has_become_useless_is_prepared_anew_by_the_next_who_wants_it() {
    let server = server().await;
    let (_, mut conn) = connected(&server.url()).await;
    let statements = conn.statements();
    let sql = "SELECT * FROM changing";
    soon(conn.batch_execute("CREATE TABLE changing (a int)"))
        .await
        .unwrap();
    soon(conn.prepare_cached(sql)).await.unwrap();
    soon(conn.batch_execute("ALTER TABLE changing ADD COLUMN b text"))
        .await
        .unwrap();
    let transaction = soon(conn.transaction()).await.unwrap();
    let outdated = soon(statements.prepare(&transaction, sql)).await.unwrap();
    let error = soon(transaction.query(&outdated, &[])).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    soon(transaction.rollback()).await.unwrap();

    let transaction = soon(conn.transaction()).await.unwrap();
    let statement = soon(statements.prepare(&transaction, sql)).await.unwrap();
    soon(transaction.query(&statement, &[])).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_can_look_up_no_types_any_more_is_given_up() {
    let server = server().await;
    for name in ["early", "late"] {
        let create = format!("CREATE TYPE {name} AS ENUM ('a')");
        server.query(&create).unwrap();
    }
    let pool = pool(&server, 1);
    let conn = soon(pool.get()).await.unwrap();
    soon(conn.query("SELECT 'a'::early", &[])).await.unwrap();
    let unseen = "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$";
    soon(conn.batch_execute(unseen)).await.unwrap();
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    let error = soon(conn.query("SELECT 'a'::late", &[])).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME));
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    soon(conn.query("SELECT 'a'::late", &[])).await.unwrap();
}

#[tokio::test]
async fn a_statement_that_is_forgotten_while_it_is_prepared_is_not_kept() {
    let server = server().await;
    let (_, conn) = connected(&server.url()).await;
    {
        let mut preparing = pin!(conn.prepare_cached("SELECT 7"));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(preparing.as_mut().poll(&mut cx).is_pending());
        soon(conn.batch_execute("DEALLOCATE ALL")).await.unwrap();
        soon(preparing).await.unwrap();
    }
    let statement = soon(conn.prepare_cached("SELECT 7")).await.unwrap();
    soon(conn.query_one(&statement, &[])).await.unwrap();
}

#[tokio::test]
async fn what_the_server_has_begun_to_run_is_not_run_again() {
    let server = server().await;
    let (_, conn) = connected(&server.url()).await;
    let half_done = "CREATE TABLE runs (code text); \
                     CREATE PROCEDURE half_done(code text) LANGUAGE plpgsql AS $$ BEGIN \
                     INSERT INTO runs VALUES (code); COMMIT; \
                     RAISE EXCEPTION 'no' USING ERRCODE = code; END $$";
    soon(conn.batch_execute(half_done)).await.unwrap();
    for code in ["0A000", "26000"] {
        let call = format!("CALL half_done('{code}')");
        let error = soon(conn.query_cached(&call, &[])).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), code);
    }
    let runs = server.query("SELECT count(*) FROM runs").unwrap();
    assert_eq!(runs[0][0].as_deref(), Some("2"));
}
