//! Statistics by the names of OpenTelemetry's [conventions for connection pools][conventions].
//!
//! | metric | what it is here |
//! | --- | --- |
//! | `db.client.connection.count` | `active` (state `used`) and `idle`; those being opened are neither |
//! | `db.client.connection.idle.max` | `max_size` |
//! | `db.client.connection.idle.min` | `min_size` |
//! | `db.client.connection.max` | `max_size` |
//! | `db.client.connection.pending_requests` | `waiting` |
//! | `db.client.connection.timeouts` | `timed_out` |
//! | `db.client.connection.create_time` | `connect` |
//! | `db.client.connection.wait_time` | `wait`, of those that were not served at once |
//! | `db.client.connection.use_time` | `usage` |
//!
//! Each has the attribute `db.client.connection.pool.name`.
//!
//! A checkout pays nothing for it. OpenTelemetry cannot read a histogram that somebody else has
//! counted, so at each collection durations are recorded that stand for those the pool has measured
//! since the last: as many within each of [`Buckets::BOUNDS`](crate::Buckets::BOUNDS), and as
//! long together. Of more than 100,000 in one collection a share is recorded, the same of each
//! bucket but never none: then the quantiles still hold, while the count is too low
//! ([`prometheus`](super::prometheus) always has it).
//!
//! [conventions]: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter};

use super::additions::{Additions, Durations};
use crate::registry::Pools;
use crate::stats::{Buckets, Stats};

const POOL: &str = "db.client.connection.pool.name";
const STATE: &str = "db.client.connection.state";

/// What is told besides the count by state: name, unit, description, and where it is read.
type Size = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Stats) -> usize,
);

const SIZES: [Size; 4] = [
    (
        "db.client.connection.idle.max",
        "{connection}",
        "The maximum number of idle open connections allowed.",
        |stats| stats.max_size,
    ),
    (
        "db.client.connection.idle.min",
        "{connection}",
        "The minimum number of idle open connections allowed.",
        |stats| stats.min_size,
    ),
    (
        "db.client.connection.max",
        "{connection}",
        "The maximum number of open connections allowed.",
        |stats| stats.max_size,
    ),
    (
        "db.client.connection.pending_requests",
        "{request}",
        "The number of current pending requests for an open connection.",
        |stats| stats.waiting,
    ),
];

/// Name, description, and where it is read.
type Time = (&'static str, &'static str, Durations);

const TIMES: [Time; 3] = [
    (
        "db.client.connection.create_time",
        "The time it took to create a new connection.",
        |stats| &stats.connect,
    ),
    (
        "db.client.connection.wait_time",
        "The time it took to obtain an open connection from the pool.",
        |stats| &stats.wait,
    ),
    (
        "db.client.connection.use_time",
        "The time between borrowing a connection and returning it to the pool.",
        |stats| &stats.usage,
    ),
];

/// So many durations of one kind are recorded in one collection, at most.
const MOST_RECORDED: u64 = 100_000;

/// Makes the instruments, which read the registry's pools whenever the meter collects.
///
/// Pools that are added or removed later are told or no longer told. The registry lives as long as
/// the meter's provider.
pub fn observe(meter: &Meter, pools: &Pools) {
    let source = pools.clone();
    let _registered = meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_unit("{connection}")
        .with_description("The number of connections that are currently in state described by the state attribute.")
        .with_callback(move |observer| {
            for (name, stats) in source.stats() {
                for (state, number) in [("idle", stats.idle), ("used", stats.active)] {
                    let pool = KeyValue::new(POOL, name.clone());
                    observer.observe(signed(number), &[pool, KeyValue::new(STATE, state)]);
                }
            }
        })
        .build();
    for (name, unit, description, read) in SIZES {
        let source = pools.clone();
        let _registered = meter
            .i64_observable_up_down_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                tell(&source.stats(), observer, |stats| signed(read(stats)));
            })
            .build();
    }
    let source = pools.clone();
    let times = times(meter);
    let told = Mutex::new(Additions::default());
    let _registered = meter
        .u64_observable_counter("db.client.connection.timeouts")
        .with_unit("{timeout}")
        .with_description("The number of connection timeouts that have occurred trying to obtain a connection from the pool.")
        .with_callback(move |observer| {
            let pools = source.stats();
            tell(&pools, observer, |stats| stats.timed_out);
            // Whatever is recorded by a callback is part of the same collection.
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.tell(pools, &times, |pool, histogram, new| {
                record(histogram, &[KeyValue::new(POOL, pool.to_owned())], new);
            });
        })
        .build();
}

fn times(meter: &Meter) -> Vec<(Histogram<f64>, Durations)> {
    let instrument = |(name, description, read): Time| {
        let bounds = Buckets::BOUNDS.iter().map(Duration::as_secs_f64);
        let histogram = meter
            .f64_histogram(name)
            .with_unit("s")
            .with_description(description)
            .with_boundaries(bounds.collect());
        (histogram.build(), read)
    };
    TIMES.into_iter().map(instrument).collect()
}

fn record(histogram: &Histogram<f64>, attributes: &[KeyValue], new: &[(f64, u64)]) {
    let all: u64 = new.iter().map(|(_, times)| times).sum();
    let share = all.div_ceil(MOST_RECORDED).max(1);
    for &(seconds, times) in new {
        for _ in 0..times.div_ceil(share) {
            histogram.record(seconds, attributes);
        }
    }
}

fn tell<T>(
    pools: &BTreeMap<String, Stats>,
    observer: &dyn AsyncInstrument<T>,
    read: impl Fn(&Stats) -> T,
) {
    for (name, stats) in pools {
        observer.observe(read(stats), &[KeyValue::new(POOL, name.clone())]);
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
