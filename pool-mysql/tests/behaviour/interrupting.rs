//! Stopping statements from outside.

use pool_core::Manager;
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{Cause, MySqlError};

use crate::{config, connected, one, pool_of_one, server, soon, until};

const SLEEPING: &str = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE \
                        '%sleep(58)%' AND info NOT LIKE '%processlist%'";

#[tokio::test]
async fn an_interrupted_statement_fails_and_its_connection_stays() {
    let (manager, mut conn) = connected(config()).await;
    let interrupter = manager.interrupter(&conn).unwrap();
    // Unlike a bare sleep, a scan fails when it is killed.
    let sql = "SELECT sleep(58) FROM information_schema.engines";
    let (result, ()) = tokio::join!(soon(conn.query_drop(sql)), async {
        until(server(), SLEEPING, "1").await;
        soon(interrupter.interrupt()).await;
    });
    assert_eq!(
        MySqlError::from(result.unwrap_err()).cause(),
        Cause::Interrupted
    );
    assert_eq!(one::<i64>(&mut conn, "SELECT 1").await, 1);
    soon(interrupter.interrupt()).await;
    assert_eq!(one::<i64>(&mut conn, "SELECT 2").await, 2);
}

#[tokio::test]
async fn a_closed_pool_leaves_no_connection_on_the_server() {
    let pool = pool_of_one(config()).await;
    let id = soon(pool.get()).await.unwrap().id();
    soon(pool.close()).await;
    let gone = format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}");
    until(server(), &gone, "0").await;
}
