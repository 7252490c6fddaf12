//! Statistics for the facade [`metrics`], whatever recorder the application installs.
//!
//! The facade is told rather than asks: call [`record`] each few seconds, or before the recorder is
//! read. Names and labels are those of [`prometheus`](super::prometheus). Durations are told by
//! [`Durations`], which knows what it has told.

use ::metrics::{
    Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::additions::Additions;
use super::figures::{FIGURES, Figure, Read};
use crate::registry::Pools;

/// Tells the recorder what each figure means; once, after it is installed.
pub fn describe() {
    for Figure { name, help, read } in FIGURES {
        match read {
            Read::Gauge(_) | Read::Gauges(..) => describe_gauge!(*name, *help),
            Read::Counter(_) | Read::Counters(..) => describe_counter!(*name, *help),
            Read::Histogram(_) => describe_histogram!(*name, Unit::Seconds, *help),
        }
    }
}

/// Tells the recorder the figures of all pools at this moment.
pub fn record(pools: &Pools) {
    for (pool, any) in pools.all() {
        let health = any.health();
        let stats = &health.stats;
        let of = || Label::new("pool", pool.clone());
        for Figure { name, read, .. } in FIGURES {
            match read {
                Read::Gauge(read) => gauge!(*name, vec![of()]).set(read(&health)),
                Read::Counter(read) => counter!(*name, vec![of()]).absolute(read(stats)),
                Read::Gauges(label, read) => {
                    for (value, number) in read(&health) {
                        gauge!(*name, vec![of(), Label::new(*label, value)]).set(number);
                    }
                }
                Read::Counters(label, read) => {
                    for (value, number) in read(stats) {
                        counter!(*name, vec![of(), Label::new(*label, value)]).absolute(number);
                    }
                }
                Read::Histogram(_) => {}
            }
        }
    }
}

/// Tells the recorder durations, in seconds: of waits, uses, connects, validations and recycles.
///
/// A checkout pays nothing for it: what is told is what the pool's own histograms have gained since
/// the last call, for each bucket ([`Buckets::BOUNDS`](crate::Buckets::BOUNDS)) as many
/// durations within it as were measured, together as long as those. Make one for a registry and keep
/// it.
///
/// ```
/// use pool_core::{Pools, export::metrics::{self, Durations}};
///
/// let pools = Pools::new();
/// metrics::describe();
/// let mut durations = Durations::new(&pools);
/// // then, each few seconds:
/// metrics::record(&pools);
/// durations.record();
/// ```
#[derive(Debug)]
pub struct Durations {
    pools: Pools,
    told: Additions,
}

impl Durations {
    /// For the pools of a registry; the first call of [`record`](Self::record) tells all durations
    /// since the pools were made.
    pub fn new(pools: &Pools) -> Self {
        Self {
            pools: pools.clone(),
            told: Additions::default(),
        }
    }

    /// Tells the durations that have come in since the last call.
    pub fn record(&mut self) {
        let named: Vec<_> = FIGURES
            .iter()
            .filter_map(|figure| match figure.read {
                Read::Histogram(read) => Some((figure.name, read)),
                _ => None,
            })
            .collect();
        let pools = self.pools.stats();
        self.told.tell(pools, &named, |pool, name, new| {
            let histogram = histogram!(*name, vec![Label::new("pool", pool.to_owned())]);
            for &(seconds, times) in new {
                histogram.record_many(seconds, usize::try_from(times).unwrap_or(usize::MAX));
            }
        });
    }
}
