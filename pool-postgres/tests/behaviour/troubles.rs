use pool_postgres::pool_core::{Manager, Severity};
use pool_postgres::{ErrorKind, PgError, PgManager};
use pool_servers::Postgres;

use crate::{config, server};

async fn trouble(url: &str) -> PgError {
    PgManager::new(config(url))
        .connect()
        .await
        .expect_err("it cannot connect")
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let error = trouble("postgres://app@127.0.0.1:1/app").await;
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_missing_database_is_told_with_its_sqlstate_and_is_permanent() {
    let server = server().await;
    let url = server.url();
    let (server_part, _) = url.rsplit_once('/').unwrap();
    let url = format!("{server_part}/nowhere");
    let error = trouble(&url).await;
    assert_eq!(error.kind(), ErrorKind::DatabaseMissing);
    assert!(error.to_string().contains("3D000"), "{error}");
    assert_eq!(
        PgManager::new(config(&url)).severity(&error),
        Severity::Permanent
    );
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it() {
    let server = Postgres::new()
        .access("host all guarded 127.0.0.1/32 scram-sha-256")
        .start_async()
        .await
        .unwrap();
    server
        .query("CREATE ROLE guarded LOGIN PASSWORD 'right'")
        .unwrap();
    let (host, port) = (server.address().ip(), server.address().port());
    let url = |password| format!("postgres://guarded:{password}@{host}:{port}/postgres");
    let error = trouble(&url("hunter2")).await;
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    PgManager::new(config(&url("right")))
        .connect()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_server_is_told_from_a_dead_one() {
    let server = Postgres::new()
        .setting("max_connections", "4")
        .setting("superuser_reserved_connections", "0")
        .setting("max_wal_senders", "0")
        .start_async()
        .await
        .unwrap();
    let manager = PgManager::new(config(&server.url()));
    let mut held = Vec::new();
    let error = loop {
        match manager.connect().await {
            Ok(conn) => held.push(conn),
            Err(error) => break error,
        }
        assert!(held.len() < 10);
    };
    assert_eq!(error.kind(), ErrorKind::TooManyConnections);
    assert_eq!(manager.severity(&error), Severity::TooManyConnections);
}

#[tokio::test]
async fn a_second_host_is_taken_when_the_first_is_not_there() {
    let server = server().await;
    let url = server.url().replace("127.0.0.1", "127.0.0.1:1,127.0.0.1");
    PgManager::new(config(&url)).connect().await.unwrap();
}

#[tokio::test]
async fn a_password_is_asked_for_at_each_connect_and_may_change() {
    let server = Postgres::new()
        .access("host all guarded 127.0.0.1/32 scram-sha-256")
        .start_async()
        .await
        .unwrap();
    server
        .query("CREATE ROLE guarded LOGIN PASSWORD 'first'")
        .unwrap();
    let passwords = std::sync::Mutex::new(["first", "hunter2", "second"].into_iter());
    let url = format!("postgres://guarded@{}/postgres", server.address());
    let manager = PgManager::new(config(&url).password_provider(move || {
        let next = passwords.lock().unwrap().next();
        async move { next.map(str::to_owned).ok_or("no more passwords") }
    }));
    manager.connect().await.unwrap();
    server
        .query("ALTER ROLE guarded PASSWORD 'second'")
        .unwrap();
    let error = manager.connect().await.expect_err("it is the wrong one");
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert_eq!(
        manager.severity(&error),
        Severity::Transient,
        "the next may be right"
    );
    manager.connect().await.unwrap();
    let error = manager.connect().await.expect_err("there is none");
    assert!(error.to_string().contains("no more passwords"), "{error}");
    assert!(!format!("{manager:?}").contains("second"));
}
