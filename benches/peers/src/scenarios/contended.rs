//! Many tasks on few connections: throughput, the wait of the unlucky, and who is served how often.
//!
//! How many and how long are measured one after the other: two readings of the clock for each checkout
//! are up to a sixth of what is measured, and make the pools look more alike than they are.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

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
        let (served, elapsed) = crowd(tasks, |course| count(pool.clone(), course)).await;
        let (waits, _) = crowd(tasks, |course| time(pool.clone(), course)).await;
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

/// Where a run is. What is made before all tasks have been served once does not count: the runtime
/// takes up some of a thousand new tasks a fifth of a second after the others.
#[derive(Default)]
struct Course {
    begun: AtomicUsize,
    counts: AtomicBool,
    is_over: AtomicBool,
}

impl Course {
    /// Leads a run of `tasks` tasks; how long it counted.
    fn lead(&self, tasks: usize) -> Duration {
        let spawned = Instant::now();
        while self.begun.load(Relaxed) < tasks && spawned.elapsed() < LENGTH {
            thread::sleep(Duration::from_millis(1));
        }
        let began = Instant::now();
        self.counts.store(true, Relaxed);
        thread::sleep(LENGTH);
        self.is_over.store(true, Relaxed);
        began.elapsed()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// A task was served for the first time.
    fn begin(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    fn counts(&self) -> bool {
        self.counts.load(Relaxed)
    }
}

/// What each of `tasks` tasks gives, and how long what it gives took.
async fn crowd<T, W>(tasks: usize, work: impl Fn(Arc<Course>) -> W) -> (Vec<T>, Duration)
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let course = Arc::new(Course::default());
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        running.spawn(work(Arc::clone(&course)));
    }
    // A timer of the runtime would be late where a pool blocks its threads.
    let leader = thread::spawn(move || course.lead(tasks));
    let given = running.join_all().await;
    (given, leader.join().expect("does not panic"))
}

/// How often one task is served.
async fn count<P: Peer>(pool: P, course: Arc<Course>) -> usize {
    let mut count = 0;
    drop(pool.served().await);
    course.begin();
    while !course.is_over() {
        let guard = pool.served().await;
        count += usize::from(course.counts());
        yield_now().await;
        drop(guard);
    }
    count
}

/// The waits of one task.
async fn time<P: Peer>(pool: P, course: Arc<Course>) -> Vec<u32> {
    let mut waits = Vec::with_capacity(1 << 14);
    drop(pool.served().await);
    course.begin();
    while !course.is_over() {
        let asked = Instant::now();
        let guard = pool.served().await;
        if course.counts() {
            waits.push(Waits::nanoseconds(asked.elapsed()));
        }
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
