//! What an SDK of OpenTelemetry collects.

use std::collections::BTreeMap;
use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use pool_core::testing::MockManager;
use pool_core::{Buckets, Pool, Pools};

use crate::pools;

/// The values of the pool `orders`, by metric and state, with the unit.
fn of_orders(metric: &Metric) -> Vec<(String, i64)> {
    let name = |attributes: Vec<opentelemetry::KeyValue>, value: i64| {
        let of = |key: &str| {
            let found = attributes.iter().find(|pair| pair.key.as_str() == key);
            found.map(|pair| pair.value.to_string())
        };
        let state = of("db.client.connection.state").unwrap_or_default();
        let told = format!("{} {state}{}", metric.name(), metric.unit());
        (of("db.client.connection.pool.name").unwrap() == "orders").then_some((told, value))
    };
    match metric.data() {
        AggregatedMetrics::I64(MetricData::Sum(sum)) => {
            assert!(!sum.is_monotonic());
            let points = sum.data_points();
            points
                .filter_map(|point| name(point.attributes().cloned().collect(), point.value()))
                .collect()
        }
        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
            assert!(sum.is_monotonic());
            let points = sum.data_points();
            points
                .filter_map(|point| {
                    let value = i64::try_from(point.value()).unwrap();
                    name(point.attributes().cloned().collect(), value)
                })
                .collect()
        }
        AggregatedMetrics::F64(MetricData::Histogram(durations)) => {
            let points = durations.data_points();
            points
                .filter_map(|point| {
                    let count = i64::try_from(point.count()).unwrap();
                    let upto: Vec<_> = point.bounds().collect();
                    assert_eq!(upto, Buckets::BOUNDS.map(|bound| bound.as_secs_f64()));
                    name(point.attributes().cloned().collect(), count)
                })
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

/// How long the durations of the pool `orders` took together, by metric.
fn sum_of_orders(metric: &Metric) -> Option<(String, f64)> {
    let AggregatedMetrics::F64(MetricData::Histogram(durations)) = metric.data() else {
        return None;
    };
    let mut points = durations.data_points();
    let of_orders = points.find(|point| {
        let mut attributes = point.attributes();
        attributes.any(|pair| pair.value.as_str() == "orders")
    })?;
    Some((metric.name().to_owned(), of_orders.sum()))
}

/// What an SDK has collected of these pools after so many collections.
fn collected(pools: &Pools, collections: usize) -> ResourceMetrics {
    let told = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(told.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    pool_core::export::opentelemetry::observe(&provider.meter("test"), pools);
    for _ in 0..collections {
        provider.force_flush().unwrap();
    }
    told.get_finished_metrics().unwrap().pop().unwrap()
}

fn values_of_orders(collected: &ResourceMetrics) -> BTreeMap<String, i64> {
    let metrics = collected.scope_metrics().flat_map(ScopeMetrics::metrics);
    metrics.flat_map(of_orders).collect()
}

#[tokio::test]
async fn who_waits_and_whose_time_was_up_are_told_apart() {
    let orders = Pool::builder(MockManager::new()).min_size(0).max_size(1);
    let orders = orders.build().unwrap();
    let _held = orders.get().await.unwrap();
    for _ in 0..3 {
        orders.get_timeout(Duration::ZERO).await.unwrap_err();
    }
    let mut waiters = [(); 2].map(|()| Box::pin(orders.get()));
    for waiter in &mut waiters {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiter.as_mut().poll(&mut cx).is_pending());
    }
    let pools = Pools::new();
    pools.insert("orders", orders.clone());
    let values = values_of_orders(&collected(&pools, 1));
    let told = |name: &str| values[&format!("db.client.connection.{name}")];
    assert_eq!(told("pending_requests {request}"), 2);
    assert_eq!(told("timeouts {timeout}"), 3);
}

#[tokio::test]
async fn of_very_many_durations_a_share_is_told() {
    let orders = Pool::builder(MockManager::new()).build().unwrap();
    for _ in 0..250_000 {
        drop(orders.get().await.unwrap());
    }
    let pools = Pools::new();
    pools.insert("orders", orders);
    let uses = values_of_orders(&collected(&pools, 1))["db.client.connection.use_time s"];
    assert!((80_000..100_100).contains(&uses), "{uses}");
}

#[tokio::test]
async fn an_sdk_collects_the_names_units_and_values_of_the_conventions() {
    let (pools, held) = pools().await;
    // The second collection adds nothing: nothing has happened in between.
    let collected = collected(&pools, 2);
    let values = values_of_orders(&collected);
    let values: Vec<_> = values
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    assert_eq!(
        values,
        [
            ("db.client.connection.count idle{connection}", 1),
            ("db.client.connection.count used{connection}", 1),
            ("db.client.connection.create_time s", 2),
            ("db.client.connection.idle.max {connection}", 4),
            ("db.client.connection.idle.min {connection}", 2),
            ("db.client.connection.max {connection}", 4),
            ("db.client.connection.pending_requests {request}", 0),
            ("db.client.connection.timeouts {timeout}", 0),
            ("db.client.connection.use_time s", 2),
            ("db.client.connection.wait_time s", 1),
        ]
    );
    let stats = pools.get("orders").unwrap().stats();
    let metrics = collected.scope_metrics().flat_map(ScopeMetrics::metrics);
    let sums: BTreeMap<_, _> = metrics.filter_map(sum_of_orders).collect();
    for (name, measured) in [
        ("create_time", stats.connect.buckets.sum),
        ("use_time", stats.usage.buckets.sum),
        ("wait_time", stats.wait.buckets.sum),
    ] {
        let told = sums[&format!("db.client.connection.{name}")];
        let measured = measured.as_secs_f64();
        // One just below a bound is told as at it.
        assert!(
            (told - measured).abs() <= measured / 64.0,
            "{name}: {told} for {measured}"
        );
    }
    drop(held);
}
