//! What the MySQL manager and its connections promise, on a real server: MariaDB, or Oracle's MySQL
//! where `scripts/test-mysql` names one.
//!
//! Nothing here sleeps to get an order right: what must happen first is waited for, and a test that
//! would hang fails after [`PATIENCE`].

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the failure, also in what helps a test"
)]

mod ambiguous;
mod conformance;
mod connecting;
mod errors;
mod failover;
mod given_up;
mod interrupting;
mod recycling;
mod reset;
mod settings;
mod switchover;
#[cfg(feature = "rustls")]
mod tls;

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use pool_mysql::mysql_async::prelude::{FromValue, Queryable};
use pool_mysql::pool_core::Manager;
use pool_mysql::{Flavour, MySqlConfig, MySqlConnection, MySqlManager, Pool};
use pool_servers::{MySql, Server};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The server of the tests that leave it as it was. Nobody drops it: its watchdog ends it.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| MySql::new().start().unwrap())
}

fn config() -> MySqlConfig {
    MySqlConfig::from_url(&server().url()).unwrap()
}

fn is_mariadb() -> bool {
    server().name() == "MariaDB"
}

/// A manager and a connection of it.
async fn connected(config: MySqlConfig) -> (MySqlManager, MySqlConnection) {
    let manager = MySqlManager::new(config);
    let conn = soon(manager.connect()).await.unwrap();
    assert_eq!(
        conn.server().flavour() == Flavour::MariaDb,
        is_mariadb(),
        "{}",
        conn.server()
    );
    (manager, conn)
}

/// A pool of one connection.
async fn pool_of_one(config: MySqlConfig) -> Pool {
    let builder = Pool::builder(MySqlManager::new(config));
    soon(builder.min_size(1).max_size(1).connect())
        .await
        .unwrap()
}

/// The answer to a query for one value.
async fn one<T: FromValue + Send + 'static>(conn: &mut MySqlConnection, sql: &str) -> T {
    soon(conn.query_first(sql)).await.unwrap().unwrap()
}

/// The answer of the server, asked on the side.
fn aside(server: &Server, sql: &str) -> String {
    let rows = server.query(sql).unwrap();
    rows.into_iter()
        .flatten()
        .flatten()
        .next()
        .unwrap_or_default()
}

/// Awaits `future`, which has no reason to take long.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("hangs")
}

/// Waits until the server answers `sql` with `expected`.
async fn until(server: &Server, sql: &str, expected: &str) {
    pool_servers::until(PATIENCE, || aside(server, sql) == expected).await;
}

/// Polls `future` until `condition` holds, and drops it.
async fn dropped_when(future: impl Future, server: &Server, sql: &str, expected: &str) {
    tokio::select! {
        _ = future => panic!("it is done already"),
        () = until(server, sql, expected) => {}
    }
}
