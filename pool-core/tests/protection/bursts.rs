//! How many connections a burst leaves behind. In real time, for the pool looks at a clock that a
//! paused runtime does not have; only counts are asserted.

use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Pool, PooledConnection};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Five connections are open; opening another takes long.
async fn five_open() -> (MockManager, Pool<MockManager>) {
    let mock = MockManager::new();
    mock.always(
        Step::Connect,
        Act::SucceedAfter(Duration::from_millis(1_200)),
    );
    let pool = Pool::builder(mock.clone())
        .min_size(5)
        .max_size(50)
        .max_connecting(5)
        .connect()
        .await
        .unwrap();
    (mock, pool)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_that_those_who_are_open_can_serve_opens_hardly_any() {
    let (mock, pool) = five_open().await;
    let mut burst = JoinSet::new();
    for _ in 0..50 {
        let pool = pool.clone();
        burst.spawn(async move {
            let _conn = pool.get().await.unwrap();
            sleep(Duration::from_millis(2)).await;
        });
    }
    burst.join_all().await;
    assert!(
        mock.count(Step::Connect) <= 6,
        "{}",
        mock.count(Step::Connect)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_whom_nobody_serves_get_connections_of_their_own() {
    let (_mock, pool) = five_open().await;
    // As far as the pool knows, a use takes no time at all.
    drop(pool.get().await.unwrap());
    let mut held: Vec<PooledConnection<_>> = Vec::new();
    for _ in 0..5 {
        held.push(pool.get().await.unwrap());
    }
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let pool = pool.clone();
        waiting.spawn(async move { pool.get().await.unwrap() });
    }
    assert_eq!(waiting.join_all().await.len(), 10);
}
