//! The endpoints beside the page.

use std::time::Duration;

use axum::Router;
use pool_core::export::dashboard::Dashboard;
use pool_core::testing::MockManager;
use pool_core::{Pool, Pools, Stats, WhilePaused};
use serde_json::{Value, json};

use crate::{http, pools};

#[tokio::test]
async fn each_endpoint_says_how_the_pools_are() {
    let (pools, held) = pools().await;
    let nested = Router::new().nest_service("/pools", Dashboard::new(&pools).router());
    let server = http::serve(nested).await;

    for page in ["/pools", "/pools/"] {
        let (status, text) = http::get(server, page).await;
        assert_eq!(status, 200, "{page}");
        assert!(text.contains("<title>"), "{page}");
    }
    let (status, view) = http::get(server, "/pools/api/stats").await;
    let view: Value = serde_json::from_str(&view).unwrap();
    assert_eq!(status, 200);
    assert_eq!(view["actions"], false);
    let orders = &view["pools"][1];
    assert_eq!(orders["name"], "orders");
    let told: Stats = serde_json::from_value(orders["stats"].clone()).unwrap();
    assert_eq!((told.active, told.idle, told.acquired), (1, 1, 3));
    let holder = &orders["holders"][0];
    let site = holder["site"].as_str().unwrap();
    assert!(site.contains("export/main.rs"), "{site}");
    let by_now = &pools.get("orders").unwrap().holders()[0];
    assert_eq!(holder["connection"], by_now.connection);
    let held_for = holder["held_for"].as_f64().unwrap();
    assert!((0.0..=by_now.held_for.as_secs_f64()).contains(&held_for));
    let waits = &pools.get("orders").unwrap().stats().wait.buckets;
    assert_eq!(orders["waited"]["count"], waits.count);
    assert_eq!(orders["waited"]["within"], json!(waits.within));
    assert_eq!(view["bounds"][3], 0.005, "seconds");

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

/// What `/api/stats` says of the pool that is there alone.
async fn only_pool(pools: &Pools) -> Value {
    let server = http::serve(Dashboard::new(pools).router()).await;
    let (_, view) = http::get(server, "/api/stats").await;
    let mut view: Value = serde_json::from_str(&view).unwrap();
    assert_eq!(view["pools"].as_array().unwrap().len(), 1);
    view["pools"][0].take()
}

#[tokio::test]
async fn of_many_holders_those_are_told_who_have_held_longest() {
    let pool = Pool::builder(MockManager::new()).min_size(0).max_size(30);
    let pool = pool.build().unwrap();
    let pools = Pools::new();
    pools.insert("crowded", pool.clone());
    let mut held = Vec::new();
    for _ in 0..30 {
        held.push(pool.get().await.unwrap());
    }
    let told = only_pool(&pools).await;
    let told = told["holders"].as_array().unwrap();
    let times: Vec<_> = told.iter().map(|h| h["held_for"].as_f64()).collect();
    assert_eq!(times.len(), 20);
    assert!(times.is_sorted_by(|longer, shorter| longer >= shorter));
    assert_eq!(told[0]["connection"], held[0].id());
}

#[tokio::test]
async fn a_pool_that_is_paused_and_one_that_is_closed_are_told_apart() {
    let pool = Pool::builder(MockManager::new()).build().unwrap();
    let pools = Pools::new();
    pools.insert("resting", pool.clone());
    let state = async || {
        let told = only_pool(&pools).await;
        (told["paused"].clone(), told["closed"].clone())
    };
    assert_eq!(state().await, (json!(false), json!(false)));
    pool.pause(WhilePaused::Wait);
    assert_eq!(state().await, (json!(true), json!(false)));
    pool.resume();
    pool.close().await;
    assert_eq!(state().await, (json!(false), json!(true)));
}

#[tokio::test]
async fn the_page_is_kept_to_itself_and_the_metrics_say_what_they_are() {
    let server = http::serve(Dashboard::new(&Pools::new()).router()).await;
    let page = http::head(server, "/").await;
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; ",
        "; frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
    ] {
        assert!(page.contains(header), "{header} in {page}");
    }
    let metrics = http::head(server, "/metrics").await;
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(metrics.contains(kind), "{metrics}");
}

#[tokio::test]
async fn the_stream_goes_on_while_there_are_no_pools_and_tells_of_those_that_come() {
    let pools = Pools::new();
    let server = http::serve(Dashboard::new(&pools).router()).await;
    let mut stream = http::Events::of(server, "/api/stream").await;
    let none: Value = serde_json::from_str(&stream.next().await).unwrap();
    assert_eq!(none["pools"], json!([]));
    pools.insert("late", Pool::builder(MockManager::new()).build().unwrap());
    let one: Value = serde_json::from_str(&stream.next().await).unwrap();
    assert_eq!(one["pools"][0]["name"], "late");
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
