//! A real Prometheus scrapes the page and is asked what it has understood.

use std::net::SocketAddr;
use std::time::Duration;

use pool_core::export::prometheus;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::{http, pools};

#[tokio::test]
async fn a_real_prometheus_reads_the_values_and_the_types() {
    let (pools, held) = pools().await;
    let metrics = axum::routing::get(move || async move {
        let kind = [("content-type", prometheus::CONTENT_TYPE)];
        (kind, prometheus::render(&pools))
    });
    let page = http::serve(axum::Router::new().route("/metrics", metrics)).await;
    let (server, _running) = start(page).await;

    let acquired = until_told(server, "db_pool_acquired_total", "orders").await;
    assert_eq!(acquired, "3");
    for (query, told) in [
        ("db_pool_connections%7Bstate=%22active%22%7D", "1"),
        ("db_pool_utilisation_ratio", "0.25"),
        ("db_pool_connect_seconds_count", "2"),
    ] {
        assert_eq!(until_told(server, query, "orders").await, told, "{query}");
    }
    let open = "db_pool_breaker_state%7Bstate=%22open%22%7D";
    assert_eq!(until_told(server, open, "a \"dead\"\\one\n").await, "1");

    let types = get(server, "/api/v1/targets/metadata").await;
    for (metric, kind) in [
        ("db_pool_acquired_total", "counter"),
        ("db_pool_connections", "gauge"),
        ("db_pool_wait_seconds", "histogram"),
    ] {
        let known = types["data"].as_array().unwrap().iter();
        let mut named = known.filter(|known| known["metric"] == metric);
        assert_eq!(named.next().unwrap()["type"], kind);
    }
    drop(held);
}

/// A Prometheus that scrapes the page each 100 ms; it ends and its files go with what is returned.
async fn start(page: SocketAddr) -> (SocketAddr, (Child, tempfile::TempDir)) {
    let files = tempfile::tempdir().unwrap();
    let config = files.path().join("prometheus.yml");
    let scrape = format!(
        "scrape_configs:\n- job_name: pools\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\n  \
         static_configs:\n  - targets: ['{page}']\n"
    );
    std::fs::write(&config, scrape).unwrap();
    // Prometheus cannot choose a port itself: take one that was free a moment ago, and another
    // when somebody was faster.
    for _ in 0..10 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                files.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus is installed by scripts/install-servers");
        while child.try_wait().unwrap().is_none() {
            if TcpStream::connect(address).await.is_ok() {
                return (address, (child, files));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    panic!("prometheus does not start");
}

/// The value of a query for one pool, as soon as there is one.
async fn until_told(server: SocketAddr, query: &str, pool: &str) -> String {
    for _ in 0..600 {
        let answer = get(server, &format!("/api/v1/query?query={query}")).await;
        let results = answer["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if let Some(found) = results.iter().find(|found| found["metric"]["pool"] == pool) {
            return found["value"][1].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("prometheus never told {query} of {pool}");
}

/// The JSON at a path; nothing while the server is not ready.
async fn get(server: SocketAddr, path: &str) -> Value {
    let (_, body) = http::get(server, path).await;
    serde_json::from_str(&body).unwrap_or_default()
}
