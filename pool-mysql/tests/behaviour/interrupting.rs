//! Stopping statements from outside.

use std::time::Duration;

use pool_core::Manager;
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{Cause, MySqlError, MySqlManager};
use pool_servers::{MySql, Server};

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

/// It numbers its connections from the beginning: the number is somebody else's by now.
#[tokio::test]
async fn nothing_is_killed_on_a_server_that_was_restarted_since() {
    let server = MySql::new().start_async().await.unwrap();
    let manager = MySqlManager::from_url(&server.url()).unwrap();
    let conn = soon(manager.connect()).await.unwrap();
    let interrupter = manager.interrupter(&conn).unwrap();
    soon(interrupter.interrupt()).await;
    assert_eq!(counted(&server, "Com_kill"), 1);
    soon(async {
        while counted(&server, "Uptime") < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    server.restart().unwrap();
    soon(interrupter.interrupt()).await;
    assert_eq!(counted(&server, "Com_kill"), 0);
}

fn counted(server: &Server, what: &str) -> u64 {
    let sql = format!("SHOW GLOBAL STATUS LIKE '{what}'");
    let rows = server.query(&sql).unwrap();
    rows[0][1].as_deref().unwrap().parse().unwrap()
}
