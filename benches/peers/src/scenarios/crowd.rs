//! Ten thousand tasks, each of which has a few things to do and is done. How long all take and how
//! long each waits are measured one after the other, as with fewer tasks.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, yield_now};

use super::cores::CORES_USED;
use super::waits::Waits;
use super::{block_on, warm};
use crate::contest::{Metric, Values};
use crate::peer::{Connects, Peer};

pub(super) const METRICS: [Metric; 4] = [
    Metric::lowest("total_time", "ms"),
    Metric::lowest("wait_p99", "us"),
    Metric::lowest("wait_max", "us"),
    CORES_USED,
];

const TASKS: usize = 10_000;
const CONNECTIONS: usize = 100;
const CHECKOUTS: usize = 10;

/// Every task checks out ten times, holds across a yield each time, and ends.
pub(super) fn run<P: Peer>() -> Values {
    let (total, waits) = block_on(async {
        let pool = P::new(CONNECTIONS, Connects::default());
        warm(&pool, CONNECTIONS).await;
        let (_, total) = all(|| errands(pool.clone())).await;
        let (waits, _) = all(|| timed_errands(pool.clone())).await;
        (total, Waits::new(waits.concat()))
    });
    vec![
        Some(total.as_secs_f64() * 1e3),
        waits.permille(990),
        waits.permille(1_000),
    ]
}

/// What all tasks give, and how long they took.
async fn all<T, W>(work: impl Fn() -> W) -> (Vec<T>, Duration)
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(work());
    }
    (tasks.join_all().await, began.elapsed())
}

async fn errands<P: Peer>(pool: P) {
    for _ in 0..CHECKOUTS {
        let guard = pool.served().await;
        yield_now().await;
        drop(guard);
    }
}

/// The waits of one task.
async fn timed_errands<P: Peer>(pool: P) -> Vec<u32> {
    let mut waits = Vec::with_capacity(CHECKOUTS);
    for _ in 0..CHECKOUTS {
        let asked = Instant::now();
        let guard = pool.served().await;
        waits.push(Waits::nanoseconds(asked.elapsed()));
        yield_now().await;
        drop(guard);
    }
    waits
}
