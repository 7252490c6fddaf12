//! The text that Prometheus reads.

use std::process::Stdio;
use std::time::Instant;

use pool_core::export::prometheus::{render, render_each};
use pool_core::testing::MockManager;
use pool_core::{Pool, Pools};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::pools;

#[tokio::test]
async fn a_page_tells_each_pool_apart_and_agrees_with_its_statistics() {
    let (pools, held) = pools().await;
    let page = render(&pools);
    for line in [
        "# HELP db_pool_acquired_total Checkouts served.",
        "# TYPE db_pool_acquired_total counter",
        "db_pool_acquired_total{pool=\"orders\"} 3",
        "db_pool_connections{pool=\"orders\",state=\"active\"} 1",
        "db_pool_connections{pool=\"orders\",state=\"idle\"} 1",
        "db_pool_utilisation_ratio{pool=\"orders\"} 0.25",
        "db_pool_health_status{pool=\"orders\",status=\"healthy\"} 1",
        "db_pool_connect_seconds_bucket{pool=\"orders\",le=\"+Inf\"} 2",
        "db_pool_connect_seconds_count{pool=\"orders\"} 2",
        r#"db_pool_breaker_state{pool="a \"dead\"\\one\n",state="open"} 1"#,
        r#"db_pool_breaker_state{pool="a \"dead\"\\one\n",state="closed"} 0"#,
        r#"db_pool_health_status{pool="a \"dead\"\\one\n",status="unhealthy"} 1"#,
        r#"db_pool_breaker_opened_total{pool="a \"dead\"\\one\n"} 1"#,
    ] {
        assert!(page.lines().any(|told| told == line), "{line}\n{page}");
    }
    drop(held);
}

#[tokio::test]
async fn promtool_finds_nothing_to_complain_of() {
    let (pools, _held) = pools().await;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by scripts/install-servers");
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(render(&pools).as_bytes()).await.unwrap();
    drop(stdin);
    let verdict = promtool.wait_with_output().await.unwrap();
    assert!(
        verdict.status.success() && verdict.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&verdict.stderr)
    );
}

#[tokio::test]
async fn a_page_of_a_thousand_pools_has_every_figure_of_each_once() {
    let pools = Pools::new();
    for number in 0..1000 {
        let pool = Pool::builder(MockManager::new()).min_size(1);
        let pool = pool.connect().await.unwrap();
        drop(pool.get().await.unwrap());
        pools.insert(format!("pool-{number}"), pool);
    }
    let began = Instant::now();
    let page = render(&pools);
    println!("1,000 pools: {:?}, {} bytes", began.elapsed(), page.len());

    let samples: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    let distinct: std::collections::HashSet<_> = samples
        .iter()
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    assert_eq!(distinct.len(), samples.len());
    let one = render_each([(
        "alone",
        Pool::builder(MockManager::new()).build().unwrap().health(),
    )]);
    let figures = one.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples.len(), 1000 * figures);
    assert_eq!(
        page.matches("# TYPE ").count(),
        one.matches("# TYPE ").count()
    );
}
