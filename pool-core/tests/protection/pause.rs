use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Error, Pool, Stage, WhilePaused};
use tokio::time::sleep;

use crate::SECOND;

async fn pool(min: usize, max: usize) -> (MockManager, Pool<MockManager>) {
    let mock = MockManager::new();
    let builder = Pool::builder(mock.clone()).min_size(min).max_size(max);
    (mock, builder.connect().await.expect("the mock connects"))
}

fn getter(pool: &Pool<MockManager>) -> tokio::task::JoinHandle<Result<u64, String>> {
    let pool = pool.clone();
    tokio::spawn(async move {
        pool.get()
            .await
            .map(|conn| conn.id())
            .map_err(|error| error.to_string())
    })
}

#[tokio::test(start_paused = true)]
async fn checkouts_wait_out_a_pause_and_are_served_in_their_order_after_it() {
    let (mock, pool) = pool(1, 1).await;
    pool.pause(WhilePaused::Wait);
    assert!(pool.is_paused());
    let (one, two) = (getter(&pool), getter(&pool));
    sleep(10 * SECOND).await;
    assert_eq!(pool.stats().waiting, 2);
    assert_eq!(pool.stats().idle, 1, "what is kept is idle");
    pool.resume();
    assert!(!pool.is_paused());
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
    assert_eq!(mock.count(Step::Connect), 1);
    assert_eq!(pool.stats().idle, 1);
}

#[tokio::test(start_paused = true)]
async fn a_return_during_a_pause_is_kept() {
    let (_, pool) = pool(1, 1).await;
    let held = pool.get().await.unwrap();
    let id = held.id();
    pool.pause(WhilePaused::Wait);
    let waiter = getter(&pool);
    tokio::task::yield_now().await;
    drop(held);
    sleep(SECOND).await;
    assert!(!waiter.is_finished());
    pool.resume();
    assert_eq!(waiter.await.unwrap().unwrap(), id);
}

#[tokio::test(start_paused = true)]
async fn what_expires_during_a_pause_is_closed_at_its_end() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone()).min_size(0);
    let pool = pool.max_lifetime(10 * SECOND).build().unwrap();
    drop(pool.get().await.unwrap());
    pool.pause(WhilePaused::Wait);
    sleep(11 * SECOND).await;
    assert_eq!(pool.stats().idle, 1);
    let resumed = tokio::time::Instant::now();
    pool.resume();
    mock.until(|mock| mock.open() == 0).await;
    assert!(resumed.elapsed().is_zero());
    assert_eq!(pool.stats().closed_by.max_lifetime, 1);
}

#[tokio::test(start_paused = true)]
async fn no_connect_begins_during_a_pause() {
    let (mock, pool) = pool(1, 4).await;
    pool.pause(WhilePaused::Wait);
    let waiters = [getter(&pool), getter(&pool), getter(&pool)];
    pool.resize(3, 4).unwrap();
    sleep(20 * SECOND).await;
    assert_eq!(mock.count(Step::Connect), 1);
    pool.resume();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    mock.until(|mock| mock.open() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_awaits_its_turn_after_a_failure_does_not_begin_during_a_pause() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Fail);
    let pool = Pool::builder(mock.clone()).min_size(0).build().unwrap();
    // Connects that are begun whether or not anybody waits.
    for attempts in [1, 2] {
        assert!(pool.try_get().unwrap().is_none());
        mock.until(|mock| mock.count(Step::Connect) >= attempts)
            .await;
        assert!(pool.try_get().unwrap().is_none());
    }
    pool.pause(WhilePaused::Wait);
    assert!(pool.health().to_string().contains("the pool is paused"));
    let before = mock.count(Step::Connect);
    sleep(60 * SECOND).await;
    assert_eq!(mock.count(Step::Connect), before);
}

#[tokio::test(start_paused = true)]
async fn by_choice_checkouts_fail_at_once_during_a_pause() {
    let (_, pool) = pool(1, 1).await;
    let held = pool.get().await.unwrap();
    let waiter = getter(&pool);
    tokio::task::yield_now().await;
    pool.pause(WhilePaused::Fail);
    assert_eq!(waiter.await.unwrap().unwrap_err(), "the pool is paused");
    assert!(matches!(pool.get().await.unwrap_err(), Error::Paused));
    let at_once = pool.get_timeout(Duration::ZERO).await;
    assert!(matches!(at_once.unwrap_err(), Error::Paused));
    assert!(matches!(pool.try_get().unwrap_err(), Error::Paused));
    assert!(!pool.health().is_ready(), "{}", pool.health());
    drop(held);
    pool.resume();
    assert!(pool.health().reasons.is_empty());
    drop(pool.get().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_paused_pool_closes_like_any_other() {
    let (mock, pool) = pool(2, 2).await;
    let held = pool.get().await.unwrap();
    pool.pause(WhilePaused::Wait);
    let waiter = getter(&pool);
    tokio::task::yield_now().await;
    drop(held);
    assert!(pool.close().await.is_complete());
    assert_eq!(waiter.await.unwrap().unwrap_err(), "the pool is closed");
    assert_eq!(mock.open(), 0);
    pool.resume();
    assert!(matches!(pool.get().await.unwrap_err(), Error::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_cannot_be_paused() {
    let (_, pool) = pool(1, 1).await;
    pool.close().await;
    pool.pause(WhilePaused::Fail);
    assert!(!pool.is_paused());
    assert!(matches!(pool.get().await.unwrap_err(), Error::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_paused_pool_that_is_dropped_leaves_nothing_behind() {
    let (mock, pool) = pool(2, 2).await;
    pool.pause(WhilePaused::Wait);
    drop(pool);
    mock.until(|mock| mock.open() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_during_a_pause_is_idle_to_those_who_close_what_is() {
    let (mock, pool) = pool(3, 3).await;
    pool.pause(WhilePaused::Wait);
    pool.retain(|conn, _| conn.id() != 2);
    assert_eq!((mock.open(), pool.stats().idle), (2, 2));
    pool.resize(1, 1).unwrap();
    assert_eq!((mock.open(), pool.stats().idle), (1, 1));
    pool.retire_all();
    assert_eq!((mock.open(), pool.stats().idle), (0, 0));
    pool.resume();
    mock.until(|mock| mock.open() == 1).await;
    assert_eq!(mock.count(Step::Connect), 4);
}

#[tokio::test(start_paused = true)]
async fn while_paused_a_pool_without_connections_says_that_it_is_paused_though_its_breaker_is_open()
{
    let (_, pool) = pool(0, 1).await;
    pool.breaker().trip();
    assert!(matches!(
        pool.get().await.unwrap_err(),
        Error::CircuitOpen { .. }
    ));
    pool.pause(WhilePaused::Fail);
    assert!(matches!(pool.get().await.unwrap_err(), Error::Paused));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_during_a_pause_is_not_active() {
    let (_, pool) = pool(3, 3).await;
    pool.pause(WhilePaused::Wait);
    let waiters = [getter(&pool), getter(&pool)];
    sleep(SECOND).await;
    pool.resume();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(pool.stats().peak_active, 2);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_during_a_pause_says_that_there_is_one() {
    let (_, pool) = pool(1, 4).await;
    pool.pause(WhilePaused::Wait);
    let error = pool.get_timeout(SECOND).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("paused"), "{told}");
    assert!(!told.contains("breaker"), "{told}");
    let Error::Timeout { stage, .. } = error else {
        panic!("{told}")
    };
    assert_eq!(stage, Stage::Wait, "no connection was being opened");
}
