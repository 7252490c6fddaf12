//! What a recorder of the facade `metrics` is told.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use pool_core::export::prometheus::render;

use crate::pools;

/// Keeps the last value of each metric: of a counter as it is, of a gauge the bits of a float.
#[derive(Default)]
struct Kept {
    values: Mutex<BTreeMap<String, (bool, Arc<AtomicU64>)>>,
    described: Mutex<usize>,
}

impl Kept {
    fn cell(&self, key: &Key, is_float: bool) -> Arc<AtomicU64> {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={:?}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut values = self.values.lock().unwrap();
        Arc::clone(
            &values
                .entry(name)
                .or_insert_with(|| (is_float, Arc::default()))
                .1,
        )
    }

    fn describe(&self) {
        *self.described.lock().unwrap() += 1;
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe();
    }
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe();
    }
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe();
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key, false))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key, true))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("no histogram is told");
    }
}

#[tokio::test]
async fn a_recorder_is_told_what_prometheus_would_scrape_but_histograms() {
    let (pools, held) = pools().await;
    let kept = Kept::default();
    metrics::with_local_recorder(&kept, || {
        pool_core::export::metrics::describe();
        pool_core::export::metrics::record(&pools);
    });
    let told: Vec<_> = kept
        .values
        .lock()
        .unwrap()
        .iter()
        .map(|(name, (is_float, value))| {
            let value = value.load(Relaxed);
            if *is_float {
                format!("{name} {}", f64::from_bits(value))
            } else {
                format!("{name} {value}")
            }
        })
        .collect();
    let page = render(&pools);
    let mut scraped: Vec<_> = page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("_seconds_"))
        .collect();
    // One by one, since both are told in an order of their own.
    scraped.sort_unstable();
    let mut told: Vec<_> = told.iter().map(String::as_str).collect();
    told.sort_unstable();
    assert_eq!(told, scraped);
    let types = page.lines().filter(|line| line.starts_with("# TYPE "));
    let described = types.filter(|line| !line.ends_with("histogram")).count();
    assert_eq!(*kept.described.lock().unwrap(), described);
    drop(held);
}
