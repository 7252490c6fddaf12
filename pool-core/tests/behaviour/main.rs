//! What a pool promises, and what each setting does, over a scripted manager.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[path = "../common/lines.rs"]
mod lines;

mod anywhere;
mod at_once;
mod closing;
mod connects;
mod dynamic;
mod events;
mod queue;
mod shortlived;
mod sizes;
mod stages;
mod timers;
mod told;
mod unkind;

use std::time::Duration;

use pool_core::testing::{MockManager, Step};
use pool_core::{Pool, PoolBuilder, Validation};
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn builder(mock: &MockManager, min: usize, max: usize) -> PoolBuilder<MockManager> {
    Pool::builder(mock.clone()).min_size(min).max_size(max)
}

/// A pool whose minimum is open.
async fn open(mock: &MockManager, min: usize, max: usize) -> Pool<MockManager> {
    builder(mock, min, max).connect().await.unwrap()
}

/// A pool with one connection open, which the next checkout is to validate, or to recycle where that
/// is the step.
async fn about_to(step: Step, mock: &MockManager, max: usize) -> Pool<MockManager> {
    let builder = builder(mock, 1, max).validation(Validation::Always);
    let pool = builder.connect().await.unwrap();
    if step == Step::Recycle {
        pool.retain(|conn, _| {
            conn.make_dirty();
            true
        });
    }
    pool
}

/// Waits in a task for a connection, and gives its number.
fn getter(pool: &Pool<MockManager>) -> JoinHandle<Result<u64, String>> {
    let pool = pool.clone();
    tokio::spawn(async move {
        pool.get()
            .await
            .map(|conn| conn.id())
            .map_err(|error| error.to_string())
    })
}

/// Lets every task that can run do so.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
