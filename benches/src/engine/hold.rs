//! Taking every connection and keeping all of them, each having answered a question.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pool_core::{Pool, PooledConnection};
use tokio::task::JoinSet;

use super::request::{Tally, request};
use crate::backend::Workload;
use crate::latency::Recorder;

/// The connections that are held, and how that came about.
pub(super) struct Held<W: Workload> {
    /// Every connection that answered. All are held: this is what was counted.
    pub(super) connections: Vec<PooledConnection<W::Manager>>,
    pub(super) tally: Tally,
    pub(super) elapsed: Duration,
}

/// Takes `count` connections by `tasks` tasks, asks each a question, and keeps all.
pub(super) async fn hold_all<W: Workload>(
    pool: &Pool<W::Manager>,
    workload: &Arc<W>,
    count: usize,
    tasks: usize,
    recorder: &Arc<Recorder>,
) -> Held<W> {
    let began = Instant::now();
    let taken = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for _ in 0..tasks.min(count) {
        let (pool, workload) = (pool.clone(), Arc::clone(workload));
        let (recorder, taken) = (Arc::clone(recorder), Arc::clone(&taken));
        running.spawn(async move {
            let (mut tally, mut connections) = (Tally::default(), Vec::new());
            loop {
                // Only hands out numbers, so no ordering.
                let number = taken.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return (connections, tally);
                }
                let key = number as u64;
                connections
                    .extend(request(&pool, &*workload, key, None, &recorder, &mut tally).await);
            }
        });
    }

    let mut held = Held {
        connections: Vec::new(),
        tally: Tally::default(),
        elapsed: Duration::ZERO,
    };
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok((connections, tally)) => {
                held.connections.extend(connections);
                held.tally.merge(tally);
            }
            Err(panic) => held.tally.panicked(&panic),
        }
    }
    held.elapsed = began.elapsed();
    held
}
