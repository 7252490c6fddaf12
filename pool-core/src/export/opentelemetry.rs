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
//!
//! Each has the attribute `db.client.connection.pool.name`. The conventions' three histograms
//! (`create_time`, `wait_time`, `use_time`) are not told: OpenTelemetry cannot read a histogram
//! that somebody else has counted, and a checkout is not to pay for a second one. They are in
//! [`prometheus`](super::prometheus).
//!
//! [conventions]: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use crate::registry::Pools;
use crate::stats::Stats;

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
                tell(&source, observer, |stats| signed(read(stats)));
            })
            .build();
    }
    let source = pools.clone();
    let _registered = meter
        .u64_observable_counter("db.client.connection.timeouts")
        .with_unit("{timeout}")
        .with_description("The number of connection timeouts that have occurred trying to obtain a connection from the pool.")
        .with_callback(move |observer| tell(&source, observer, |stats| stats.timed_out))
        .build();
}

fn tell<T>(pools: &Pools, observer: &dyn AsyncInstrument<T>, read: impl Fn(&Stats) -> T) {
    for (name, stats) in pools.stats() {
        observer.observe(read(&stats), &[KeyValue::new(POOL, name)]);
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
