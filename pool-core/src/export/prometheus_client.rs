//! Statistics as a collector for a registry of the crate [`prometheus_client`].
//!
//! For applications that have such a registry; names, labels and values are those of
//! [`prometheus`](super::prometheus), read at each scrape.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;

use super::figures::{FIGURES, Figure, Read};
use crate::health::Health;
use crate::registry::Pools;
use crate::stats::Buckets;

type Labels = [(&'static str, String)];
type NoLabels = [(&'static str, &'static str); 0];

/// Tells the figures of all pools of a registry.
///
/// ```
/// use pool_core::{Pools, export::prometheus_client::PoolsCollector};
/// use prometheus_client::registry::Registry;
///
/// let pools = Pools::new();
/// let mut registry = Registry::default();
/// registry.register_collector(Box::new(PoolsCollector::new(&pools)));
/// ```
#[derive(Debug)]
pub struct PoolsCollector {
    pools: Pools,
}

impl PoolsCollector {
    /// A collector of these pools, and of those that are added later.
    pub fn new(pools: &Pools) -> Self {
        Self {
            pools: pools.clone(),
        }
    }
}

impl Collector for PoolsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pools = self.pools.all().into_iter();
        let pools: Vec<_> = pools.map(|(name, pool)| (name, pool.health())).collect();
        for Figure { name, help, read } in FIGURES {
            let kind = match read {
                Read::Gauge(_) | Read::Gauges(..) => MetricType::Gauge,
                Read::Counter(_) | Read::Counters(..) => MetricType::Counter,
                Read::Histogram(_) => MetricType::Histogram,
            };
            // The encoder ends counters with `_total` itself.
            let name = name.strip_suffix("_total").unwrap_or(name);
            let mut encoder = encoder.encode_descriptor(name, help, None, kind)?;
            for (pool, health) in &pools {
                encode(&mut encoder, read, pool, health)?;
            }
        }
        Ok(())
    }
}

fn encode(
    encoder: &mut MetricEncoder<'_>,
    read: &Read,
    pool: &str,
    health: &Health,
) -> fmt::Result {
    let stats = &health.stats;
    let one = [("pool", pool.to_owned())];
    let each = |label, value: &str| [("pool", pool.to_owned()), (label, value.to_owned())];
    let mut gauge =
        |labels: &Labels, number: f64| encoder.encode_family(&labels)?.encode_gauge(&number);
    match read {
        Read::Gauge(read) => gauge(&one, read(health)),
        Read::Gauges(label, read) => read(health)
            .into_iter()
            .try_for_each(|(value, number)| gauge(&each(label, value), number)),
        Read::Counter(read) => counter(encoder, &one, read(stats)),
        Read::Counters(label, read) => read(stats)
            .into_iter()
            .try_for_each(|(value, number)| counter(encoder, &each(label, value), number)),
        Read::Histogram(read) => {
            let Buckets { count, sum, within } = read(stats).buckets;
            let bounds = Buckets::BOUNDS.iter().map(Duration::as_secs_f64);
            let upto = bounds.zip(within).chain([(f64::INFINITY, count)]);
            // The encoder adds them up itself.
            let buckets: Vec<_> = upto
                .scan(0, |below, (bound, upto)| {
                    let inside = upto - *below;
                    *below = upto;
                    Some((bound, inside))
                })
                .collect();
            encoder.encode_family(&one)?.encode_histogram::<NoLabels>(
                sum.as_secs_f64(),
                count,
                &buckets,
                None,
            )
        }
    }
}

fn counter(encoder: &mut MetricEncoder<'_>, labels: &Labels, number: u64) -> fmt::Result {
    encoder
        .encode_family(&labels)?
        .encode_counter::<NoLabels, _, f64>(&number, None)
}
