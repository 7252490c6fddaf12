//! What an SDK of OpenTelemetry collects.

use std::collections::BTreeMap;

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

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
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_sdk_collects_the_names_units_and_values_of_the_conventions() {
    let (pools, held) = pools().await;
    let told = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(told.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    pool_core::export::opentelemetry::observe(&provider.meter("test"), &pools);

    provider.force_flush().unwrap();
    let told = told.get_finished_metrics().unwrap();
    let scopes = told.iter().flat_map(ResourceMetrics::scope_metrics);
    let values: BTreeMap<_, _> = scopes
        .flat_map(ScopeMetrics::metrics)
        .flat_map(of_orders)
        .collect();
    let values: Vec<_> = values
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    assert_eq!(
        values,
        [
            ("db.client.connection.count idle{connection}", 1),
            ("db.client.connection.count used{connection}", 1),
            ("db.client.connection.idle.max {connection}", 4),
            ("db.client.connection.idle.min {connection}", 2),
            ("db.client.connection.max {connection}", 4),
            ("db.client.connection.pending_requests {request}", 0),
            ("db.client.connection.timeouts {timeout}", 0),
        ]
    );
    drop(held);
}
