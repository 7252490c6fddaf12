//! Many tasks on few connections: throughput, the wait of the unlucky, and who is served how often.
//!
//! How many and how long are measured one after the other: to read the clock twice for each checkout
//! costs as much as a tenth to a sixth of it, which would make the pools look more alike than they are.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::{JoinSet, yield_now};

use super::cores::CORES_USED;
use super::waits::{Waits, per_second};
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
    let (served, elapsed, waits) = block_on(async {
        let pool = P::new(connections, Connects::default());
        warm(&pool, connections).await;
        let (served, elapsed) = crowd(tasks, |over| count(pool.clone(), over)).await;
        let (waits, _) = crowd(tasks, |over| time(pool.clone(), over)).await;
        (served, elapsed, Waits::new(waits.concat()))
    });
    vec![
        Some(per_second(served.iter().sum(), elapsed)),
        waits.permille(500),
        waits.permille(950),
        waits.permille(990),
        waits.permille(999),
        waits.permille(1_000),
        least_to_most(&served),
    ]
}
/// What each of `tasks` tasks gives that begin together and are told when it is over, and how long
/// they took.
async fn crowd<T, W>(tasks: usize, work: impl Fn(Arc<AtomicBool>) -> W) -> (Vec<T>, Duration)
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(tasks + 1));
    let over = Arc::new(AtomicBool::new(false));
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (start, work) = (Arc::clone(&start), work(Arc::clone(&over)));
        running.spawn(async move {
            start.wait().await;
            work.await
        });
    }
    start.wait().await;
    let began = Instant::now();
    // A timer of the runtime would be late where a pool blocks its threads.
    thread::spawn(move || {
        thread::sleep(LENGTH);
        over.store(true, Relaxed);
    });
    (running.join_all().await, began.elapsed())
}

/// How often one task is served.
async fn count<P: Peer>(pool: P, over: Arc<AtomicBool>) -> usize {
    let mut count = 0;
    while !over.load(Relaxed) {
        let guard = pool.served().await;
        yield_now().await;
        drop(guard);
        count += 1;
    }
    count
}

/// The waits of one task.
async fn time<P: Peer>(pool: P, over: Arc<AtomicBool>) -> Vec<u32> {
    let mut waits = Vec::with_capacity(1 << 14);
    while !over.load(Relaxed) {
        let asked = Instant::now();
        let guard = pool.served().await;
        waits.push(Waits::nanoseconds(asked.elapsed()));
        yield_now().await;
        drop(guard);
    }
    waits
}

/// How often the task served least often was served for each time of the one served most often.
pub(crate) fn least_to_most(served: &[usize]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "no run makes 2^52 checkouts")]
    let count = |count: usize| count as f64;
    let (least, most) = (*served.iter().min()?, *served.iter().max()?);
    Some(count(least) / count(most.max(1)))
}
