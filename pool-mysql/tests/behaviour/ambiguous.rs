//! Errors whose number alone does not say what happened.

use pool_core::{Condition, Manager, Severity};
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{Cause, MySqlError, MySqlManager};
use pool_servers::MySql;

use crate::errors::failure;
use crate::{aside, config, connected, soon};

#[tokio::test]
async fn a_file_that_may_not_be_written_is_not_told_as_a_server_that_takes_no_writes() {
    let server = MySql::new().setting("secure-file-priv", "/tmp");
    let server = server.start_async().await.unwrap();
    let manager = MySqlManager::from_url(&server.url()).unwrap();
    let mut conn = soon(manager.connect()).await.unwrap();
    let error = failure(&mut conn, "SELECT 1 INTO OUTFILE '/not/there'").await;
    assert_eq!(error.code(), Some(1290), "{error}");
    assert_eq!(error.cause(), Cause::Other, "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn an_account_that_has_used_up_its_hour_is_not_told_to_lower_a_pools_size() {
    let server = MySql::new().start_async().await.unwrap();
    aside(
        &server,
        "CREATE USER app@'%' IDENTIFIED BY '' WITH MAX_QUERIES_PER_HOUR 5",
    );
    let url = format!("mysql://app@{}/", server.address());
    let manager = MySqlManager::from_url(&url).unwrap();
    let mut conn = soon(manager.connect()).await.unwrap();
    let error = loop {
        if let Err(error) = soon(conn.query_drop("DO 1")).await {
            break MySqlError::from(error);
        }
    };
    assert_eq!(error.code(), Some(1226), "{error}");
    assert_eq!(error.cause(), Cause::Other, "{error}");
    let refused = soon(manager.connect()).await.unwrap_err();
    assert_eq!(refused.code(), Some(1226), "{refused}");
    assert_eq!(manager.severity(&refused), Severity::Transient);
}

/// As a node of a Galera cluster answers that is no part of it, or not yet.
#[tokio::test]
async fn a_node_without_its_cluster_is_not_ready_and_its_connection_is_kept() {
    let (manager, mut conn) = connected(config()).await;
    for (text, cause) in [
        (
            "WSREP has not yet prepared node for application use",
            Cause::ShuttingDown,
        ),
        ("Unknown command", Cause::Other),
    ] {
        let sql =
            format!("SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1047, MESSAGE_TEXT = '{text}'");
        let error = failure(&mut conn, &sql).await;
        assert_eq!(error.code(), Some(1047), "{error}");
        assert_eq!(error.cause(), cause, "{error}");
        assert_eq!(manager.condition(&mut conn), Condition::NeedsRecycle);
        soon(manager.recycle(&mut conn)).await.unwrap();
    }
}
