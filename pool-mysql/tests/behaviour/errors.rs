//! What an operator is told, by real servers where they can be made to say it.

use std::time::Duration;

use pool_core::{Manager, Severity};
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{Cause, MySqlConfig, MySqlConnection, MySqlError, MySqlManager, Pool};
use pool_servers::{FaultProxy, MySql, Server};

use crate::{config, connected, one, server, soon};

fn manager(url: &str) -> MySqlManager {
    MySqlManager::from_url(url).unwrap()
}

async fn refusal(url: &str) -> (MySqlError, Severity) {
    let manager = manager(url);
    let error = soon(manager.connect()).await.unwrap_err();
    let severity = manager.severity(&error);
    assert!(error.to_string().starts_with(&*manager.name()), "{error}");
    (error, severity)
}

pub(crate) async fn failure(conn: &mut MySqlConnection, sql: &str) -> MySqlError {
    soon(conn.query_drop(sql)).await.unwrap_err().into()
}

#[tokio::test]
async fn a_server_that_is_down_refuses() {
    let server = MySql::new().start().unwrap();
    let (url, socket_url) = (server.url(), server.socket_url());
    server.kill().unwrap();
    for url in [url, socket_url] {
        let (error, severity) = refusal(&url).await;
        assert_eq!(error.cause(), Cause::Refused, "{error}");
        assert!(error.is_transient());
        assert_eq!(severity, Severity::Transient);
    }
}

#[tokio::test]
async fn a_host_without_an_address_is_told_as_that() {
    let (error, severity) = refusal("mysql://root@no-such-host.invalid/pool").await;
    assert_eq!(error.cause(), Cause::Dns, "{error}");
    assert_eq!(severity, Severity::Transient);
    assert!(
        error.to_string().contains("no-such-host.invalid"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_the_connect_timeout() {
    let server = MySql::new().start().unwrap();
    server.hang().unwrap();
    let builder = Pool::builder(manager(&server.url()));
    let error = builder
        .connect_timeout(Duration::from_millis(50))
        .connect()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no answer within"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_lost() {
    let proxy = FaultProxy::before(server()).unwrap();
    let manager = manager(&server().url_at(proxy.address()));
    let mut conn = soon(manager.connect()).await.unwrap();
    proxy.cut();
    let error = soon(manager.validate(&mut conn)).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Lost, "{error}");
    assert!(error.is_transient());
    assert_eq!(manager.condition(&mut conn), pool_core::Condition::Broken);
    soon(manager.close(conn)).await;
}

#[tokio::test]
async fn an_account_the_server_does_not_let_in_is_told_what_to_check() {
    server()
        .query("CREATE USER locked@'%' IDENTIFIED BY 'right'")
        .unwrap();
    let wrong = server().url().replace("root@", "locked:hunter2@");
    let foreign = server().url().replace("root@", "locked:right@");
    for (url, code) in [(wrong, 1045), (foreign, 1044)] {
        let (error, severity) = refusal(&url).await;
        assert_eq!(error.cause(), Cause::Authentication);
        assert_eq!(error.code(), Some(code));
        assert!(!error.is_transient());
        assert_eq!(severity, Severity::Permanent);
        assert!(
            error.to_string().contains("check user, password"),
            "{error}"
        );
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_as_that() {
    let (error, severity) = refusal(&server().url().replace("/pool", "/absent")).await;
    assert_eq!(error.cause(), Cause::DatabaseMissing);
    assert_eq!(error.code(), Some(1049));
    assert_eq!(severity, Severity::Permanent);
}

#[tokio::test]
async fn a_server_or_an_account_with_all_its_connections_is_full() {
    let server = MySql::new()
        .setting("max-connections", "10")
        .start()
        .unwrap();
    server
        .query("CREATE USER app@'%' IDENTIFIED BY '' WITH MAX_USER_CONNECTIONS 2")
        .unwrap();
    server.query("GRANT ALL ON pool.* TO app@'%'").unwrap();
    let app = server.url().replace("root@", "app@");
    let (by_account, severity) = filled(&app).await;
    assert_eq!(by_account.code(), Some(1226), "{by_account}");
    assert_eq!(severity, Severity::TooManyConnections);

    let (by_server, severity) = filled(&server.url()).await;
    assert_eq!(by_server.code(), Some(1040), "{by_server}");
    assert_eq!(severity, Severity::TooManyConnections);
    for error in [by_account, by_server] {
        assert_eq!(error.cause(), Cause::TooManyConnections);
        assert!(error.is_transient());
        assert!(error.to_string().contains("max_connections"), "{error}");
    }
}

#[tokio::test]
async fn an_account_over_the_limit_for_all_accounts_is_full() {
    // Enough for the sessions of the next lines, of which the server may not have seen the end.
    let server = MySql::new()
        .setting("max-user-connections", "10")
        .start()
        .unwrap();
    server
        .query("CREATE USER app@'%' IDENTIFIED BY ''")
        .unwrap();
    server.query("GRANT ALL ON pool.* TO app@'%'").unwrap();
    let (error, severity) = filled(&server.url().replace("root@", "app@")).await;
    assert_eq!(error.code(), Some(1203), "{error}");
    assert_eq!(error.cause(), Cause::TooManyConnections);
    assert_eq!(severity, Severity::TooManyConnections);
}

/// Connects until there is no room.
async fn filled(url: &str) -> (MySqlError, Severity) {
    let manager = manager(url);
    let mut held = Vec::new();
    let error = loop {
        match soon(manager.connect()).await {
            Ok(conn) => held.push(conn),
            Err(error) => break error,
        }
        assert!(held.len() < 50);
    };
    for conn in held {
        soon(manager.close(conn)).await;
    }
    let severity = manager.severity(&error);
    (error, severity)
}

#[tokio::test]
async fn a_read_only_server_and_a_read_only_transaction_are_told_apart() {
    let server = MySql::new().start().unwrap();
    server
        .query("CREATE USER app@'%' IDENTIFIED BY ''")
        .unwrap();
    server.query("GRANT ALL ON pool.* TO app@'%'").unwrap();
    server.query("CREATE TABLE pool.t (n INT)").unwrap();
    let manager = manager(&server.url().replace("root@", "app@"));
    let mut conn = soon(manager.connect()).await.unwrap();
    let write = "INSERT INTO t VALUES (1)";

    soon(conn.query_drop("START TRANSACTION READ ONLY"))
        .await
        .unwrap();
    let in_transaction = failure(&mut conn, write).await;
    soon(conn.query_drop("ROLLBACK")).await.unwrap();
    server.query("SET GLOBAL read_only = 1").unwrap();
    let on_replica = failure(&mut conn, write).await;

    assert_eq!(in_transaction.code(), Some(1792));
    assert_eq!(in_transaction.cause(), Cause::ReadOnlyTransaction);
    assert!(!in_transaction.is_transient());
    assert_eq!(on_replica.code(), Some(1290));
    assert_eq!(on_replica.cause(), Cause::ReadOnly);
    assert!(on_replica.is_transient());
}

#[tokio::test]
async fn a_server_that_shuts_down_is_told_as_that_or_as_a_lost_connection() {
    let server = MySql::new().start().unwrap();
    let manager = manager(&server.url());
    let mut conn = soon(manager.connect()).await.unwrap();
    let sleeping = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE \
                    '%sleep(57)%' AND info NOT LIKE '%processlist%'";
    let server = std::sync::Arc::new(server);
    let stopping = std::sync::Arc::clone(&server);
    let sql = "SELECT sleep(57) FROM information_schema.engines";
    let (result, ()) = tokio::join!(soon(conn.query_drop(sql)), async {
        crate::until(&server, sleeping, "1").await;
        let stop = tokio::task::spawn_blocking(move || Server::stop(&stopping).unwrap());
        soon(stop).await.unwrap();
    });
    let error = MySqlError::from(result.unwrap_err());
    let causes = [Cause::ShuttingDown, Cause::Lost, Cause::Interrupted];
    assert!(causes.contains(&error.cause()), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_connection_somebody_killed_is_found_broken() {
    let (manager, mut conn) = connected(config()).await;
    let id = conn.id();
    server().query(&format!("KILL {id}")).unwrap();
    let error = soon(manager.validate(&mut conn)).await.unwrap_err();
    let causes = [Cause::Lost, Cause::Interrupted];
    assert!(causes.contains(&error.cause()), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_connection_the_server_closed_for_its_silence_is_lost() {
    let config = config().variable("wait_timeout", "1");
    for validates in [false, true] {
        let (manager, mut conn) = connected(config.clone()).await;
        let id = conn.id();
        let gone = format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}");
        crate::until(server(), &gone, "0").await;
        let error = if validates {
            soon(manager.validate(&mut conn)).await.unwrap_err()
        } else {
            failure(&mut conn, "SELECT 1").await
        };
        assert_eq!(error.cause(), Cause::Lost, "{error}");
        assert!(error.is_transient());
        assert_eq!(manager.condition(&mut conn), pool_core::Condition::Broken);
    }
}

#[tokio::test]
async fn a_lock_that_is_not_free_in_time_is_a_conflict() {
    let (_, mut holder) = connected(config()).await;
    let (_, mut other) = connected(config().variable("innodb_lock_wait_timeout", "1")).await;
    soon(
        holder.query_drop("CREATE TABLE locked (n INT PRIMARY KEY); INSERT INTO locked VALUES (1)"),
    )
    .await
    .unwrap();
    soon(holder.query_drop("BEGIN; SELECT * FROM locked FOR UPDATE"))
        .await
        .unwrap();
    let error = failure(&mut other, "SELECT * FROM locked FOR UPDATE").await;
    assert_eq!(error.cause(), Cause::LockConflict);
    assert_eq!(error.code(), Some(1205));
    assert!(error.is_transient());
    assert_eq!(one::<i64>(&mut other, "SELECT 1").await, 1);
}

#[tokio::test]
async fn a_packet_too_large_for_the_server_is_not_taken_for_a_lost_connection() {
    // The server hangs up before it has read the rest: what is sent has to fit into the socket.
    let server = MySql::new()
        .setting("max-allowed-packet", "2K")
        .setting("net-buffer-length", "1K")
        .start()
        .unwrap();
    let manager = manager(&format!("{}&max_allowed_packet=16777216", server.url()));
    let mut conn = soon(manager.connect()).await.unwrap();
    let sql = format!("SELECT length('{}')", "x".repeat(5_000));
    let error = failure(&mut conn, &sql).await;
    assert_eq!(error.code(), Some(1153), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_pool_whose_server_was_restarted_serves_again() {
    let server = MySql::new().start().unwrap();
    let pool = Pool::builder(MySqlManager::new(
        MySqlConfig::from_url(&server.url()).unwrap(),
    ))
    .max_size(2)
    .validation(pool_core::Validation::Always)
    .build()
    .unwrap();
    let id = soon(pool.get()).await.unwrap().id();
    server.restart().unwrap();
    let mut conn = soon(pool.get()).await.unwrap();
    assert_eq!(one::<i64>(&mut conn, "SELECT 1").await, 1);
    let _ = id;
    drop(conn);
    soon(pool.close()).await;
}
