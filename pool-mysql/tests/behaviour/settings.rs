//! Session settings: on connect, and after a reset.

use std::time::Duration;

use pool_core::{Condition, Manager};
use pool_mysql::mysql_async::{ChangeUserOpts, IsolationLevel, prelude::Queryable};
use pool_mysql::{Cause, MySqlConfig, MySqlError, MySqlManager, Recycle};

use pool_servers::MySql;

use crate::{aside, config, connected, is_mariadb, one, server, soon};

#[tokio::test]
async fn settings_hold_from_the_first_statement_on_and_after_each_reset() {
    let config = config()
        .recycle(Recycle::Clean)
        .time_zone("+05:30")
        .sql_mode("ANSI_QUOTES")
        .collation("latin1_bin")
        .isolation(IsolationLevel::ReadCommitted)
        .variable("lock_wait_timeout", "7")
        .init_sql("SET @mine = 'it''s'")
        .statement_timeout(Duration::from_millis(7500));
    let (manager, mut conn) = connected(config).await;
    for _ in 0..2 {
        let isolation = if is_mariadb() {
            "SELECT @@tx_isolation"
        } else {
            "SELECT @@transaction_isolation"
        };
        assert_eq!(
            one::<String>(&mut conn, "SELECT @@time_zone").await,
            "+05:30"
        );
        assert_eq!(
            one::<String>(&mut conn, "SELECT @@sql_mode").await,
            "ANSI_QUOTES"
        );
        assert_eq!(
            one::<String>(&mut conn, "SELECT @@collation_connection").await,
            "latin1_bin"
        );
        assert_eq!(one::<String>(&mut conn, isolation).await, "READ-COMMITTED");
        assert_eq!(one::<i64>(&mut conn, "SELECT @@lock_wait_timeout").await, 7);
        assert_eq!(one::<String>(&mut conn, "SELECT @mine").await, "it's");
        if is_mariadb() {
            let timeout = one::<f64>(&mut conn, "SELECT @@max_statement_time").await;
            assert!((timeout - 7.5).abs() < f64::EPSILON, "{timeout}");
        } else {
            assert_eq!(
                one::<i64>(&mut conn, "SELECT @@max_execution_time").await,
                7500
            );
        }
        soon(conn.query_drop("SET time_zone = '+00:00', sql_mode = '', @mine = 0"))
            .await
            .unwrap();
        soon(manager.recycle(&mut conn)).await.unwrap();
    }
}

#[tokio::test]
async fn a_statement_may_take_a_minute_unless_told_otherwise_on_every_connection_of_a_manager() {
    let unlimited = config().statement_timeout(None);
    for (config, wanted) in [(config(), [60_000; 2]), (unlimited, [0; 2])] {
        let manager = MySqlManager::new(config);
        let limit = if is_mariadb() {
            "SELECT CAST(1000 * @@max_statement_time AS INTEGER)"
        } else {
            "SELECT @@max_execution_time"
        };
        // The first learns which server it is, the second knows.
        let mut limits = [0; 2];
        for told in &mut limits {
            let mut conn = soon(manager.connect()).await.unwrap();
            *told = one::<i64>(&mut conn, limit).await;
        }
        assert_eq!(limits, wanted);
    }
}

#[tokio::test]
async fn a_statement_timeout_beyond_what_the_server_can_count_is_its_longest() {
    for mode in ["STRICT_ALL_TABLES", ""] {
        let server = MySql::new().setting("sql-mode", mode);
        let server = server.start_async().await.unwrap();
        let config = MySqlConfig::from_url(&server.url()).unwrap();
        let (_, mut conn) = connected(config.statement_timeout(Duration::MAX)).await;
        let years = if is_mariadb() {
            "SELECT @@max_statement_time / 60 / 60 / 24 / 365"
        } else {
            // Milliseconds in 32 bits.
            "SELECT (@@max_execution_time + 1) / (1 << 32)"
        };
        let years = one::<f64>(&mut conn, years).await;
        assert!((years - 1.0).abs() < f64::EPSILON, "{years}");
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_stopped_and_told_as_that() {
    let config = config().statement_timeout(Duration::from_millis(50));
    let (_, mut conn) = connected(config).await;
    let endless = "SELECT count(*) FROM information_schema.columns a, information_schema.columns b, \
                   information_schema.columns c";
    let error = soon(conn.query_drop(endless)).await.unwrap_err();
    assert_eq!(MySqlError::from(error).cause(), Cause::StatementTimeout);
    assert_eq!(one::<i64>(&mut conn, "SELECT 1").await, 1);
}

#[tokio::test]
async fn the_statement_cache_is_as_large_as_told() {
    for (size, prepared) in [(0, 3), (1, 3), (2, 2)] {
        let (_, mut conn) = connected(config().statement_cache(size)).await;
        for sql in ["SELECT ?", "SELECT concat(?, 'x')", "SELECT ?"] {
            // A number would have MySQL prepare once more, for a parameter of another type.
            soon(conn.exec_drop(sql, ("text",))).await.unwrap();
        }
        let (_, count) = soon(
            conn.query_first::<(String, i64), _>("SHOW SESSION STATUS LIKE 'Com_stmt_prepare'"),
        )
        .await
        .unwrap()
        .unwrap();
        assert_eq!(count, prepared, "{size}");
    }
}

#[tokio::test]
async fn a_setting_the_server_does_not_know_fails_the_connect_and_says_so() {
    let manager = MySqlManager::new(config().variable("no_such_variable", "1"));
    let error = soon(manager.connect()).await.unwrap_err();
    assert_eq!(error.code(), Some(1193));
    assert!(error.to_string().contains("no_such_variable"), "{error}");
}

#[tokio::test]
async fn validation_asks_what_it_is_told_to_ask() {
    let (manager, mut conn) = connected(config().validation_query("SELECT 2 * 2")).await;
    soon(manager.validate(&mut conn)).await.unwrap();
    let (manager, mut conn) = connected(config().validation_query("SELECT * FROM absent")).await;
    let error = soon(manager.validate(&mut conn)).await.unwrap_err();
    assert_eq!(error.code(), Some(1146));
}

/// Whose first statement would see the tables as they were then.
#[tokio::test]
async fn no_transaction_of_the_validation_is_the_next_users() {
    let without_autocommit = config().variable("autocommit", "0");
    let query = "SELECT count(*) FROM validated";
    let (manager, mut conn) = connected(without_autocommit.validation_query(query)).await;
    aside(server(), "CREATE TABLE pool.validated (n INT)");
    soon(manager.validate(&mut conn)).await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
    aside(server(), "INSERT INTO pool.validated VALUES (1)");
    assert_eq!(one::<i64>(&mut conn, query).await, 1);

    let begin = config().validation_query("SET autocommit = 0");
    let (manager, mut conn) = connected(begin).await;
    let error = soon(manager.validate(&mut conn)).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Dirty, "{error}");
}

#[tokio::test]
async fn an_account_whose_password_expires_is_refused_by_a_manager_that_knows_the_server_too() {
    let server = MySql::new().start_async().await.unwrap();
    aside(&server, "CREATE USER 'sand'@'%' IDENTIFIED BY 'x'");
    let manager = MySqlManager::from_url(&format!("mysql://sand:x@{}/", server.address())).unwrap();
    drop(soon(manager.connect()).await.unwrap());
    let known = manager.server();
    aside(&server, "ALTER USER 'sand'@'%' PASSWORD EXPIRE");
    let error = soon(manager.connect()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Authentication, "{error}");
    assert_eq!(manager.server(), known);
}

#[tokio::test]
async fn a_connection_that_has_become_another_accounts_is_not_kept() {
    let (manager, mut conn) = connected(config()).await;
    aside(server(), "CREATE USER 'other'@'%' IDENTIFIED BY 'y'");
    aside(server(), "GRANT ALL ON *.* TO 'other'@'%'");
    let other = ChangeUserOpts::new()
        .with_user(Some("other".into()))
        .with_pass(Some("y".into()));
    soon(conn.change_user(other)).await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Broken);
}

#[tokio::test]
async fn a_connection_that_has_gone_to_a_database_where_none_is_configured_is_not_kept() {
    let url = server().url().replace("/pool", "/");
    let (manager, mut conn) = connected(MySqlConfig::from_url(&url).unwrap()).await;
    let elsewhere = ChangeUserOpts::new().with_db_name(Some("pool".into()));
    soon(conn.change_user(elsewhere)).await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Broken);
}

#[tokio::test]
async fn sql_that_leaves_a_transaction_on_a_new_connection_fails_the_connect_and_says_so() {
    for sql in [
        "BEGIN",
        "SET autocommit = 0; SELECT * FROM information_schema.engines; BEGIN",
    ] {
        let manager = MySqlManager::new(config().init_sql(sql));
        let error = soon(manager.connect()).await.unwrap_err();
        assert_eq!(error.cause(), Cause::Dirty, "{error}");
        assert!(error.to_string().contains("transaction"), "{error}");
    }
}
