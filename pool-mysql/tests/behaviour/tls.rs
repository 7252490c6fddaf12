//! Encrypted connections.

use pool_core::{Manager, Severity};
use pool_mysql::{Cause, MySqlConfig, MySqlManager};
use pool_servers::MySql;

use crate::{config, one, soon};

#[tokio::test]
async fn a_server_of_a_trusted_authority_is_talked_to_in_secret() {
    let server = MySql::new().tls().start().unwrap();
    let authority = server.certificates().unwrap().authority();
    let url = format!("{}&tls_ca={}", server.url(), authority.display());
    let manager = MySqlManager::from_url(&url).unwrap();
    let mut conn = soon(manager.connect()).await.unwrap();
    let cipher = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
    let (_, cipher) = soon(pool_mysql::mysql_async::prelude::Queryable::query_first::<
        (String, String),
        _,
    >(&mut *conn, cipher))
    .await
    .unwrap()
    .unwrap();
    assert!(!cipher.is_empty());
    assert_eq!(one::<i64>(&mut conn, "SELECT 1").await, 1);
    soon(manager.close(conn)).await;
}

#[tokio::test]
async fn a_server_nobody_vouches_for_is_not_talked_to() {
    let server = MySql::new().tls().start().unwrap();
    let url = format!("{}&require_ssl=true", server.url());
    let manager = MySqlManager::from_url(&url).unwrap();
    let error = soon(manager.connect()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Tls, "{error}");
    assert!(!error.is_transient());
    assert_eq!(manager.severity(&error), Severity::Permanent);
}

#[tokio::test]
async fn a_server_without_tls_is_told_as_that() {
    let (name, off) = if crate::is_mariadb() {
        ("ssl", "0")
    } else {
        ("tls-version", "")
    };
    let server = MySql::new().setting(name, off).start().unwrap();
    let config = MySqlConfig::from_url(&server.url()).unwrap();
    let tls = pool_mysql::mysql_async::SslOpts::default();
    let manager = MySqlManager::new(config.tls(tls));
    let error = soon(manager.connect()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Tls, "{error}");
}

#[tokio::test]
async fn a_socket_needs_no_tls_and_does_not_wait_for_it() {
    let config = MySqlConfig::from_url(&crate::server().socket_url())
        .unwrap()
        .tls(pool_mysql::mysql_async::SslOpts::default());
    let manager = MySqlManager::new(config);
    let mut conn = soon(manager.connect()).await.unwrap();
    assert_eq!(one::<i64>(&mut conn, "SELECT 1").await, 1);
    let _ = self::config;
}

#[tokio::test]
async fn an_authoritys_file_that_is_not_there_is_told_as_that() {
    let server = MySql::new().tls().start().unwrap();
    let manager = MySqlManager::from_url(&format!("{}&tls_ca=/absent.pem", server.url())).unwrap();
    let error = soon(manager.connect()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Tls, "{error}");
    assert_eq!(manager.severity(&error), Severity::Permanent);
}
