use std::time::Duration;

use pool_postgres::{PgManager, Pool};
use pool_servers::{FaultProxy, Server};

use crate::{config, pool, server, soon, text};

/// Asks until it is answered.
async fn answered(pool: &Pool) {
    soon(async {
        loop {
            if let Ok(conn) = pool.get_timeout(Duration::from_secs(5)).await {
                if conn.simple_query("SELECT 1").await.is_ok() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_killed_and_restarted_is_served_from_again() {
    let server = server().await;
    let pool = pool(&server, 4);
    let held = pool.get().await.unwrap();
    drop((pool.get().await.unwrap(), pool.get().await.unwrap()));
    server.aside(Server::kill).await.unwrap();
    assert!(soon(held.simple_query("SELECT 1")).await.is_err());
    drop(held);
    let error = soon(async {
        loop {
            if let Err(error) = pool.get_timeout(Duration::from_secs(5)).await {
                return error;
            }
        }
    })
    .await;
    assert!(
        error.to_string().contains("nobody accepts connections"),
        "it names the cause: {error}"
    );
    server.aside(Server::restart).await.unwrap();
    answered(&pool).await;
    assert!(pool.health().is_ready());
}

#[tokio::test]
async fn a_black_hole_costs_one_validation_and_the_pool_comes_back() {
    let server = server().await;
    let proxy = FaultProxy::before(&server).unwrap();
    let manager = PgManager::new(config(&server.url_at(proxy.address())));
    let pool = Pool::builder(manager)
        .min_size(4)
        .max_size(4)
        .validation(pool_postgres::pool_core::Validation::Always)
        .validate_timeout(Duration::from_millis(300))
        .connect_timeout(Duration::from_millis(300))
        .connect()
        .await
        .unwrap();
    proxy.black_hole();
    pool.get_timeout(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(
        pool.stats().closed_by.validate_failed,
        1,
        "the others were not asked"
    );
    assert_eq!(pool.stats().closed_by.generation, 3);
    proxy.forward().unwrap();
    answered(&pool).await;
}

#[tokio::test]
async fn a_backend_that_is_terminated_is_replaced() {
    let server = server().await;
    let pool = pool(&server, 1);
    let conn = pool.get().await.unwrap();
    let pid = text(&conn, "SELECT pg_backend_pid()::text").await;
    drop(conn);
    server
        .query(&format!("SELECT pg_terminate_backend({pid})"))
        .unwrap();
    let other = soon(async {
        loop {
            let conn = pool.get().await.unwrap();
            if let Ok(row) = conn.query_one("SELECT pg_backend_pid()::text", &[]).await {
                return row.get::<_, String>(0);
            }
        }
    })
    .await;
    assert_ne!(pid, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_of_a_dead_server_make_no_storm_and_are_all_served_when_it_is_back() {
    const OUTAGE: Duration = Duration::from_secs(3);
    let server = server().await;
    let pool = pool(&server, 10);
    answered(&pool).await;
    server.aside(Server::kill).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let pool = pool.clone();
        callers.spawn(async move { answered(&pool).await });
    }
    tokio::time::sleep_until(began + OUTAGE).await;
    let failures = pool.stats().connect_failures;
    server.aside(Server::restart).await.unwrap();
    while let Some(caller) = soon(callers.join_next()).await {
        caller.unwrap();
    }
    let seconds = OUTAGE.as_secs();
    assert!(
        failures >= 1 && failures <= 10 * (seconds + 1),
        "{failures}"
    );
}
