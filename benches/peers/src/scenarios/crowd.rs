//! Ten thousand tasks, each of which has a few things to do and is done.

use std::time::Instant;

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
    let (waits, total) = block_on(async {
        let pool = P::new(CONNECTIONS, Connects::default());
        warm(&pool, CONNECTIONS).await;
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            tasks.spawn(errands(pool.clone()));
        }
        let waits = tasks.join_all().await.concat();
        (Waits::new(waits), began.elapsed())
    });
    vec![
        Some(total.as_secs_f64() * 1e3),
        waits.permille(990),
        waits.permille(1_000),
    ]
}

/// The waits of one task.
async fn errands<P: Peer>(pool: P) -> Vec<u32> {
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
