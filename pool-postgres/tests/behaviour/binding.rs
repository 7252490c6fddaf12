//! Logins that are bound to the encryption below them (SCRAM-SHA-256-PLUS).

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use pool_postgres::pool_core::Manager;
use pool_postgres::{Cause, PgConnection, PgError, PgManager};
use pool_servers::{Postgres, Server};

use crate::front::Front;
use crate::{PATIENCE, config, soon, text};

/// A server that takes encrypted and other connections, and a password from everybody over TCP.
async fn guarded() -> Server {
    let server = Postgres::new()
        .tls()
        .access("host all app 127.0.0.1/32 scram-sha-256")
        .start_async()
        .await
        .unwrap();
    server
        .query("CREATE ROLE app LOGIN PASSWORD 'secret'")
        .unwrap();
    server
}

async fn connect(address: SocketAddr, parameters: &str) -> Result<PgConnection, PgError> {
    let url = format!("postgres://app:secret@{address}/postgres?{parameters}");
    soon(PgManager::new(config(&url)).connect()).await
}

#[tokio::test]
async fn a_login_is_bound_where_that_is_required() {
    let server = guarded().await;
    let conn = connect(server.address(), "sslmode=require&channel_binding=require");
    let conn = conn.await.unwrap();
    assert_eq!(soon(text(&conn, "SELECT current_user::text")).await, "app");
}

#[tokio::test]
async fn a_statement_of_a_bound_connection_is_cancelled() {
    let server = guarded().await;
    let url = format!(
        "postgres://app:secret@{}/postgres?channel_binding=require",
        server.address()
    );
    let manager = PgManager::new(config(&url));
    let mut conn = soon(manager.connect()).await.unwrap();
    drop(tokio::time::timeout(PATIENCE / 400, conn.simple_query("SELECT pg_sleep(60)")).await);
    soon(manager.recycle(&mut conn)).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_bound_is_refused_before_a_password_is_shown() {
    let server = guarded().await;
    let plain = connect(server.address(), "sslmode=disable&channel_binding=require");
    let error = plain.await.unwrap_err();
    assert!(matches!(error, PgError::ChannelBinding { .. }), "{error}");
    assert_eq!(error.cause(), Cause::Tls);
    assert!(error.to_string().contains("is not encrypted"), "{error}");
    for free in ["disable", "prefer"] {
        let parameters = format!("sslmode=disable&channel_binding={free}");
        connect(server.address(), &parameters).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_asks_for_no_password_is_refused_where_binding_is_required() {
    let server = Postgres::new().tls().start_async().await.unwrap();
    let url = format!("{}?channel_binding=require", server.url());
    let manager = PgManager::new(config(&url));
    let error = soon(manager.connect()).await.unwrap_err();
    assert!(error.to_string().contains("channel binding"), "{error}");
    assert_eq!(error.cause(), Cause::Authentication);
}

#[tokio::test]
async fn an_impostor_is_noticed_by_who_binds_the_login() {
    let server = guarded().await;
    let others = Postgres::new().tls().start_async().await.unwrap();
    let front = Front::impostor(others.certificates().unwrap(), &server).await;
    let login = |binding: &str| {
        let parameters = format!("sslmode=require&channel_binding={binding}");
        let address = front.address();
        async move { connect(address, &parameters).await }
    };
    for bound in ["require", "prefer"] {
        let error = login(bound).await.unwrap_err();
        assert_eq!(error.cause(), Cause::Authentication, "{error}");
        assert!(error.to_string().contains("channel binding"), "{error}");
    }
    login("disable").await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_names_no_hash_is_gone_on_with_unless_binding_is_required() {
    let server = guarded().await;
    let authority = server.certificates().unwrap().authority();
    let (shown, key) = (
        authority.with_file_name("server.crt"),
        authority.with_file_name("server.key"),
    );
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=db",
        ])
        .arg("-out")
        .arg(authority.with_file_name("new.crt"))
        .arg("-keyout")
        .arg(authority.with_file_name("new.key"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    // Written into the files that belong to the server.
    for (from, to) in [("new.crt", shown), ("new.key", key)] {
        fs::write(to, fs::read(authority.with_file_name(from)).unwrap()).unwrap();
    }
    server.query("SELECT pg_reload_conf()").unwrap();

    let refused = async {
        loop {
            let login = connect(server.address(), "sslmode=require&channel_binding=require");
            if let Err(error) = login.await {
                return error;
            }
            tokio::time::sleep(PATIENCE / 1000).await;
        }
    };
    let error = soon(refused).await;
    assert!(error.to_string().contains("names no hash"), "{error}");
    connect(server.address(), "sslmode=require&channel_binding=prefer")
        .await
        .unwrap();
}
