//! What an operator may do, and nobody else.

use std::net::SocketAddr;

use axum::http::HeaderMap;
use pool_core::export::dashboard::Dashboard;
use pool_core::{BreakerState, Pools};

use crate::{http, pools};

const DEAD: &str = r#""a \"dead\"\\one\n""#;

/// A dashboard whose guard wants a cookie.
async fn guarded(pools: &Pools) -> SocketAddr {
    let guard = |headers: &HeaderMap| headers.get("cookie").is_some_and(|c| c == "operator");
    http::serve(Dashboard::new(pools).actions(guard).router()).await
}

/// What the page sends, with these headers in place of those of the same name.
async fn order(server: SocketAddr, body: &str, changed: &[&str]) -> (u16, String) {
    let name = |header: &str| header.split(':').next().unwrap().to_owned();
    let host = format!("host: {server}");
    let origin = format!("origin: http://{server}");
    let mut headers = vec![
        host.as_str(),
        &origin,
        "sec-fetch-site: same-origin",
        "content-type: application/json",
        "x-pool-action: 1",
        "cookie: operator",
    ];
    headers.retain(|header| !changed.iter().any(|other| name(other) == name(header)));
    headers.extend(changed);
    http::ask(server, "POST /api/action", &headers, body).await
}

#[tokio::test]
async fn an_operator_resets_pauses_retires_and_resizes() {
    let (pools, held) = pools().await;
    let server = guarded(&pools).await;
    let orders = pools.get("orders").unwrap();

    for (action, more) in [
        ("pause", ""),
        ("retire_all", ""),
        ("resize", r#","min_size":1,"max_size":7"#),
    ] {
        let body = format!(r#"{{"pool":"orders","action":"{action}"{more}}}"#);
        assert_eq!(order(server, &body, &[]).await, (200, "done".to_owned()));
    }
    assert!(orders.is_paused());
    assert_eq!((orders.stats().generation, orders.stats().max_size), (1, 7));
    order(server, r#"{"pool":"orders","action":"resume"}"#, &[]).await;
    assert!(!orders.is_paused());

    let dead = pools.get("a \"dead\"\\one\n").unwrap();
    assert_eq!(dead.stats().breaker, BreakerState::Open);
    dead.resize(0, 1).unwrap();
    let body = format!(r#"{{"pool":{DEAD},"action":"reset_breaker"}}"#);
    assert_eq!(order(server, &body, &[]).await.0, 200);
    drop(held);
}

#[tokio::test]
async fn what_does_not_come_from_the_page_or_an_operator_changes_nothing() {
    let (pools, held) = pools().await;
    let server = guarded(&pools).await;
    let body = r#"{"pool":"orders","action":"pause"}"#;
    for (header, status) in [
        ("origin: http://elsewhere.example", 403),
        ("origin: null", 403),
        ("sec-fetch-site: cross-site", 403),
        ("sec-fetch-site: same-site", 403),
        ("x-pool-action: 0", 403),
        ("content-type: text/plain", 415),
        ("cookie: somebody", 403),
    ] {
        assert_eq!(order(server, body, &[header]).await.0, status, "{header}");
    }
    let (status, _) = http::get(server, "/api/action").await;
    assert_eq!(status, 405);
    assert!(!pools.get("orders").unwrap().is_paused());

    let read_only = http::serve(Dashboard::new(&pools).router()).await;
    assert_eq!(order(read_only, body, &[]).await.0, 404);
    drop(held);
}

#[tokio::test]
async fn a_wrong_order_is_told_what_is_wrong() {
    let (pools, held) = pools().await;
    let server = guarded(&pools).await;
    for (body, status, why) in [
        (
            r#"{"pool":"nobody","action":"pause"}"#,
            404,
            "no pool \"nobody\"",
        ),
        (r#"{"pool":"orders","action":"explode"}"#, 422, "explode"),
        (
            r#"{"pool":"orders","action":"resize","min_size":9,"max_size":3}"#,
            422,
            "min_size",
        ),
    ] {
        let (told, text) = order(server, body, &[]).await;
        assert!(told == status && text.contains(why), "{told} {text}");
    }
    drop(held);
}
