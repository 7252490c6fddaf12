//! Many tasks on few connections: throughput, the wait of the unlucky, and who is served how often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::cores::CORES_USED;
use super::waits::Waits;
use super::{block_on, warm};
use crate::contest::{Metric, Values};
use crate::peer::{Connects, Peer};

const LENGTH: Duration = Duration::from_millis(500);

pub(super) const METRICS: [Metric; 8] = [
    Metric::highest("checkouts_per_second", "1/s"),
    Metric::lowest("wait_p50", "us"),
    Metric::lowest("wait_p95", "us"),
    Metric::lowest("wait_p99", "us"),
    Metric::lowest("wait_p99.9", "us"),
    Metric::lowest("wait_max", "us"),
    Metric::highest("least_to_most_served", "ratio"),
    CORES_USED,
];

/// `tasks` tasks on `connections` connections, each held across one yield.
pub(super) fn run<P: Peer>(tasks: usize, connections: usize) -> Values {
    let (waits, elapsed, served) = block_on(work::<P>(tasks, connections));
    vec![
        Some(waits.per_second(elapsed)),
        waits.permille(500),
        waits.permille(950),
        waits.permille(990),
        waits.permille(999),
        waits.permille(1_000),
        least_to_most(&served),
    ]
}

/// The waits of all checkouts, how long it took, and how often each task was served.
async fn work<P: Peer>(tasks: usize, connections: usize) -> (Waits, Duration, Vec<usize>) {
    let pool = P::new(connections, Connects::default());
    warm(&pool, connections).await;
    let start = Arc::new(Barrier::new(tasks + 1));
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        running.spawn(worker(pool.clone(), Arc::clone(&start)));
    }
    start.wait().await;
    let began = Instant::now();
    let (mut ended, mut waits, mut served) = (began, Vec::new(), Vec::new());
    while let Some(worker) = running.join_next().await {
        let (waited, end) = worker.expect("no pool panics");
        served.push(waited.len());
        waits.extend(waited);
        ended = ended.max(end);
    }
    (Waits::new(waits), ended - began, served)
}

/// The waits of one task, and when it ended.
async fn worker<P: Peer>(pool: P, start: Arc<Barrier>) -> (Vec<u32>, Instant) {
    let mut waits = Vec::with_capacity(1 << 14);
    start.wait().await;
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        if asked.duration_since(began) > LENGTH {
            return (waits, asked);
        }
        let guard = pool.served().await;
        waits.push(Waits::nanoseconds(asked.elapsed()));
        tokio::task::yield_now().await;
        drop(guard);
    }
}

/// How often the task served least often was served for each time of the one served most often.
pub(crate) fn least_to_most(served: &[usize]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "no run makes 2^52 checkouts")]
    let count = |count: usize| count as f64;
    let (least, most) = (*served.iter().min()?, *served.iter().max()?);
    Some(count(least) / count(most.max(1)))
}
