//! Statistics for the facade [`metrics`], whatever recorder the application installs.
//!
//! The facade is told rather than asks: call [`record`] each few seconds, or before the recorder is
//! read. Names and labels are those of [`prometheus`](super::prometheus). Its histograms are not
//! told: the facade takes durations one by one, and a checkout is not to pay for that.

use ::metrics::{Label, counter, describe_counter, describe_gauge, gauge};

use super::figures::{FIGURES, Figure, Read};
use crate::registry::Pools;

/// Tells the recorder what each figure means; once, after it is installed.
pub fn describe() {
    for Figure { name, help, read } in FIGURES {
        match read {
            Read::Gauge(_) | Read::Gauges(..) => describe_gauge!(*name, *help),
            Read::Counter(_) | Read::Counters(..) => describe_counter!(*name, *help),
            Read::Histogram(_) => {}
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
