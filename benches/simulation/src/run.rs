//! One load on one real pool, in simulated time: the clock jumps whenever nothing is left to do.

use std::convert::Infallible;
use std::time::Duration;

use pool_core::{Manager, Pool, PoolBuilder, Stats};
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use crate::load::Load;

/// How long a connect takes.
const CONNECT: Duration = Duration::from_millis(50);
/// How long a use takes on average; each is drawn from an exponential distribution.
const USE: Duration = Duration::from_millis(200);
/// Arrivals come in steps of this.
const STEP: Duration = Duration::from_millis(10);
/// Of which a second has so many.
const STEPS: u32 = 100;
/// The most connections of every pool here.
pub(crate) const MOST: usize = 64;

/// How the number of connections is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sizing {
    /// `auto_scaling`, from 2 to 64.
    Scaled,
    /// Without: opened when somebody waits, closed after `idle_timeout`.
    OnDemand,
    /// Always 64: what the busiest load needs.
    Fixed,
}

impl Sizing {
    pub(crate) const ALL: [Self; 3] = [Self::Scaled, Self::OnDemand, Self::Fixed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scaled => "auto-scaling, 2 to 64",
            Self::OnDemand => "on demand, 2 to 64",
            Self::Fixed => "fixed, 64",
        }
    }

    fn of(self, builder: PoolBuilder<Nothing>) -> PoolBuilder<Nothing> {
        let builder = builder.max_size(MOST).keepalive(None);
        match self {
            Self::Scaled => builder.min_size(2).auto_scaling(true),
            Self::OnDemand => builder.min_size(2),
            Self::Fixed => builder.min_size(MOST),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) load: String,
    pub(crate) sizing: Sizing,
    pub(crate) checkouts: u64,
    pub(crate) timed_out: u64,
    /// Connections there were on average.
    pub(crate) mean_size: f64,
    /// The share of checkouts that found none idle.
    pub(crate) waited: f64,
    /// In milliseconds, all checkouts taken together.
    pub(crate) wait_p99: f64,
    pub(crate) wait_max: f64,
    pub(crate) connects: u64,
    pub(crate) scaled_up: u64,
    pub(crate) scaled_down: u64,
    /// Steps down that a step up followed within one `scale_interval`, though no more was asked for.
    pub(crate) reversals: usize,
    /// The longest time in seconds that more than 80 % were in use while more could be opened.
    pub(crate) longest_lag: usize,
    /// The size in each second.
    pub(crate) sizes: Vec<usize>,
    /// What was in use in each second.
    pub(crate) used: Vec<usize>,
}

/// Connections to nothing.
#[derive(Debug)]
struct Nothing;

impl Manager for Nothing {
    type Connection = ();
    type Error = Infallible;

    async fn connect(&self) -> Result<(), Infallible> {
        sleep(CONNECT).await;
        Ok(())
    }

    async fn validate(&self, (): &mut ()) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Lives through `load` with a pool of that sizing. The same seed gives the same callers.
pub(crate) fn run(load: &Load, sizing: Sizing, seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("needs nothing that can be missing");
    runtime.block_on(live(load, sizing, seed))
}

async fn live(load: &Load, sizing: Sizing, seed: u64) -> Outcome {
    let pool = sizing.of(Pool::builder(Nothing)).connect().await;
    let pool = pool.expect("connects do not fail");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut sizes, mut used) = (Vec::new(), Vec::new());
    let mut watch = Watch::default();
    let mut next = Instant::now();
    for rate in &load.rates {
        for _ in 0..STEPS {
            for _ in 0..poisson(&mut random, rate * STEP.as_secs_f64()) {
                let (pool, time) = (pool.clone(), USE.mul_f64(-(1.0 - random.f64()).ln()));
                tokio::spawn(async move {
                    if let Ok(held) = pool.get().await {
                        sleep(time).await;
                        drop(held);
                    }
                });
            }
            next += STEP;
            sleep_until(next).await;
        }
        let stats = pool.stats();
        sizes.push(stats.total);
        used.push(stats.active);
        watch.look(*rate, &stats);
    }
    let stats = pool.stats();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let waits = stats.wait.buckets;
    // What was looked at more closely, but found at once, took less than the first bound.
    let waited = waits.count - waits.within[0];
    Outcome {
        load: load.name.clone(),
        sizing,
        checkouts: stats.acquired,
        timed_out: stats.timed_out,
        mean_size: mean(&sizes),
        waited: share(waited, stats.acquired),
        wait_p99: ms(stats.wait.p99),
        wait_max: ms(stats.wait.max),
        connects: stats.connects,
        scaled_up: stats.scaled_up,
        scaled_down: stats.scaled_down,
        reversals: watch.reversals,
        longest_lag: watch.longest_lag,
        sizes,
        used,
    }
}

/// Watches for swinging and for lag, second by second.
#[derive(Debug, Default)]
struct Watch {
    rates: Vec<f64>,
    steps: (u64, u64),
    /// The last step down: in which second, and the highest rate of the interval before.
    down: Option<(usize, f64)>,
    reversals: usize,
    lag: usize,
    longest_lag: usize,
}

impl Watch {
    /// The default of `scale_interval`, in seconds.
    const INTERVAL: usize = 60;

    fn look(&mut self, rate: f64, stats: &Stats) {
        self.rates.push(rate);
        let second = self.rates.len();
        if stats.scaled_up > self.steps.0 {
            let turned = self
                .down
                .is_some_and(|(at, before)| second - at < Self::INTERVAL && rate <= before);
            self.reversals += usize::from(turned);
        }
        if stats.scaled_down > self.steps.1 {
            let interval = &self.rates[second.saturating_sub(Self::INTERVAL)..];
            self.down = Some((second, interval.iter().copied().fold(0.0, f64::max)));
        }
        self.steps = (stats.scaled_up, stats.scaled_down);
        let is_short = stats.active * 10 > stats.total * 8 && stats.total < MOST;
        self.lag = if is_short { self.lag + 1 } else { 0 };
        self.longest_lag = self.longest_lag.max(self.lag);
    }
}

/// How many come when `mean` do on average (Knuth's method, for small means).
fn poisson(random: &mut fastrand::Rng, mean: f64) -> u32 {
    let limit = (-mean).exp();
    let mut number = 0;
    let mut product = random.f64();
    while product > limit {
        number += 1;
        product *= random.f64();
    }
    number
}

#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

fn mean(sizes: &[usize]) -> f64 {
    let sum: usize = sizes.iter().sum();
    share(sum as u64, sizes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(load: &str, sizing: Sizing) -> Outcome {
        let loads = Load::all();
        let load = loads.iter().find(|known| known.name == load).unwrap();
        let mut short = load.clone();
        short.rates.truncate(20 * 60);
        run(&short, sizing, 1)
    }

    #[test]
    fn a_step_is_followed_without_swinging_and_costs_less_than_a_fixed_size() {
        let scaled = outcome("step", Sizing::Scaled);
        assert_eq!((scaled.reversals, scaled.timed_out), (0, 0));
        assert!(
            scaled.longest_lag <= Watch::INTERVAL,
            "{}",
            scaled.longest_lag
        );
        let fixed = outcome("step", Sizing::Fixed);
        assert_eq!(fixed.checkouts, scaled.checkouts, "the same callers");
        assert!(scaled.mean_size < fixed.mean_size * 0.75);
    }

    #[test]
    fn a_turn_is_a_reversal_unless_the_load_has_grown() {
        let mut stats = Stats::default();
        let mut watch = Watch::default();
        let mut look = |rate, up, down| {
            (stats.scaled_up, stats.scaled_down) = (up, down);
            watch.look(rate, &stats);
            watch.reversals
        };
        look(10.0, 0, 1);
        assert_eq!(look(10.0, 1, 1), 1);
        look(10.0, 1, 2);
        assert_eq!(look(20.0, 2, 2), 1, "more is asked for");
        look(20.0, 2, 3);
        for _ in 0..Watch::INTERVAL {
            look(20.0, 2, 3);
        }
        assert_eq!(look(20.0, 3, 3), 1, "that is long ago");
    }
}
