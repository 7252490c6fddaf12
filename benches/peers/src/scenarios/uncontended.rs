//! Checkout and return where nobody waits: the price of the pool itself.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, yield_now};

use super::{THREADS, block_on, runtime, warm};
use crate::contest::{Metric, Values};
use crate::peer::{Connects, Peer};

pub(super) const CHECKOUT_AND_RETURN: Metric = Metric::lowest("checkout_and_return", "ns");

const LENGTH: Duration = Duration::from_millis(250);

/// How many checkouts are made between two looks at the clock.
const STRETCH: u32 = 1_000;

/// `tasks` tasks, each on a thread of its own; nanoseconds per checkout and return of each.
pub(super) fn run<P: Peer>(tasks: usize) -> Values {
    let runtime = Arc::new(runtime());
    let pool = runtime.block_on(async {
        let pool = P::new(10, Connects::default());
        warm(&pool, 10).await;
        pool
    });
    let start = Arc::new(Barrier::new(tasks));
    let threads: Vec<_> = (0..tasks)
        .map(|_| {
            let (runtime, pool, start) = (Arc::clone(&runtime), pool.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                runtime.block_on(cycles(&pool, LENGTH / 10));
                start.wait();
                runtime.block_on(cycles(&pool, LENGTH))
            })
        })
        .collect();
    let each = threads
        .into_iter()
        .map(|thread| thread.join().expect("no pool panics"));
    let slowest = each.fold(0.0, f64::max);
    vec![Some(slowest)]
}

/// Tasks and connections of `many`.
const MANY: usize = 8;

/// What a task does while it holds a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing: it lets others run every thousand checkouts.
    NotAtAll,
    /// It lets others run each time.
    AcrossAYield,
}

/// Eight tasks on the runtime's two threads, with a connection for each task; nanoseconds of a thread
/// per checkout and return, yields included.
pub(super) fn many<P: Peer>(held: Held) -> Values {
    let (count, elapsed) = block_on(async {
        let pool = P::new(MANY, Connects::default());
        warm(&pool, MANY).await;
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..MANY {
            let pool = pool.clone();
            tasks.spawn(async move {
                let mut count = 0;
                while began.elapsed() < LENGTH {
                    for _ in 0..STRETCH {
                        let guard = pool.served().await;
                        if held == Held::AcrossAYield {
                            yield_now().await;
                        }
                        drop(std::hint::black_box(guard));
                    }
                    count += STRETCH;
                    yield_now().await;
                }
                count
            });
        }
        let counts = tasks.join_all().await;
        (counts.into_iter().sum::<u32>(), began.elapsed())
    });
    vec![Some(
        elapsed.as_secs_f64() * 1e9 * f64::from(THREADS) / f64::from(count),
    )]
}

/// Nanoseconds each checkout took, with its return.
async fn cycles<P: Peer>(pool: &P, length: Duration) -> f64 {
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < length {
        for _ in 0..STRETCH {
            drop(std::hint::black_box(pool.served().await));
        }
        count += STRETCH;
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}
