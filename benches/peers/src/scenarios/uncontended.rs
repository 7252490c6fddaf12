//! Checkout and return where nobody waits: the price of the pool itself.

use std::sync::{Arc, Barrier};
use std::time::Instant;

use super::{Sample, runtime, warm};
use crate::peer::{Connects, Peer};

const CYCLES: u32 = 400_000;

/// `tasks` tasks, each on a thread of its own; nanoseconds per checkout and return of each.
pub(super) fn run<P: Peer>(tasks: usize) -> Vec<Sample> {
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
                runtime.block_on(cycles(&pool, CYCLES / 10));
                start.wait();
                let began = Instant::now();
                runtime.block_on(cycles(&pool, CYCLES));
                began.elapsed().as_secs_f64() * 1e9 / f64::from(CYCLES)
            })
        })
        .collect();
    let each = threads
        .into_iter()
        .map(|thread| thread.join().expect("no pool panics"));
    let slowest = each.fold(0.0, f64::max);
    vec![Sample::new("checkout_and_return", "ns", slowest)]
}

async fn cycles<P: Peer>(pool: &P, count: u32) {
    for _ in 0..count {
        drop(std::hint::black_box(pool.get().await));
    }
}
