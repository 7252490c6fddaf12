//! Statistics in the text format of Prometheus, version 0.0.4.
//!
//! Serve [`render`] under `/metrics` with [`CONTENT_TYPE`]; each pool is told apart by the label
//! `pool`. Durations are in seconds, and histograms rather than quantiles: those of several
//! processes can be added, and `histogram_quantile` computes the quantiles of any window.
//!
//! ```
//! use pool_core::{Pools, export::prometheus};
//!
//! let pools = Pools::new();
//! let body = prometheus::render(&pools);
//! assert!(body.starts_with("# HELP db_pool_health_status "));
//! ```

use std::fmt::Write;

use super::figures::{FIGURES, Figure, Read};
use crate::health::Health;
use crate::registry::Pools;
use crate::stats::Buckets;

/// The content type of what [`render`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures of all pools, each under its name in the registry.
pub fn render(pools: &Pools) -> String {
    let pools = pools.all();
    render_each(pools.iter().map(|(name, pool)| (name, pool.health())))
}

/// The figures of pools that are in no registry: names, which must differ, and what
/// [`Pool::health`](crate::Pool::health) says.
pub fn render_each<N: AsRef<str>>(pools: impl IntoIterator<Item = (N, Health)>) -> String {
    let pools: Vec<_> = pools
        .into_iter()
        .map(|(name, health)| (format!("pool=\"{}\"", escaped(name.as_ref())), health))
        .collect();
    // About what a pool takes; a page that grows from nothing is copied a dozen times.
    let mut page = String::with_capacity(4096 + pools.len() * 12_288);
    for figure in FIGURES {
        write_figure(&mut page, figure, &pools);
    }
    page
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

fn write_figure(page: &mut String, figure: &Figure, pools: &[(String, Health)]) {
    let Figure { name, help, read } = figure;
    let kind = match read {
        Read::Gauge(_) | Read::Gauges(..) => "gauge",
        Read::Counter(_) | Read::Counters(..) => "counter",
        Read::Histogram(_) => "histogram",
    };
    let mut write = |line: std::fmt::Arguments<'_>| {
        page.write_fmt(line)
            .expect("writing to a string cannot fail");
    };
    write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    for (pool, health) in pools {
        let stats = &health.stats;
        match read {
            Read::Gauge(read) => write(format_args!("{name}{{{pool}}} {}\n", read(health))),
            Read::Counter(read) => write(format_args!("{name}{{{pool}}} {}\n", read(stats))),
            Read::Gauges(label, read) => {
                for (value, number) in read(health) {
                    write(format_args!(
                        "{name}{{{pool},{label}=\"{value}\"}} {number}\n"
                    ));
                }
            }
            Read::Counters(label, read) => {
                for (value, number) in read(stats) {
                    write(format_args!(
                        "{name}{{{pool},{label}=\"{value}\"}} {number}\n"
                    ));
                }
            }
            Read::Histogram(read) => {
                let Buckets { count, sum, within } = read(stats).buckets;
                for (bound, within) in Buckets::BOUNDS.iter().zip(within) {
                    let bound = bound.as_secs_f64();
                    write(format_args!(
                        "{name}_bucket{{{pool},le=\"{bound}\"}} {within}\n"
                    ));
                }
                let sum = sum.as_secs_f64();
                write(format_args!(
                    "{name}_bucket{{{pool},le=\"+Inf\"}} {count}\n\
                     {name}_sum{{{pool}}} {sum}\n{name}_count{{{pool}}} {count}\n"
                ));
            }
        }
    }
}
