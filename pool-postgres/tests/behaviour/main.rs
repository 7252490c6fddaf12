//! What the PostgreSQL manager promises, on a real server.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod binding;
mod conformance;
mod copies;
mod failover;
mod failures;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod front;
mod outages;
mod pooler;
mod returns;
mod sessions;
mod statements;
mod switchover;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;
mod troubles;
mod under_way;

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use pool_postgres::pool_core::PoolBuilder;
use pool_postgres::{PgConfig, PgConnection, PgManager, Pool};
use pool_servers::{Postgres, Server};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn server() -> Server {
    Postgres::new().start_async().await.unwrap()
}

fn config(url: &str) -> PgConfig {
    url.parse().unwrap()
}

fn builder(server: &Server, max_size: usize) -> PoolBuilder<PgManager> {
    builder_of(config(&server.url()), max_size)
}

fn builder_of(settings: PgConfig, max_size: usize) -> PoolBuilder<PgManager> {
    let manager = PgManager::new(settings);
    Pool::builder(manager).min_size(0).max_size(max_size)
}

fn pool(server: &Server, max_size: usize) -> Pool {
    builder(server, max_size).build().unwrap()
}

/// The answer to a query for one text.
async fn text(conn: &PgConnection, sql: &str) -> String {
    conn.query_one(sql, &[]).await.unwrap().get(0)
}

/// Awaits `future`, which has no reason to take long.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("hangs")
}

/// Gives `future` up after so many polls, unless it is ready before.
async fn given_up<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for poll in 0..polls {
        if poll > 0 {
            tokio::task::yield_now().await;
        }
        let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx)));
        if let Poll::Ready(output) = polled.await {
            return Some(output);
        }
    }
    None
}

/// The next user gets the answers to what it asks, and finds no transaction.
async fn is_clean(conn: &PgConnection, after: &str) {
    let messages = soon(conn.simple_query("SELECT 1")).await;
    assert_eq!(messages.expect(after).len(), 3, "after {after}");
    for own in ["x", "y"] {
        let sql = format!("SELECT '{own}'");
        assert_eq!(soon(text(conn, &sql)).await, own, "after {after}");
    }
    let is_left = is_in_transaction(conn).await;
    assert!(!is_left, "in a transaction after {after}");
}

/// A savepoint is an error outside of a transaction.
async fn is_in_transaction(conn: &PgConnection) -> bool {
    soon(conn.batch_execute("SAVEPOINT s")).await.is_ok()
}

/// Waits until `condition` holds.
async fn until(condition: impl FnMut() -> bool) {
    pool_servers::until(PATIENCE, condition).await;
}
