//! Statements that the server refuses.

use futures_util::future::join4;
use pool_postgres::PgConnection;

use crate::{given_up, is_clean, pool, server, soon, until};

/// What fails of itself, in every way there is to ask.
async fn fail(conn: &PgConnection, way: usize) {
    let refused = match way {
        0 => conn.execute("INSERT INTO t VALUES (1)", &[]).await.err(),
        1 => conn.batch_execute("INSERT INTO t VALUES (1)").await.err(),
        2 => conn.batch_execute("SELECT 1; SELECT 1/0").await.err(),
        3 => conn.prepare("SELECT * FROM missing").await.err(),
        4 => conn.query("SELECT 1/$1::int4", &[&0]).await.err(),
        _ => {
            // All are sent before the first is answered.
            let failed = conn.batch_execute("SELECT 1/0");
            let (one, none) = (conn.simple_query("SELECT 1"), conn.simple_query(""));
            let last = conn.execute("INSERT INTO t VALUES (1)", &[]);
            let (failed, one, none, last) = join4(failed, one, none, last).await;
            assert!(failed.is_err() && one.is_ok() && none.is_ok());
            last.err()
        }
    };
    assert!(refused.is_some(), "way {way}");
}

const WAYS: usize = 6;

#[tokio::test]
async fn a_statement_that_failed_is_nothing_left_behind() {
    let server = server().await;
    server.query("CREATE TABLE t (v int PRIMARY KEY)").unwrap();
    server.query("INSERT INTO t VALUES (1)").unwrap();
    let pool = pool(&server, 1);
    for way in 0..WAYS {
        let conn = soon(pool.get()).await.unwrap();
        soon(fail(&conn, way)).await;
        // The server sends the error before it has ended the transaction.
        until(|| format!("{:?}", *conn).contains("in_flight: 0")).await;
        drop(conn);
        assert_eq!(pool.stats().idle, 1, "way {way}");
    }
    assert_eq!((pool.stats().recycle.count, pool.stats().connects), (0, 1));
}

#[tokio::test]
async fn a_statement_that_fails_never_reaches_the_next_user_however_early_it_was_given_up() {
    let server = server().await;
    server.query("CREATE TABLE t (v int PRIMARY KEY)").unwrap();
    server.query("INSERT INTO t VALUES (1)").unwrap();
    let pool = pool(&server, 1);
    for (polls, way) in (1..=20).flat_map(|polls| (0..WAYS).map(move |way| (polls, way))) {
        let conn = soon(pool.get()).await.unwrap();
        soon(given_up(fail(&conn, way), polls)).await;
        drop(conn);
        let conn = soon(pool.get()).await.unwrap();
        is_clean(&conn, &format!("{polls} polls of way {way}")).await;
    }
    assert_eq!(pool.stats().connects, 1);
}
