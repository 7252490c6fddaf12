//! `COPY`, finished, failed and left.

use std::pin::pin;

use futures_util::SinkExt;
use pool_postgres::{PgConnection, Pool, tokio_postgres};
use pool_servers::Server;

use crate::{PATIENCE, builder, given_up, is_clean, pool, server, soon, text};

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
async fn a_copy_that_was_finished_is_nothing_left_behind() {
    let server = server().await;
    server.query("CREATE TABLE t (v int)").unwrap();
    let pool = pool(&server, 1);
    for _ in 0..10 {
        let conn = soon(pool.get()).await.unwrap();
        soon(copied(&conn, "COPY t FROM STDIN", b"1\n2\n"))
            .await
            .unwrap();
        assert_eq!(soon(text(&conn, "SELECT 'x'")).await, "x");
    }
    let conn = soon(pool.get()).await.unwrap();
    assert_eq!(text(&conn, "SELECT count(*)::text FROM t").await, "20");
    assert_eq!((pool.stats().recycle.count, pool.stats().connects), (0, 1));
}

/// The driver counts the answers to a copy that fails wrongly: they would reach the next user.
#[tokio::test]
async fn nobody_gets_the_answers_to_a_copy_that_failed() {
    let server = server().await;
    // Rows that are refused, a failure before the first is read, and one before the copy begins.
    let set_up = [
        "CREATE TABLE t (v int)",
        "CREATE TABLE early (v int)",
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'no'; END $$",
        "CREATE TRIGGER no BEFORE INSERT ON early EXECUTE FUNCTION no()",
    ];
    for sql in set_up {
        server.query(sql).unwrap();
    }
    let pool = pool(&server, 1);
    let copies = [
        "COPY t FROM STDIN",
        "COPY early FROM STDIN",
        "COPY missing FROM STDIN",
    ];
    for sql in copies.repeat(20) {
        let conn = soon(pool.get()).await.unwrap();
        soon(copied(&conn, sql, b"no number\n")).await.unwrap_err();
        drop(conn);
        is_clean(&soon(pool.get()).await.unwrap(), sql).await;
    }
}

#[tokio::test]
async fn nobody_gets_the_answers_to_a_copy_that_was_given_up_at_any_point() {
    let server = server().await;
    server.query("CREATE TABLE t (v int)").unwrap();
    let pool = pool(&server, 1);
    let copies = [
        ("COPY t FROM STDIN", &b"no number\n"[..]),
        ("COPY t FROM STDIN", b"1\n"),
        ("COPY missing FROM STDIN", b""),
    ];
    for (polls, (sql, rows)) in (1..=20).flat_map(|polls| copies.map(|copy| (polls, copy))) {
        for in_transaction in [false, true] {
            let conn = soon(pool.get()).await.unwrap();
            if in_transaction {
                soon(conn.batch_execute("BEGIN")).await.unwrap();
            }
            soon(given_up(copied(&conn, sql, rows), polls)).await;
            drop(conn);
            let what = format!("{polls} polls of {sql} (in a transaction: {in_transaction})");
            is_clean(&soon(pool.get()).await.unwrap(), &what).await;
        }
    }
}

/// The server waits for the rest, and hears of no cancel request.
#[tokio::test]
async fn a_copy_whose_sink_outlives_its_return_holds_up_nobody() {
    let server = server().await;
    server.query("CREATE TABLE t (v int)").unwrap();
    let pool = patient_pool(&server);
    for (rows, is_finished) in [
        (&b"1\n"[..], false),
        (b"no number\n", false),
        (b"no number\n", true),
    ] {
        let conn = soon(pool.get()).await.unwrap();
        let sink = soon(conn.copy_in("COPY t FROM STDIN")).await.unwrap();
        let mut sink = Box::pin(sink);
        soon(sink.send(rows)).await.unwrap();
        if is_finished {
            soon(sink.as_mut().finish()).await.unwrap_err();
        }
        drop(conn);
        let conn = soon(pool.get()).await.unwrap();
        is_clean(&conn, "a copy that goes on").await;
        drop(sink);
        is_clean(&conn, "the end of its sink").await;
    }
}

#[tokio::test]
async fn a_copy_that_was_not_asked_for_as_one_holds_up_nobody() {
    let server = server().await;
    server.query("CREATE TABLE t (v int)").unwrap();
    let pool = patient_pool(&server);
    for is_prepared in [false, true] {
        let conn = soon(pool.get()).await.unwrap();
        let refused = if is_prepared {
            soon(conn.execute("COPY t FROM STDIN", &[])).await.err()
        } else {
            soon(conn.batch_execute("COPY t FROM STDIN")).await.err()
        };
        refused.expect("the driver has no rows to give");
        drop(conn);
        is_clean(&soon(pool.get()).await.unwrap(), "a copy of nothing").await;
    }
}

/// Of one connection, whose recycling and closing may take longer than any test.
fn patient_pool(server: &Server) -> Pool {
    let pool = builder(server, 1).recycle_timeout(PATIENCE * 10);
    pool.close_timeout(PATIENCE * 10).build().unwrap()
}

async fn copied(
    conn: &PgConnection,
    sql: &str,
    rows: &'static [u8],
) -> Result<u64, tokio_postgres::Error> {
    let mut sink = pin!(conn.copy_in(sql).await?);
    sink.send(rows).await?;
    sink.finish().await
}
