use std::time::Duration;

use pool_postgres::pool_core::{Manager, Severity};
use pool_postgres::{Cause, PgError, PgManager, Pool};
use pool_servers::{FaultProxy, Postgres};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{config, server, soon};

async fn trouble(url: &str) -> PgError {
    PgManager::new(config(url))
        .connect()
        .await
        .expect_err("it cannot connect")
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let error = trouble("postgres://app@127.0.0.1:1/app").await;
    assert_eq!(error.cause(), Cause::Refused);
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
    assert_eq!(error.cause(), Cause::DatabaseMissing);
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
    assert_eq!(error.cause(), Cause::Authentication);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    PgManager::new(config(&url("right")))
        .connect()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_asks_for_a_password_where_there_is_none_is_not_asked_again() {
    for method in ["scram-sha-256", "md5", "password"] {
        let server = Postgres::new()
            .access(format!("host all guarded 127.0.0.1/32 {method}"))
            .start_async()
            .await
            .unwrap();
        server
            .query("SET password_encryption = 'md5'; CREATE ROLE guarded LOGIN PASSWORD 'x'")
            .unwrap();
        let url = format!("postgres://guarded@{}/postgres", server.address());
        let error = trouble(&url).await;
        assert_eq!(error.cause(), Cause::Authentication, "{method}: {error}");
        assert!(!error.is_transient());
        let manager = PgManager::new(config(&url));
        assert_eq!(manager.severity(&error), Severity::Permanent);
        let told = error.to_string();
        assert!(told.starts_with(&server.address().to_string()), "{told}");
        assert!(told.contains("password missing"), "{told}");
    }
}

/// The driver's words of a login that a stand-in answers with `messages`, one for each of ours.
async fn login_answered_with(messages: &[&[u8]]) -> PgError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = async {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        for message in messages {
            assert!(client.read(&mut asked).await.unwrap() > 0);
            client.write_all(message).await.unwrap();
        }
        // Until it is given up.
        while client.read(&mut asked).await.is_ok_and(|read| read > 0) {}
    };
    let url = format!("postgres://app:hunter2@{address}/app?sslmode=disable");
    let (error, ()) = soon(async { tokio::join!(trouble(&url), answers) }).await;
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    error
}

#[tokio::test]
async fn a_login_that_the_driver_gives_up_is_one_that_failed() {
    let kerberos: &[u8] = b"R\0\0\0\x08\0\0\0\x02";
    let unheard_of = b"R\0\0\0\x08\0\0\0\x63";
    let sasl_of_tomorrow = b"R\0\0\0\x11\0\0\0\x0aSCRAM-9\0\0";
    let scram = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
    let proof_of_another = b"R\0\0\0\x21\0\0\0\x0br=other,s=c2FsdA==,i=4096";
    for answers in [
        &[kerberos][..],
        &[unheard_of],
        &[sasl_of_tomorrow],
        &[scram, proof_of_another],
    ] {
        let error = login_answered_with(answers).await;
        assert_eq!(error.cause(), Cause::Authentication, "{error}");
        assert!(!error.is_transient(), "{error}");
    }
}

#[tokio::test]
async fn who_speaks_another_protocol_has_not_refused_the_login() {
    for answers in [&[&b"?\0\0\0\0"[..]], &[b"Z\0\0\0\x05I"]] {
        let error = login_answered_with(answers).await;
        assert_eq!(error.cause(), Cause::Other, "{error}");
    }
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
    assert_eq!(error.cause(), Cause::TooManyConnections);
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
    assert_eq!(error.cause(), Cause::Authentication);
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

#[tokio::test]
async fn a_host_without_an_address_is_told_from_one_that_does_not_answer() {
    let error = trouble("postgres://app@no-such-host.invalid/app").await;
    assert_eq!(error.cause(), Cause::Dns);
    assert!(
        error.to_string().contains("no-such-host.invalid:5432"),
        "{error}"
    );
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_host_that_swallows_everything_leaves_time_for_the_next_and_is_then_tried_last() {
    let server = server().await;
    let proxy = FaultProxy::before(&server).unwrap();
    proxy.black_hole();
    let hole = proxy.address();
    let alone = format!("{}?connect_timeout=1", server.url_at(hole));
    let error = trouble(&alone).await;
    assert_eq!(error.cause(), Cause::TimedOut);
    assert!(error.to_string().contains(&hole.to_string()), "{error}");

    let both = server
        .url()
        .replace("127.0.0.1", &format!("{hole},127.0.0.1"));
    let manager = PgManager::new(config(&format!("{both}?connect_timeout=1")));
    soon(manager.connect()).await.unwrap();
    let attempts = proxy.attempted();
    soon(manager.connect()).await.unwrap();
    assert_eq!(proxy.attempted(), attempts, "it is left alone for a while");
}

#[tokio::test]
async fn a_server_that_is_shutting_down_says_so_and_is_tried_again() {
    let server = server().await;
    let held = soon(PgManager::new(config(&server.url())).connect())
        .await
        .unwrap();
    // A smart shutdown waits for those who are in, and lets nobody else in.
    let postmaster = server.id().unwrap().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &postmaster])
        .status();
    assert!(sent.unwrap().success());
    let error = soon(async {
        loop {
            if let Err(error) = PgManager::new(config(&server.url())).connect().await {
                return error;
            }
        }
    })
    .await;
    assert_eq!(error.cause(), Cause::ShuttingDown);
    assert!(
        error.is_transient() && error.to_string().contains("57P03"),
        "{error}"
    );
    drop(held);
}

#[tokio::test]
async fn a_write_on_a_server_that_takes_none_is_told_as_such() {
    let server = Postgres::new()
        .setting("default_transaction_read_only", "on")
        .start_async()
        .await
        .unwrap();
    let conn = soon(PgManager::new(config(&server.url())).connect())
        .await
        .unwrap();
    let error = soon(conn.batch_execute("CREATE TABLE t ()"))
        .await
        .unwrap_err();
    assert_eq!(PgError::from(error).cause(), Cause::ReadOnly);

    let wants_a_primary = format!("{}?target_session_attrs=read-write", server.url());
    let error = trouble(&wants_a_primary).await;
    assert_eq!(error.cause(), Cause::ReadOnly);
    assert!(error.is_transient(), "a failover may change it");
}

#[tokio::test]
async fn a_user_without_the_right_to_connect_is_refused_for_good() {
    let server = server().await;
    server.query("CREATE ROLE guest LOGIN").unwrap();
    server.query("CREATE DATABASE closed").unwrap();
    server
        .query("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        .unwrap();
    let error = trouble(&format!("postgres://guest@{}/closed", server.address())).await;
    assert_eq!(error.cause(), Cause::Authentication);
    assert!(
        !error.is_transient() && error.to_string().contains("42501"),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_that_takes_all_the_time_there_is_comes_last_the_next_time() {
    let server = server().await;
    let proxy = FaultProxy::before(&server).unwrap();
    proxy.black_hole();
    let both = format!("{},127.0.0.1", proxy.address());
    let both = server.url().replace("127.0.0.1", &both);
    let manager = PgManager::new(config(&format!("{both}?connect_timeout=60")));
    let pool = Pool::builder(manager).min_size(0).max_size(1);
    let pool = pool.connect_timeout(Duration::from_millis(300));
    let pool = pool.build().unwrap();
    soon(async {
        while pool.get().await.is_err() {
            assert!(proxy.attempted() < 3, "it is tried again and again");
        }
    })
    .await;
}

#[tokio::test]
async fn what_ends_a_session_is_a_loss() {
    let server = server().await;
    let conn = soon(PgManager::new(config(&server.url())).connect())
        .await
        .unwrap();
    for code in ["57P05", "25P03", "25P04"] {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$");
        let error = soon(conn.batch_execute(&raise)).await.unwrap_err();
        assert_eq!(PgError::from(error).cause(), Cause::Lost, "{code}");
    }
}
