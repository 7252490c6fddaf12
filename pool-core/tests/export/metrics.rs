//! What a recorder of the facade `metrics` is told.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use pool_core::export::metrics::Durations;
use pool_core::export::prometheus::render;

use crate::pools;

/// Keeps the last value of each metric: of a counter as it is, of a gauge the bits of a float.
#[derive(Default)]
struct Kept {
    values: Mutex<BTreeMap<String, (bool, Arc<AtomicU64>)>>,
    described: Mutex<usize>,
    durations: Mutex<BTreeMap<String, Arc<Recorded>>>,
}

/// How many durations were recorded, and the nanoseconds they took together.
#[derive(Default)]
struct Recorded(AtomicU64, AtomicU64);

impl HistogramFn for Recorded {
    fn record(&self, seconds: f64) {
        self.0.fetch_add(1, Relaxed);
        let nanos = Duration::from_secs_f64(seconds).as_nanos();
        self.1.fetch_add(u64::try_from(nanos).unwrap(), Relaxed);
    }
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
    fn describe_histogram(&self, _: KeyName, unit: Option<Unit>, _: SharedString) {
        assert_eq!(unit, Some(Unit::Seconds));
        self.describe();
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key, false))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key, true))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
        let name = format!("{} {}", key.name(), labels.join(","));
        let mut durations = self.durations.lock().unwrap();
        Histogram::from_arc(Arc::clone(durations.entry(name).or_default()))
    }
}

#[tokio::test]
async fn a_recorder_is_told_each_duration_once() {
    let (pools, held) = pools().await;
    let kept = Kept::default();
    metrics::with_local_recorder(&kept, || {
        let mut durations = Durations::new(&pools);
        durations.record();
        durations.record();
    });
    let stats = pools.get("orders").unwrap().stats();
    for (name, measured) in [
        ("db_pool_connect_seconds orders", stats.connect.buckets),
        ("db_pool_usage_seconds orders", stats.usage.buckets),
        ("db_pool_wait_seconds orders", stats.wait.buckets),
    ] {
        let durations = kept.durations.lock().unwrap();
        let Recorded(count, nanos) = &*durations[name];
        assert!(measured.count > 0, "{name}");
        assert_eq!(count.load(Relaxed), measured.count, "{name}");
        let off = Duration::from_nanos(nanos.load(Relaxed)).abs_diff(measured.sum);
        // One just below a bound is told as at it.
        let most = measured.sum / 64 + Duration::from_nanos(measured.count);
        assert!(off <= most, "{name}");
    }
    drop(held);
}

#[tokio::test]
async fn a_recorder_is_told_what_prometheus_would_scrape() {
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
    let described = page.matches("# TYPE ").count();
    assert_eq!(*kept.described.lock().unwrap(), described);
    drop(held);
}
