use pool_core::testing::MockManager;
use pool_core::{Pool, PooledConnection};
use tokio::time::sleep;

use crate::SECOND;

#[tokio::test(start_paused = true)]
async fn a_holder_past_the_threshold_is_counted_once_for_each_use() {
    let pool = Pool::builder(MockManager::new())
        .leak_threshold(10 * SECOND)
        .build()
        .unwrap();
    let held = pool.get().await.unwrap();
    sleep(9 * SECOND).await;
    assert_eq!(pool.stats().leaked, 0);
    sleep(100 * SECOND).await;
    assert_eq!(pool.stats().leaked, 1);
    drop(held);
    let _held = pool.get().await.unwrap();
    sleep(11 * SECOND).await;
    assert_eq!(pool.stats().leaked, 2);
}

#[tokio::test(start_paused = true)]
async fn a_use_announced_as_long_is_no_leak_until_it_is_longer() {
    let pool = Pool::builder(MockManager::new())
        .leak_threshold(10 * SECOND)
        .reclaim_threshold(20 * SECOND)
        .build()
        .unwrap();
    let held = pool.get().await.unwrap();
    PooledConnection::expect_to_hold_for(&held, 300 * SECOND);
    sleep(299 * SECOND).await;
    let stats = pool.stats();
    assert_eq!((stats.leaked, stats.reclaimed), (0, 0));
    sleep(2 * SECOND).await;
    let stats = pool.stats();
    assert_eq!((stats.leaked, stats.reclaimed), (1, 1));
    drop(held);
    let _held = pool.get().await.unwrap();
    sleep(11 * SECOND).await;
    assert_eq!(
        pool.stats().leaked,
        2,
        "what was said of one use does not hold for the next"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reclaimed_slot_serves_others_and_its_connection_has_one_holder_until_it_is_closed() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone())
        .min_size(0)
        .max_size(1)
        .reclaim_threshold(10 * SECOND)
        .acquire_timeout(60 * SECOND)
        .build()
        .unwrap();
    let held = pool.get().await.unwrap();
    let other = pool.get().await.unwrap();
    assert_ne!(held.id(), other.id());
    held.interrupted().await;
    let stats = pool.stats();
    assert_eq!((stats.total, stats.active, stats.reclaimed), (1, 1, 1));
    drop(held);
    assert_eq!(mock.open(), 1, "closed when it came back");
    let stats = pool.stats();
    assert_eq!((stats.total, stats.closed_by.reclaimed), (1, 1));
    drop(other);
    assert_eq!(pool.stats().idle, 1);
    assert!(pool.close().await.is_complete());
    assert_eq!(mock.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_holder_who_returns_it_as_its_time_is_up_has_returned_it() {
    let pool = Pool::builder(MockManager::new())
        .reclaim_threshold(10 * SECOND)
        .build()
        .unwrap();
    let held = pool.get().await.unwrap();
    sleep(10 * SECOND + SECOND / 200).await;
    drop(held);
    sleep(SECOND).await;
    let stats = pool.stats();
    assert_eq!((stats.reclaimed, stats.closed), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reclaimed_connection_may_be_detached_or_invalidated_like_any_other() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone())
        .min_size(0)
        .max_size(2)
        .reclaim_threshold(10 * SECOND)
        .build()
        .unwrap();
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    sleep(11 * SECOND).await;
    assert_eq!(pool.stats().reclaimed, 2);
    let detached = PooledConnection::detach(one);
    PooledConnection::invalidate(two);
    assert_eq!((mock.open(), pool.stats().total), (1, 0));
    drop(detached);
    let _both = (pool.get().await.unwrap(), pool.get().await.unwrap());
    assert_eq!(pool.stats().total, 2);
}

#[tokio::test(start_paused = true)]
async fn a_use_announced_as_long_makes_nobody_look_at_the_pool_until_it_is_longer() {
    let pool = Pool::builder(MockManager::new()).build().unwrap();
    let held = pool.get().await.unwrap();
    PooledConnection::expect_to_hold_for(&held, 300 * SECOND);
    sleep(299 * SECOND).await;
    assert!(pool.health().reasons.is_empty(), "{}", pool.health());
    sleep(2 * SECOND).await;
    assert!(pool.health().to_string().contains("leaks.rs"));
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_a_holder_whose_slot_was_reclaimed_and_tells_of_it() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone()).min_size(0).max_size(1);
    let pool = pool.reclaim_threshold(2 * SECOND).build().unwrap();
    let held = pool.get().await.unwrap();
    sleep(5 * SECOND).await;
    assert_eq!((pool.stats().reclaimed, pool.stats().total), (1, 0));
    let report = pool.close_timeout(SECOND).await;
    assert_eq!((report.not_closed, report.still_held.len()), (1, 1));
    let closing = tokio::spawn(async move { pool.close_timeout(60 * SECOND).await });
    sleep(SECOND).await;
    assert!(!closing.is_finished());
    drop(held);
    assert!(closing.await.unwrap().is_complete());
    assert_eq!(mock.open(), 0);
}
