//! Encrypted connections, on a server with a certificate of an authority of its own.

use std::net::SocketAddr;

use pool_postgres::pool_core::{Manager, Severity};
use pool_postgres::{Cause, PgConfig, PgError, PgManager, SslMode};
use pool_servers::{Postgres, Server};

use crate::front::Front;
use crate::{config, server, soon, text};

const IS_ENCRYPTED: &str = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

async fn encrypting() -> Server {
    Postgres::new().tls().start_async().await.unwrap()
}

/// Connects, and says whether the server sees an encrypted connection.
async fn is_encrypted(config: PgConfig) -> Result<bool, PgError> {
    let manager = PgManager::new(config);
    let conn = soon(manager.connect()).await?;
    let answer = soon(text(&conn, IS_ENCRYPTED)).await;
    soon(manager.close(conn)).await;
    Ok(answer == "true")
}

#[tokio::test]
async fn a_way_is_encrypted_unless_it_is_not_to_be() {
    let server = encrypting().await;
    let authority = server.certificates().unwrap().authority();
    let config = |mode| config(&server.url()).ssl_mode(mode);
    assert!(!is_encrypted(config(SslMode::Disable)).await.unwrap());
    assert!(is_encrypted(config(SslMode::Prefer)).await.unwrap());
    assert!(is_encrypted(config(SslMode::Require)).await.unwrap());
    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        let trusting = config(mode).ssl_root_certificate(&authority);
        assert!(is_encrypted(trusting).await.unwrap(), "{mode:?}");
    }
}

#[tokio::test]
async fn a_server_nobody_vouches_for_is_refused_and_final() {
    let server = encrypting().await;
    let others = encrypting().await;
    let authority = others.certificates().unwrap().authority();
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let wary = config(&server.url()).ssl_mode(mode);
        let manager = PgManager::new(wary.ssl_root_certificate(&authority));
        let error = soon(manager.connect()).await.unwrap_err();
        assert_eq!(error.cause(), Cause::Tls, "{error}");
        assert_eq!(manager.severity(&error), Severity::Permanent);
    }
    let by_mozilla = config(&server.url()).ssl_mode(SslMode::VerifyFull);
    let error = is_encrypted(by_mozilla).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Tls, "{error}");
}

#[tokio::test]
async fn another_hosts_certificate_is_refused_where_the_name_counts() {
    let server = Postgres::new()
        .tls()
        .setting("listen_addresses", "127.0.0.1,127.0.0.2")
        .access("host all all 127.0.0.2/32 trust")
        .start_async()
        .await
        .unwrap();
    let authority = server.certificates().unwrap().authority();
    let elsewhere = server.url().replace("127.0.0.1", "127.0.0.2");
    let config = |mode| {
        let config = config(&elsewhere).ssl_mode(mode);
        config.ssl_root_certificate(&authority)
    };
    let error = is_encrypted(config(SslMode::VerifyFull)).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Tls, "{error}");
    assert!(is_encrypted(config(SslMode::VerifyCa)).await.unwrap());
}

#[tokio::test]
async fn a_server_without_encryption_is_told_as_that() {
    let server = server().await;
    let config = |mode| config(&server.url()).ssl_mode(mode);
    assert!(!is_encrypted(config(SslMode::Prefer)).await.unwrap());
    let error = is_encrypted(config(SslMode::Require)).await.unwrap_err();
    assert!(matches!(error, PgError::TlsRefused { .. }), "{error}");
    assert_eq!(error.cause(), Cause::Tls);
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_the_server_wants_it() {
    let server = Postgres::new()
        .tls()
        .access("hostssl all app 127.0.0.1/32 cert")
        .start_async()
        .await
        .unwrap();
    server.query("CREATE ROLE app LOGIN").unwrap();
    let certificates = server.certificates().unwrap();
    let url = format!("postgres://app@{}/postgres", server.address());
    let bare = config(&url)
        .ssl_mode(SslMode::VerifyFull)
        .ssl_root_certificate(certificates.authority());
    let error = is_encrypted(bare.clone()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Authentication, "{error}");
    let known = bare.ssl_client_certificate(certificates.client(), certificates.client_key());
    assert!(is_encrypted(known).await.unwrap());
}

#[tokio::test]
async fn what_was_left_behind_is_seen_below_the_encryption_too() {
    let server = encrypting().await;
    let manager = PgManager::new(config(&server.url()).ssl_mode(SslMode::Require));
    let mut conn = soon(manager.connect()).await.unwrap();
    soon(conn.batch_execute("BEGIN")).await.unwrap();
    soon(manager.recycle(&mut conn)).await.unwrap();
    let interrupter = manager.interrupter(&conn).unwrap();
    let sleeping = conn.simple_query("SELECT pg_sleep(60)");
    let cancelling = async {
        crate::until(|| {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' \
                       AND pid <> pg_backend_pid()";
            server.query(sql).unwrap()[0][0].as_deref() == Some("1")
        })
        .await;
        interrupter.interrupt().await;
    };
    let (slept, ()) = soon(async { tokio::join!(sleeping, cancelling) }).await;
    let cancelled = pool_postgres::tokio_postgres::error::SqlState::QUERY_CANCELED;
    assert_eq!(slept.unwrap_err().code(), Some(&cancelled));
}

#[tokio::test]
async fn a_handshake_may_come_without_a_request() {
    let server = encrypting().await;
    let front = Front::direct(&["postgresql"], &server).await;
    let direct = |mode| {
        let url = "postgres://postgres@{}/postgres?sslnegotiation=direct&sslmode=";
        let url = url.replace("{}", &front.address().to_string()) + mode;
        config(&url).ssl_root_certificate(server.certificates().unwrap().authority())
    };
    for mode in ["require", "verify-full"] {
        let manager = PgManager::new(direct(mode));
        let conn = soon(manager.connect()).await.unwrap();
        assert_eq!(soon(text(&conn, "SELECT 'here'")).await, "here");
        soon(manager.close(conn)).await;
    }
}

#[tokio::test]
async fn who_speaks_no_postgresql_or_waits_for_a_request_is_told_as_that() {
    let server = encrypting().await;
    let front = Front::direct(&[], &server).await;
    let directly = |address: SocketAddr| {
        let parameters = "sslnegotiation=direct&sslmode=require";
        let url = format!("postgres://postgres@{address}/postgres?{parameters}");
        is_encrypted(config(&url))
    };
    let error = directly(front.address()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Tls, "{error}");
    assert!(error.to_string().contains("needs PostgreSQL 17"), "{error}");
    let answer = directly(server.address()).await;
    if major_version(&server).await >= 17 {
        assert!(answer.unwrap());
    } else {
        let error = answer.unwrap_err();
        assert_eq!(error.cause(), Cause::Lost, "it hangs up: {error}");
        assert!(error.to_string().contains("needs PostgreSQL 17"), "{error}");
    }
}

async fn major_version(server: &Server) -> u32 {
    let manager = PgManager::from_url(&server.url()).unwrap();
    let conn = soon(manager.connect()).await.unwrap();
    let (major, _) = conn.server_version().split_once('.').unwrap();
    major.parse().unwrap()
}

#[tokio::test]
async fn a_host_whose_certificate_is_not_trusted_leaves_it_to_the_next() {
    let (others, server) = (encrypting().await, encrypting().await);
    let both = format!("127.0.0.1:{},127.0.0.1", others.address().port());
    let both = server.url().replace("127.0.0.1", &both);
    let settings = config(&both).ssl_mode(SslMode::VerifyFull);
    let authority = server.certificates().unwrap().authority();
    let trusting = settings.ssl_root_certificate(authority);
    assert!(is_encrypted(trusting).await.unwrap());
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_named() {
    let server = encrypting().await;
    let certificates = server.certificates().unwrap();
    // No key, but a certificate.
    let key = certificates.authority();
    let settings = config(&server.url()).ssl_mode(SslMode::Require);
    let settings = settings.ssl_client_certificate(certificates.client(), &key);
    let error = is_encrypted(settings).await.unwrap_err().to_string();
    assert!(error.contains(key.to_str().unwrap()), "{error}");
}
