//! A primary that is one no more, and whose connections survive: planned switchovers, fencing, a
//! pooler in between.

use pool_postgres::pool_core::Validation;
use pool_postgres::{Cause, PgError, PgManager, Pool};
use pool_servers::Server;

use crate::{config, server, soon, until};

/// Two servers that take writes, of which the pool takes the first, and `held` connections to it.
async fn of_the_first(held: usize, validation: Validation) -> (Server, Server, Pool) {
    let (first, second) = (server().await, server().await);
    for server in [&first, &second] {
        server.query("CREATE TABLE t (n int)").unwrap();
    }
    let both = format!("{},{}", first.address(), second.address());
    let url = first.url().replace(&first.address().to_string(), &both);
    let url = format!("{url}?target_session_attrs=read-write");
    let pool = Pool::builder(PgManager::new(config(&url)))
        .min_size(0)
        .max_size(held)
        .validation(validation)
        .build()
        .unwrap();
    let conns = soon(async {
        let mut conns = Vec::new();
        while conns.len() < held {
            conns.push(pool.get().await.unwrap());
        }
        conns
    });
    drop(conns.await);
    (first, second, pool)
}

/// The server takes no writes from now on, and breaks no connection.
fn fence(server: &Server) {
    server
        .query("ALTER SYSTEM SET default_transaction_read_only = on")
        .unwrap();
    server.query("SELECT pg_reload_conf()").unwrap();
}

fn rows(server: &Server) -> usize {
    server.query("SELECT n FROM t").unwrap().len()
}

const WRITE: &str = "INSERT INTO t VALUES (1)";

#[tokio::test]
async fn one_write_that_is_refused_brings_the_whole_pool_to_the_new_primary() {
    let (first, second, pool) = of_the_first(3, Validation::Never).await;
    fence(&first);
    let conn = soon(pool.get()).await.unwrap();
    let refused = soon(async {
        loop {
            if let Err(error) = conn.batch_execute(WRITE).await {
                return PgError::from(error);
            }
        }
    });
    assert_eq!(refused.await.cause(), Cause::ReadOnly);
    drop(conn);
    until(|| pool.stats().generation > 0).await;
    let conns = soon(async { [pool.get().await, pool.get().await, pool.get().await] }).await;
    for conn in &conns {
        let conn = conn.as_ref().unwrap();
        soon(conn.batch_execute(WRITE)).await.unwrap();
    }
    assert_eq!(rows(&second), 3);
    let stats = pool.stats();
    assert_eq!((stats.generation, stats.closed), (1, 3));
}

#[tokio::test]
async fn a_connection_that_is_validated_is_asked_whether_it_takes_writes() {
    let (first, second, pool) = of_the_first(1, Validation::Always).await;
    fence(&first);
    soon(async {
        loop {
            let conn = pool.get().await.unwrap();
            if conn.batch_execute("SELECT 1").await.is_ok() && pool.stats().closed > 0 {
                break conn.batch_execute(WRITE).await.unwrap();
            }
        }
    })
    .await;
    assert_eq!(rows(&second), 1);
    assert_eq!(pool.stats().generation, 1);
}

#[tokio::test]
async fn who_wanted_to_write_nothing_keeps_the_connection() {
    let (_first, _second, pool) = of_the_first(1, Validation::Never).await;
    let conn = soon(pool.get()).await.unwrap();
    let own = format!("BEGIN READ ONLY; {WRITE}");
    let refused = soon(conn.batch_execute(&own)).await.unwrap_err();
    assert_eq!(PgError::from(refused).cause(), Cause::ReadOnly);
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    soon(conn.batch_execute(WRITE)).await.unwrap();
    assert_eq!(pool.stats().closed, 0);
}

#[tokio::test]
async fn where_nobody_asked_for_a_primary_a_refused_write_costs_nothing() {
    let replica = server().await;
    replica.query("CREATE TABLE t (n int)").unwrap();
    fence(&replica);
    let pool = crate::pool(&replica, 1);
    soon(async {
        loop {
            let conn = pool.get().await.unwrap();
            if conn.batch_execute(WRITE).await.is_err() {
                break;
            }
        }
    })
    .await;
    drop(soon(pool.get()).await.unwrap());
    assert_eq!(pool.stats().closed, 0);
}
