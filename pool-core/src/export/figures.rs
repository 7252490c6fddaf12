//! What is exported of a pool: for each figure its name, what it means, and how it is read.

use crate::health::{Health, HealthStatus};
use crate::policy::breaker::BreakerState;
use crate::stats::{LatencySummary, Stats};

/// One figure of every pool.
pub(crate) struct Figure {
    /// Its name, the unit included: seconds, or none.
    pub(crate) name: &'static str,
    /// What it means, in a sentence.
    pub(crate) help: &'static str,
    pub(crate) read: Read,
}

/// How a figure is read; what kind it is follows.
pub(crate) enum Read {
    /// It rises and falls.
    Gauge(fn(&Health) -> f64),
    /// It rises and falls, and there is one for each value of a label.
    Gauges(&'static str, fn(&Health) -> Vec<(&'static str, f64)>),
    /// It only ever rises.
    Counter(fn(&Stats) -> u64),
    /// It only ever rises, and there is one for each value of a label.
    Counters(&'static str, fn(&Stats) -> Vec<(&'static str, u64)>),
    /// Durations in buckets.
    Histogram(fn(&Stats) -> &LatencySummary),
}

const fn figure(name: &'static str, help: &'static str, read: Read) -> Figure {
    Figure { name, help, read }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53, far above any size"
)]
fn size(size: usize) -> f64 {
    size as f64
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// One for the state that is, zero for those that could be.
fn states<T: PartialEq + Copy, const N: usize>(
    now: T,
    all: [(T, &'static str); N],
) -> Vec<(&'static str, f64)> {
    all.map(|(state, name)| (name, flag(state == now))).to_vec()
}

fn by_state(stats: &Stats) -> Vec<(&'static str, f64)> {
    vec![
        ("active", size(stats.active)),
        ("idle", size(stats.idle)),
        ("opening", size(stats.opening)),
    ]
}

fn breaker(state: BreakerState) -> Vec<(&'static str, f64)> {
    use BreakerState::{Closed, Disabled, ForcedOpen, HalfOpen, Open};
    states(
        state,
        [Closed, Open, HalfOpen, ForcedOpen, Disabled].map(|state| (state, state.as_str())),
    )
}

fn health(status: HealthStatus) -> Vec<(&'static str, f64)> {
    states(
        status,
        [
            (HealthStatus::Healthy, "healthy"),
            (HealthStatus::Degraded, "degraded"),
            (HealthStatus::Unhealthy, "unhealthy"),
        ],
    )
}

fn closed(stats: &Stats) -> Vec<(&'static str, u64)> {
    let counts = stats.closed_by.iter();
    counts
        .map(|(reason, count)| (reason.as_str(), count))
        .collect()
}

fn timeouts(stats: &Stats) -> Vec<(&'static str, u64)> {
    vec![
        ("connect", stats.connect_timeouts),
        ("validate", stats.validate_timeouts),
        ("recycle", stats.recycle_timeouts),
    ]
}

/// All of them, in the order in which somebody would read them.
#[rustfmt::skip]
pub(crate) static FIGURES: &[Figure] = &[
    figure("db_pool_health_status", "Whether the pool can do its work: 1 for the status it has.",
        Read::Gauges("status", |h| health(h.status))),
    figure("db_pool_breaker_state", "What the circuit breaker is doing: 1 for the state it is in.",
        Read::Gauges("state", |h| breaker(h.stats.breaker))),
    figure("db_pool_connections", "Connections there are, by state.",
        Read::Gauges("state", |h| by_state(&h.stats))),
    figure("db_pool_min_size", "The least connections the pool keeps.",
        Read::Gauge(|h| size(h.stats.min_size))),
    figure("db_pool_max_size", "The most connections the pool may have.",
        Read::Gauge(|h| size(h.stats.max_size))),
    figure("db_pool_utilisation_ratio", "The share of max_size that is active, from 0 to 1.",
        Read::Gauge(|h| h.stats.utilisation())),
    figure("db_pool_waiting", "Checkouts that wait now.",
        Read::Gauge(|h| size(h.stats.waiting))),
    figure("db_pool_oldest_waiter_seconds", "For how long the checkout has waited that has waited longest.",
        Read::Gauge(|h| h.stats.oldest_waiter.as_secs_f64())),
    figure("db_pool_overloaded", "1 while the queue does not drain.",
        Read::Gauge(|h| flag(h.stats.overloaded))),
    figure("db_pool_peak_active", "The most connections that were active at the same time.",
        Read::Gauge(|h| size(h.stats.peak_active))),
    figure("db_pool_peak_waiting", "The most checkouts that waited at the same time.",
        Read::Gauge(|h| size(h.stats.peak_waiting))),
    figure("db_pool_acquired_total", "Checkouts served.",
        Read::Counter(|s| s.acquired)),
    figure("db_pool_released_total", "Connections given back, detached or lost by their holders.",
        Read::Counter(|s| s.released)),
    figure("db_pool_timed_out_total", "Checkouts that failed because their time was up.",
        Read::Counter(|s| s.timed_out)),
    figure("db_pool_cancelled_total", "Checkouts whose callers went away while they waited.",
        Read::Counter(|s| s.cancelled)),
    figure("db_pool_refused_total", "Checkouts refused at once because max_waiting others waited.",
        Read::Counter(|s| s.refused)),
    figure("db_pool_shed_total", "Checkouts shed from a queue that did not drain.",
        Read::Counter(|s| s.shed)),
    figure("db_pool_rejected_total", "Checkouts told at once that connects fail.",
        Read::Counter(|s| s.rejected)),
    figure("db_pool_slow_total", "Checkouts that waited for longer than slow_acquire_threshold.",
        Read::Counter(|s| s.slow)),
    figure("db_pool_connects_total", "Connections opened.",
        Read::Counter(|s| s.connects)),
    figure("db_pool_connect_failures_total", "Attempts to open a connection that failed.",
        Read::Counter(|s| s.connect_failures)),
    figure("db_pool_timeouts_total", "Connects, validations and recycles that took too long.",
        Read::Counters("stage", timeouts)),
    figure("db_pool_breaker_opened_total", "How often the circuit breaker has opened.",
        Read::Counter(|s| s.breaker_opened)),
    figure("db_pool_breaker_changes_total", "How often the circuit breaker has changed, to half-open and back included.",
        Read::Counter(|s| s.breaker_changes)),
    figure("db_pool_closed_total", "Connections closed, by reason.",
        Read::Counters("reason", closed)),
    figure("db_pool_detached_total", "Connections taken out of the pool by their holders.",
        Read::Counter(|s| s.detached)),
    figure("db_pool_leaked_total", "Connections held for longer than leak_threshold.",
        Read::Counter(|s| s.leaked)),
    figure("db_pool_reclaimed_total", "Connections whose slots were taken back after reclaim_threshold.",
        Read::Counter(|s| s.reclaimed)),
    figure("db_pool_generations_total", "How often all connections were to be replaced.",
        Read::Counter(|s| s.generation)),
    figure("db_pool_scaled_up_total", "How often auto_scaling kept more connections open.",
        Read::Counter(|s| s.scaled_up)),
    figure("db_pool_scaled_down_total", "How often auto_scaling kept fewer connections open.",
        Read::Counter(|s| s.scaled_down)),
    figure("db_pool_wait_seconds", "How long checkouts took that were not served at once: nothing was idle, or what was had to be validated, recycled or closed first.",
        Read::Histogram(|s| &s.wait)),
    figure("db_pool_usage_seconds", "How long connections were held, estimated from samples.",
        Read::Histogram(|s| &s.usage)),
    figure("db_pool_connect_seconds", "How long opening a connection took.",
        Read::Histogram(|s| &s.connect)),
    figure("db_pool_validate_seconds", "How long validating a connection took.",
        Read::Histogram(|s| &s.validate)),
    figure("db_pool_recycle_seconds", "How long recycling a connection took.",
        Read::Histogram(|s| &s.recycle)),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::export::prometheus::render_each;
    use crate::stats::{Buckets, ClosedBy};

    fn times(count: u64) -> LatencySummary {
        let mut buckets = Buckets::default();
        // A quarter of a second each: within the bounds from half a second.
        buckets.add(250_000_000, count);
        buckets.sum = Duration::from_millis(250) * u32::try_from(count).unwrap();
        LatencySummary {
            buckets,
            ..LatencySummary::default()
        }
    }

    /// Statistics of which no two have the same value.
    fn distinct() -> Stats {
        Stats {
            active: 1,
            idle: 2,
            opening: 3,
            min_size: 4,
            max_size: 5,
            waiting: 6,
            oldest_waiter: Duration::from_millis(7_500),
            overloaded: true,
            peak_active: 8,
            peak_waiting: 9,
            acquired: 10,
            released: 11,
            timed_out: 12,
            cancelled: 35,
            refused: 13,
            shed: 14,
            rejected: 15,
            slow: 16,
            connects: 17,
            connect_failures: 18,
            connect_timeouts: 19,
            validate_timeouts: 20,
            recycle_timeouts: 21,
            breaker: BreakerState::HalfOpen,
            breaker_opened: 22,
            breaker_changes: 23,
            closed_by: ClosedBy::from_counts(|reason| 100 + reason as u64),
            detached: 24,
            leaked: 25,
            reclaimed: 26,
            generation: 27,
            scaled_up: 28,
            scaled_down: 29,
            wait: times(30),
            usage: times(31),
            connect: times(32),
            validate: times(33),
            recycle: times(34),
            ..Stats::default()
        }
    }

    const TOLD: &str = r#"health_status{status="healthy"} 0
health_status{status="degraded"} 1
health_status{status="unhealthy"} 0
breaker_state{state="closed"} 0
breaker_state{state="open"} 0
breaker_state{state="half-open"} 1
breaker_state{state="forced open"} 0
breaker_state{state="disabled"} 0
connections{state="active"} 1
connections{state="idle"} 2
connections{state="opening"} 3
min_size 4
max_size 5
utilisation_ratio 0.2
waiting 6
oldest_waiter_seconds 7.5
overloaded 1
peak_active 8
peak_waiting 9
acquired_total 10
released_total 11
timed_out_total 12
cancelled_total 35
refused_total 13
shed_total 14
rejected_total 15
slow_total 16
connects_total 17
connect_failures_total 18
timeouts_total{stage="connect"} 19
timeouts_total{stage="validate"} 20
timeouts_total{stage="recycle"} 21
breaker_opened_total 22
breaker_changes_total 23
closed_total{reason="broken"} 100
closed_total{reason="invalidated"} 101
closed_total{reason="validation failed"} 102
closed_total{reason="recycling failed"} 103
closed_total{reason="older than max_lifetime"} 104
closed_total{reason="idle for idle_timeout"} 105
closed_total{reason="not needed for the load"} 106
closed_total{reason="served max_uses checkouts"} 107
closed_total{reason="of an earlier generation"} 108
closed_total{reason="not retained"} 109
closed_total{reason="more than max_size"} 110
closed_total{reason="pool closed"} 111
closed_total{reason="reclaimed"} 112
closed_total{reason="abandoned"} 113
detached_total 24
leaked_total 25
reclaimed_total 26
generations_total 27
scaled_up_total 28
scaled_down_total 29
wait_seconds_bucket{le="0.1"} 0
wait_seconds_bucket{le="0.5"} 30
wait_seconds_bucket{le="+Inf"} 30
wait_seconds_sum 7.5
wait_seconds_count 30
usage_seconds_bucket{le="0.1"} 0
usage_seconds_bucket{le="0.5"} 31
usage_seconds_bucket{le="+Inf"} 31
usage_seconds_sum 7.75
usage_seconds_count 31
connect_seconds_bucket{le="0.1"} 0
connect_seconds_bucket{le="0.5"} 32
connect_seconds_bucket{le="+Inf"} 32
connect_seconds_sum 8
connect_seconds_count 32
validate_seconds_bucket{le="0.1"} 0
validate_seconds_bucket{le="0.5"} 33
validate_seconds_bucket{le="+Inf"} 33
validate_seconds_sum 8.25
validate_seconds_count 33
recycle_seconds_bucket{le="0.1"} 0
recycle_seconds_bucket{le="0.5"} 34
recycle_seconds_bucket{le="+Inf"} 34
recycle_seconds_sum 8.5
recycle_seconds_count 34
"#;

    #[test]
    fn each_figure_tells_what_its_name_says() {
        let health = Health {
            status: HealthStatus::Degraded,
            reasons: Vec::new(),
            stats: distinct(),
            last_connect_error: None,
        };
        let page = render_each([("p", health)]);
        let shown = |line: &&str| {
            let is_edge = ["\"0.1\"", "\"0.5\"", "+Inf"]
                .iter()
                .any(|le| line.contains(le));
            !line.starts_with('#') && (is_edge || !line.contains("_bucket"))
        };
        let told: String = page
            .lines()
            .filter(shown)
            .map(|line| line.replacen("db_pool_", "", 1) + "\n")
            .map(|line| {
                line.replace("{pool=\"p\",", "{")
                    .replace("{pool=\"p\"}", "")
            })
            .collect();
        assert_eq!(told, TOLD);
    }
}
