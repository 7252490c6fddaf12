use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Pool, PooledConnection, Validation};
use tokio::time::{Instant, sleep};

use crate::SECOND;

async fn ten_idle() -> (MockManager, Pool<MockManager>) {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone())
        .min_size(10)
        .validation(Validation::WhenIdleFor(SECOND))
        .validate_timeout(5 * SECOND)
        .keepalive(None)
        .connect()
        .await
        .expect("the mock connects");
    sleep(2 * SECOND).await;
    (mock, pool)
}

#[tokio::test(start_paused = true)]
async fn after_a_silent_failover_a_checkout_costs_one_validation_timeout() {
    let (mock, pool) = ten_idle().await;
    let before = mock.count(Step::Validate);
    mock.always(Step::Validate, Act::Hang);
    let began = Instant::now();
    let conn = pool.get().await.unwrap();
    assert_eq!(began.elapsed(), 5 * SECOND);
    assert_eq!(mock.count(Step::Validate) - before, 1);
    assert!(conn.id() > 10, "a new connection");
    mock.until(|mock| mock.open() == 10).await;
    assert_eq!(pool.stats().closed_by.generation, 9);
}

#[tokio::test(start_paused = true)]
async fn connections_opened_after_the_failure_survive_it() {
    let (mock, pool) = ten_idle().await;
    mock.next(Step::Validate, [Act::Fail]);
    let first = pool.get().await.unwrap();
    mock.until(|mock| mock.open() == 10).await;
    let held_since_before = first.id();
    drop(first);
    let again = pool.get().await.unwrap();
    assert_eq!(again.id(), held_since_before, "of the new generation");
    assert_eq!(pool.stats().generation, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_held_meanwhile_is_replaced_when_it_comes_back() {
    let (mock, pool) = ten_idle().await;
    let held = pool.get().await.unwrap();
    mock.next(Step::Validate, [Act::Fail]);
    drop(pool.get().await.unwrap());
    let generation = PooledConnection::metadata(&held).generation;
    assert_eq!(generation, 0);
    drop(held);
    assert_eq!(pool.stats().closed_by.generation, 9);
}

#[tokio::test(start_paused = true)]
async fn a_validation_that_panics_costs_its_own_connection_only() {
    let (mock, pool) = ten_idle().await;
    mock.next(Step::Validate, [Act::Panic]);
    drop(pool.get().await.unwrap());
    sleep(Duration::from_millis(1)).await;
    let stats = pool.stats();
    assert_eq!((stats.closed, stats.generation), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_recycling_that_fails_for_the_servers_sake_costs_all_of_that_age() {
    let (mock, pool) = ten_idle().await;
    mock.always(Step::Recycle, Act::Fail);
    let dirty = pool.get().await.unwrap();
    dirty.make_dirty();
    drop(dirty);
    mock.until(|mock| mock.count(Step::Close) == 1).await;
    assert_eq!(pool.stats().generation, 0, "it was that connection's own");

    mock.blame_the_server();
    let dirty = pool.get().await.unwrap();
    dirty.make_dirty();
    drop(dirty);
    mock.until(|mock| mock.count(Step::Close) > 1).await;
    mock.until(|mock| mock.open() == 10).await;
    let stats = pool.stats();
    assert_eq!((stats.generation, stats.closed_by.generation), (1, 9));
}

#[tokio::test(start_paused = true)]
async fn what_was_pinged_meanwhile_is_replaced_when_it_has_answered() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone()).min_size(1).max_size(1);
    let pool = pool.keepalive(10 * SECOND).connect().await.unwrap();
    mock.always(Step::Validate, Act::SucceedAfter(SECOND));
    mock.until(|mock| mock.running(Step::Validate) == 1).await;
    pool.retire_all();
    sleep(2 * SECOND).await;
    assert_eq!(pool.stats().closed_by.generation, 1);
    assert_eq!((mock.count(Step::Connect), mock.open()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_finds_one_dead_replaces_all_of_its_age_at_once() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone())
        .min_size(3)
        .keepalive(10 * SECOND)
        .connect()
        .await
        .unwrap();
    mock.next(Step::Validate, [Act::Fail]);
    while pool.stats().generation == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(pool.stats().closed_by.validate_failed, 1);
    assert_eq!(pool.stats().closed_by.generation, 2);
}
