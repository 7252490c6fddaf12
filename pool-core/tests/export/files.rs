//! The files for Grafana and Prometheus that the documentation brings.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use pool_core::export::prometheus::render;
use serde_json::Value;
use tokio::process::Command;

use crate::pools;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// What looks like a metric of ours in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("db_pool_")).collect()
}

#[tokio::test]
async fn every_metric_they_name_is_on_the_page_that_is_scraped() {
    let (pools, held) = pools().await;
    let page = render(&pools);
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let there: BTreeSet<_> = samples
        .map(|line| line.split('{').next().unwrap())
        .collect();
    for name in [
        "grafana/dashboard.json",
        "grafana/alerts.yml",
        "grafana/alerts_test.yml",
    ] {
        let text = text(name);
        let named = metrics(&text);
        let missing: Vec<_> = named.difference(&there).collect();
        assert!(named.len() > 3 && missing.is_empty(), "{name}: {missing:?}");
    }
    let states = ["open", "half-open", "forced open"];
    assert!(
        states
            .iter()
            .all(|state| page.contains(&format!("state=\"{state}\"")))
    );
    drop(held);
}

#[tokio::test]
async fn the_guide_names_every_metric_and_no_other() {
    let (pools, held) = pools().await;
    let page = render(&pools);
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let there: BTreeSet<_> = types.map(|line| line.split(' ').next().unwrap()).collect();
    let guide = text("monitoring.md");
    let rows: String = guide
        .lines()
        .filter(|line| line.starts_with("| `db_pool_"))
        .collect();
    assert_eq!(metrics(&rows), there);
    drop(held);
}

#[tokio::test]
async fn every_alert_fires_as_its_test_says_and_is_explained() {
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ] {
        let promtool = Command::new("promtool")
            .args(arguments)
            .current_dir(file("grafana"))
            .output();
        let verdict = tokio::time::timeout(Duration::from_secs(60), promtool).await;
        let verdict = verdict.expect("it ends").expect("promtool is installed");
        assert!(verdict.status.success(), "{verdict:?}");
    }
    let (alerts, guide) = (text("grafana/alerts.yml"), text("troubleshooting.md"));
    for alert in alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        assert!(guide.contains(&format!("`{alert}`")), "{alert}");
    }
}

#[test]
fn no_two_panels_lie_over_one_another_and_each_asks_something() {
    let dashboard: Value = serde_json::from_str(&text("grafana/dashboard.json")).unwrap();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for x in side("x")..side("x") + side("w") {
            for y in side("y")..side("y") + side("h") {
                assert!(x < 24 && taken.insert((x, y)), "{}", panel["title"]);
            }
        }
        assert!(!panel["targets"].as_array().unwrap().is_empty());
    }
}
