//! The endpoints beside the page.

use std::time::Duration;

use axum::Router;
use pool_core::Stats;
use pool_core::export::dashboard::Dashboard;
use serde_json::Value;

use crate::{http, pools};

#[tokio::test]
async fn each_endpoint_says_how_the_pools_are() {
    let (pools, held) = pools().await;
    let nested = Router::new().nest("/pools", Dashboard::new(&pools).router());
    let server = http::serve(nested).await;

    let (status, view) = http::get(server, "/pools/api/stats").await;
    let view: Value = serde_json::from_str(&view).unwrap();
    assert_eq!(status, 200);
    assert_eq!(view["actions"], false);
    let orders = &view["pools"][1];
    assert_eq!(orders["name"], "orders");
    let told: Stats = serde_json::from_value(orders["stats"].clone()).unwrap();
    assert_eq!((told.active, told.idle, told.acquired), (1, 1, 3));
    let site = orders["holders"][0]["site"].as_str().unwrap();
    assert!(site.contains("export/main.rs"), "{site}");

    let (status, health) = http::get(server, "/pools/health").await;
    assert_eq!(status, 200);
    assert!(health.contains("the circuit breaker is open"), "{health}");
    assert_eq!(http::get(server, "/pools/ready").await.0, 503);
    let (status, metrics) = http::get(server, "/pools/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("db_pool_acquired_total{pool=\"orders\"} 3\n"));

    pools.remove("a \"dead\"\\one\n");
    assert_eq!(http::get(server, "/pools/ready").await.0, 200);
    drop(held);
}

#[tokio::test]
async fn the_stream_ends_when_all_pools_are_closed() {
    let (pools, held) = pools().await;
    let server = http::serve(Dashboard::new(&pools).router()).await;
    let stream = tokio::spawn(async move { http::get(server, "/api/stream").await });
    drop(held);
    pools.close().await;
    let (status, _) = tokio::time::timeout(Duration::from_secs(60), stream)
        .await
        .expect("it ends")
        .unwrap();
    assert_eq!(status, 200);
}
