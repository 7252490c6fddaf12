//! What a pool allocates: for each idle connection, and for each task that waits.
//!
//! One thread does everything, because the allocator counts for each thread on its own. That keeps the
//! counting out of the way of the other scenarios: no number is shared between their threads.

use std::time::Duration;

use allocation_counter::measure;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use super::warm;
use crate::contest::{Metric, Values};
use crate::peer::{Connection, Connects, Peer};

pub(super) const METRICS: [Metric; 2] = [
    Metric::lowest("heap_per_idle_connection", "bytes"),
    Metric::lowest("heap_per_waiting_task", "bytes"),
];

const CONNECTIONS: usize = 10_000;
const TASKS: usize = 1_000;

/// Opens 10,000 connections and returns them; then 1,000 tasks wait for the one connection of another
/// pool.
pub(super) fn run<P: Peer>() -> Values {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread can be built");
    vec![
        Some(idle::<P>(&runtime) - bytes(size_of::<Connection>())),
        Some(waiting::<P>(&runtime)),
    ]
}

/// Bytes for each idle connection, the connection among them.
fn idle<P: Peer>(runtime: &Runtime) -> f64 {
    let mut kept = None;
    let allocated = measure(|| {
        kept = Some(runtime.block_on(async {
            let pool = P::new(CONNECTIONS, Connects::default());
            warm(&pool, CONNECTIONS).await;
            pool
        }));
    });
    each(allocated.bytes_current, CONNECTIONS)
}

/// Bytes for each task that waits, the task among them.
fn waiting<P: Peer>(runtime: &Runtime) -> f64 {
    let pool = runtime.block_on(async { P::new(1, Connects::default()) });
    let held = runtime.block_on(pool.served());
    let allocated = measure(|| {
        runtime.block_on(async {
            for _ in 0..TASKS {
                let pool = pool.clone();
                tokio::spawn(async move { drop(pool.served().await) });
            }
            sleep(Duration::from_millis(20)).await;
        });
    });
    // Some pools want a runtime for a return.
    runtime.block_on(async { drop(held) });
    each(allocated.bytes_current, TASKS)
}

fn each(bytes: i64, count: usize) -> f64 {
    let bytes = u32::try_from(bytes).unwrap_or_default();
    f64::from(bytes) / self::bytes(count)
}

#[expect(clippy::cast_precision_loss, reason = "ten thousand at most")]
fn bytes(count: usize) -> f64 {
    count as f64
}
