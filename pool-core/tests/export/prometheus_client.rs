//! What a registry of `prometheus_client` tells of the pools.

use std::collections::BTreeMap;

use pool_core::export::prometheus::render;
use pool_core::export::prometheus_client::PoolsCollector;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::pools;

/// The values of the pool `orders`, by name and labels in the order of the alphabet.
fn of_orders(page: &str) -> BTreeMap<String, f64> {
    let samples = page.lines().filter(|line| line.contains("pool=\"orders\""));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.strip_suffix('}').unwrap().split_once('{').unwrap();
            let mut labels: Vec<_> = labels.split(',').map(bound).collect();
            labels.sort_unstable();
            (format!("{name} {labels:?}"), value.parse().unwrap())
        })
        .collect()
}

/// A label, bounds of buckets written in one way.
fn bound(label: &str) -> String {
    let bound = label
        .strip_prefix("le=\"")
        .map(|rest| rest.trim_end_matches('"'));
    bound.map_or(label.to_owned(), |bound| {
        format!("le={}", bound.parse::<f64>().unwrap())
    })
}

#[tokio::test]
async fn a_registry_tells_what_prometheus_would_scrape() {
    let (pools, held) = pools().await;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(PoolsCollector::new(&pools)));
    let mut page = String::new();
    encode(&mut page, &registry).unwrap();
    let scraped = render(&pools);
    let (told, scraped) = (of_orders(&page), of_orders(&scraped));
    let different: Vec<_> = scraped
        .iter()
        .filter(|(k, v)| told.get(*k) != Some(*v))
        .collect();
    assert!(
        different.is_empty() && told.len() == scraped.len(),
        "{different:?}"
    );
    assert!(
        page.contains("# HELP db_pool_acquired Checkouts served.\n"),
        "{page}"
    );
    assert!(
        page.contains(r#"{pool="a \"dead\"\\one\n",state="open"} 1.0"#),
        "{page}"
    );
    drop(held);
}
