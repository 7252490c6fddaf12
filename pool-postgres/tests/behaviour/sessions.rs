use std::time::Duration;

use pool_postgres::pool_core::Manager;
use pool_postgres::{Cause, PgConfig, PgManager, Pool, PoolError, tokio_postgres};

use crate::{builder_of, config, pool, server, soon, text};

#[tokio::test]
async fn a_pool_serves_over_tcp_and_over_a_socket() {
    let server = server().await;
    for url in [server.url(), server.socket_url()] {
        let pool = Pool::builder(PgManager::from_url(&url).unwrap())
            .connect()
            .await
            .unwrap();
        let conn = pool.get().await.unwrap();
        assert_eq!(text(&conn, "SELECT 'hello'").await, "hello");
        drop(conn);
        assert!(soon(pool.close()).await.is_complete());
    }
}

#[tokio::test]
async fn settings_of_the_session_apply_and_survive_a_reset() {
    let server = server().await;
    let settings = config(&server.url())
        .statement_timeout(Duration::from_secs(7))
        .session("search_path", "pg_catalog, public")
        .session("TimeZone", "Asia/Tokyo");
    let pool = builder_of(settings, 1).build().unwrap();
    for round in 0..2 {
        let conn = pool.get().await.unwrap();
        assert_eq!(
            text(&conn, "SHOW statement_timeout").await,
            "7s",
            "round {round}"
        );
        assert_eq!(text(&conn, "SHOW search_path").await, "pg_catalog, public");
        assert_eq!(text(&conn, "SHOW timezone").await, "Asia/Tokyo");
        assert_eq!(text(&conn, "SHOW application_name").await, "pool-postgres");
        conn.batch_execute("SET statement_timeout = '1h'; SET TimeZone = 'UTC'")
            .await
            .unwrap();
    }
    assert_eq!(pool.stats().connects, 1, "it was reset, not replaced");
}

#[tokio::test]
async fn sql_for_new_connections_runs_again_after_a_reset_and_is_no_change_of_the_session() {
    let server = server().await;
    let settings = config(&server.url()).init_sql("SET work_mem = '64kB'; LOAD 'auto_explain'");
    let pool = builder_of(settings, 1).build().unwrap();
    for round in 0..3 {
        let conn = pool.get().await.unwrap();
        let sql = "SHOW work_mem";
        assert_eq!(text(&conn, sql).await, "64kB", "round {round}");
        if round == 1 {
            conn.batch_execute("SET work_mem = '1MB'").await.unwrap();
        }
    }
    let stats = pool.stats();
    assert_eq!((stats.connects, stats.recycle.count), (1, 1), "{stats}");
}

#[tokio::test]
async fn sql_for_new_connections_that_fails_or_leaves_a_transaction_fails_the_connect() {
    let server = server().await;
    for (sql, cause) in [("BEGIN", Cause::Dirty), ("SELECT 1 / 0", Cause::Other)] {
        let manager = PgManager::new(config(&server.url()).init_sql(sql));
        let error = soon(manager.connect()).await.unwrap_err();
        assert_eq!(error.cause(), cause, "{error}");
    }
    let sql =
        "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'pool-postgres'";
    pool_servers::eventually("the backends are gone", || {
        server.query(sql).unwrap()[0][0].as_deref() == Some("0")
    });
}

#[tokio::test]
async fn the_server_stops_a_statement_at_its_timeout() {
    let server = server().await;
    let settings = config(&server.url()).statement_timeout(Duration::from_millis(50));
    let pool = Pool::builder(PgManager::new(settings)).build().unwrap();
    let conn = pool.get().await.unwrap();
    let error = soon(conn.batch_execute("SELECT pg_sleep(60)"))
        .await
        .unwrap_err();
    assert_eq!(
        pool_postgres::PgError::from(error).cause(),
        Cause::Interrupted
    );
}

#[tokio::test]
async fn nothing_of_the_session_is_left_on_the_server_after_close() {
    let server = server().await;
    let pool = pool(&server, 3);
    let all = (pool.get().await.unwrap(), pool.get().await.unwrap());
    drop(all);
    assert!(soon(pool.close()).await.is_complete());
    let sql =
        "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'pool-postgres'";
    pool_servers::eventually("the backends are gone", || {
        server.query(sql).unwrap()[0][0].as_deref() == Some("0")
    });
    assert!(matches!(pool.get().await, Err(PoolError::Closed)));
}

#[tokio::test]
async fn values_with_blanks_and_backslashes_arrive_as_they_are() {
    let server = server().await;
    let value = "a  b\\c\td";
    let settings = config(&server.url()).session("app.note", value);
    let conn = soon(PgManager::new(settings).connect()).await.unwrap();
    assert_eq!(text(&conn, "SHOW app.note").await, value);
    assert!(
        conn.server_version().starts_with(server.version()),
        "{}",
        conn.server_version()
    );
}

#[tokio::test]
async fn notifications_arrive_in_order_and_end_with_the_return() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = soon(pool.get()).await.unwrap();
    let mut news = conn.notifications();
    soon(conn.batch_execute("LISTEN news")).await.unwrap();
    server.query("NOTIFY news, 'first'").unwrap();
    server.query("NOTIFY news, 'second'").unwrap();
    for expected in ["first", "second"] {
        assert_eq!(soon(news.recv()).await.unwrap().payload(), expected);
    }
    assert!(news.try_recv().is_none());
    drop(conn);
    assert!(soon(news.recv()).await.is_none());
    server.query("NOTIFY news, 'third'").unwrap();
    let conn = soon(pool.get()).await.unwrap();
    let mut none_of_mine = conn.notifications();
    soon(conn.simple_query("SELECT 1")).await.unwrap();
    assert!(none_of_mine.try_recv().is_none());
}

#[tokio::test]
async fn notices_reach_whoever_asked_for_them() {
    let server = server().await;
    let (seen, mut notices) = tokio::sync::mpsc::unbounded_channel();
    let settings = config(&server.url())
        .on_notice(move |notice| seen.send(notice.message().to_owned()).unwrap());
    let conn = soon(PgManager::new(settings).connect()).await.unwrap();
    let warn = "DO $$ BEGIN RAISE WARNING 'low on paper'; END $$";
    soon(conn.batch_execute(warn)).await.unwrap();
    assert_eq!(soon(notices.recv()).await.unwrap(), "low on paper");
}

#[tokio::test]
async fn a_statement_timeout_among_the_options_goes_above_the_default() {
    let server = server().await;
    let mut driver: tokio_postgres::Config = server.url().parse().unwrap();
    driver.options("-c statement_timeout=5s");
    let manager = PgManager::new(PgConfig::from(driver));
    let pool = Pool::builder(manager).min_size(0).build().unwrap();
    let conn = soon(pool.get()).await.unwrap();
    assert_eq!(text(&conn, "SHOW statement_timeout").await, "5s");
}

#[tokio::test]
async fn notifications_end_with_the_return_though_nothing_was_listened_to() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = soon(pool.get()).await.unwrap();
    let mut news = conn.notifications();
    drop(conn);
    let conn = soon(pool.get()).await.unwrap();
    soon(conn.batch_execute("LISTEN news; NOTIFY news, 'for the next'"))
        .await
        .unwrap();
    assert!(soon(news.recv()).await.is_none());
    assert_eq!(pool.stats().connects, 1);
}

#[tokio::test]
async fn a_statement_timeout_beyond_what_the_server_can_count_is_its_longest() {
    let server = server().await;
    let settings = config(&server.url()).statement_timeout(Duration::MAX);
    let conn = soon(PgManager::new(settings).connect()).await.unwrap();
    let limit = "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'";
    assert_eq!(text(&conn, limit).await, i32::MAX.to_string());
}

#[tokio::test]
async fn a_role_of_every_session_survives_a_reset_and_one_of_the_user_does_not() {
    let server = server().await;
    for role in ["reader", "writer"] {
        server.query(&format!("CREATE ROLE {role}")).unwrap();
    }
    for (settings, expected) in [
        (config(&server.url()), "postgres"),
        (config(&server.url()).session("role", "reader"), "reader"),
    ] {
        let pool = Pool::builder(PgManager::new(settings)).min_size(0);
        let pool = pool.max_size(1).build().unwrap();
        for change in ["SET work_mem = '64kB'", "SET ROLE writer"] {
            let conn = soon(pool.get()).await.unwrap();
            soon(conn.batch_execute(change)).await.unwrap();
            drop(conn);
            let conn = soon(pool.get()).await.unwrap();
            let user = text(&conn, "SELECT current_user::text").await;
            assert_eq!(user, expected, "after {change}");
        }
        assert_eq!(pool.stats().connects, 1);
    }
}
