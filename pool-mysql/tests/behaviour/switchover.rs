//! A primary that is one no more, and whose connections survive.

use pool_mysql::mysql_async::TxOpts;
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{Cause, MySqlError, MySqlManager, Pool};
use pool_servers::{MySql, Server};

use crate::{PATIENCE, soon};

const WRITE: &str = "INSERT INTO t VALUES (1)";

/// A server, and a pool for an account that is bound by `read_only`.
fn server_and_pool(connections: usize) -> (Server, Pool) {
    let server = MySql::new().start().unwrap();
    for sql in [
        "CREATE USER app@'%' IDENTIFIED BY ''",
        "GRANT ALL ON pool.* TO app@'%'",
        "CREATE TABLE pool.t (n INT)",
    ] {
        server.query(sql).unwrap();
    }
    let manager = MySqlManager::from_url(&server.url().replace("root@", "app@")).unwrap();
    let pool = Pool::builder(manager).min_size(0).max_size(connections);
    (server, pool.build().unwrap())
}

async fn write(pool: &Pool) -> Result<(), MySqlError> {
    let mut conn = soon(pool.get()).await.unwrap();
    let written = soon(conn.query_drop(WRITE)).await;
    // What comes after does not make up for it.
    soon(conn.query_drop("SELECT 1")).await?;
    Ok(written?)
}

/// Waits until `closed` connections were closed.
async fn until_closed(pool: &Pool, closed: u64) {
    pool_servers::until(PATIENCE, || pool.stats().closed >= closed).await;
}

#[tokio::test]
async fn one_write_that_is_refused_costs_all_connections_to_the_old_primary() {
    let (server, pool) = server_and_pool(3);
    let held = soon(async { [pool.get().await, pool.get().await, pool.get().await] }).await;
    drop(held);
    server.query("SET GLOBAL read_only = 1").unwrap();
    let refused = write(&pool).await.unwrap_err();
    assert_eq!(refused.cause(), Cause::ReadOnly);
    until_closed(&pool, 3).await;
    assert_eq!(pool.stats().generation, 1);

    // The name leads to the old one still: each that is refused is closed alone.
    for refusals in 1..=2 {
        write(&pool).await.unwrap_err();
        until_closed(&pool, 3 + refusals).await;
    }
    assert_eq!(pool.stats().generation, 1);

    server.query("SET GLOBAL read_only = 0").unwrap();
    write(&pool).await.unwrap();
}

#[tokio::test]
async fn a_refused_write_is_noted_in_a_transaction_too() {
    let (server, pool) = server_and_pool(1);
    let mut conn = soon(pool.get()).await.unwrap();
    server.query("SET GLOBAL read_only = 1").unwrap();
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    soon(transaction.query_drop(WRITE)).await.unwrap_err();
    soon(transaction.rollback()).await.unwrap();
    drop(conn);
    until_closed(&pool, 1).await;
}

#[tokio::test]
async fn a_refused_write_on_a_replica_costs_nothing() {
    let (server, pool) = server_and_pool(1);
    server.query("SET GLOBAL read_only = 1").unwrap();
    write(&pool).await.unwrap_err();
    drop(soon(pool.get()).await.unwrap());
    assert_eq!(pool.stats().closed, 0);
}
