//! What protects a pool and its callers: the circuit breaker, generations, reclaiming, health.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[path = "../common/lines.rs"]
mod lines;

mod bursts;
mod by_hand;
mod callers;
mod crowded;
mod distrust;
mod generations;
mod health;
mod leaks;
mod overload;
mod pause;
mod recycling;
mod registry;
mod scaling;
mod slow;

use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Pool, PoolBuilder};

/// A pool of which nothing is open, over a server that refuses.
fn refusing() -> (MockManager, PoolBuilder<MockManager>) {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Fail);
    let builder = Pool::builder(mock.clone()).min_size(0).max_size(4);
    (mock, builder)
}

const SECOND: Duration = Duration::from_secs(1);
