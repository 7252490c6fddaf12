use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{PooledConnection, Validation};
use tokio::time::{Instant, sleep};

use crate::{MS, SECOND, builder, settle};

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_idle_timeout_down_to_the_minimum() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 3)
        .idle_timeout(60 * SECOND)
        .keepalive(None)
        .build()
        .unwrap();
    let all = (
        pool.get().await.unwrap(),
        pool.get().await.unwrap(),
        pool.get().await.unwrap(),
    );
    drop(all);
    sleep(59_999 * MS).await;
    assert_eq!(mock.open(), 3);
    sleep(20 * MS).await;
    assert_eq!((mock.open(), pool.stats().closed_by.idle_timeout), (1, 2));
    sleep(3600 * SECOND / 2).await;
    assert_eq!(mock.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_replaced_at_max_lifetime_without_a_dip() {
    let mock = MockManager::new();
    let pool = builder(&mock, 2, 4)
        .max_lifetime(1000 * SECOND)
        .lifetime_jitter(0.0)
        .keepalive(None)
        .idle_timeout(None)
        .connect()
        .await
        .unwrap();
    sleep(969 * SECOND).await;
    assert_eq!(mock.open(), 2);
    mock.always(Step::Connect, Act::SucceedAfter(5 * SECOND));
    for _ in 0..4000 {
        sleep(10 * MS).await;
        assert!(mock.open() >= 2, "no dip");
    }
    assert_eq!((pool.stats().closed_by.max_lifetime, mock.open()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_successor_makes_nothing_spare_that_has_been_idle_for_long() {
    let mock = MockManager::new();
    let pool = builder(&mock, 2, 4)
        .max_lifetime(1000 * SECOND)
        .lifetime_jitter(0.0)
        .idle_timeout(100 * SECOND)
        .connect()
        .await
        .unwrap();
    sleep(500 * SECOND).await;
    PooledConnection::invalidate(pool.get().await.unwrap());
    sleep(3500 * SECOND).await;
    let closed = pool.stats().closed_by;
    // Of the first four have ended, of that which took the second's place three.
    assert_eq!((closed.idle_timeout, closed.max_lifetime), (0, 4 + 3));
    assert_eq!(mock.open(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_ends_under_no_holder_and_is_looked_at_when_it_comes_back() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1)
        .max_lifetime(10 * SECOND)
        .lifetime_jitter(0.0)
        .leak_threshold(None)
        .build()
        .unwrap();
    let conn = pool.get().await.unwrap();
    sleep(60 * SECOND).await;
    assert_eq!((mock.open(), conn.id()), (1, 1));
    drop(conn);
    assert_eq!((mock.open(), pool.stats().closed_by.max_lifetime), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_expired_connection_is_not_handed_out() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1)
        .max_lifetime(10 * SECOND)
        .lifetime_jitter(0.0)
        .build()
        .unwrap();
    drop(pool.get().await.unwrap());
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(pool.get().await.unwrap().id(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_jitter_spreads_the_ends_of_lifetimes() {
    let mock = MockManager::new();
    let pool = builder(&mock, 20, 20)
        .max_lifetime(1000 * SECOND)
        .lifetime_jitter(0.5)
        .keepalive(None)
        .idle_timeout(None)
        .connect()
        .await
        .unwrap();
    sleep(499 * SECOND).await;
    assert_eq!(pool.stats().closed, 0, "none before half of the lifetime");
    sleep(250 * SECOND).await;
    let half = pool.stats().closed_by.max_lifetime;
    assert!(
        (3..=17).contains(&half),
        "{half} of 20 in the first half of the spread"
    );
    sleep(252 * SECOND).await;
    assert!(pool.stats().closed_by.max_lifetime >= 20);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_replaced_after_max_uses() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1).max_uses(3).build().unwrap();
    for expected in [1, 1, 1, 2, 2, 2, 3] {
        assert_eq!(pool.get().await.unwrap().id(), expected);
        settle().await;
    }
    assert_eq!(pool.stats().closed_by.max_uses, 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_pinged_after_keepalive_and_stays_as_idle_as_it_was() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 1)
        .keepalive(60 * SECOND)
        .validation(Validation::Never)
        .connect()
        .await
        .unwrap();
    let before = mock.count(Step::Validate);
    sleep(59_999 * MS).await;
    assert_eq!(mock.count(Step::Validate), before);
    sleep(20 * MS).await;
    assert_eq!(mock.count(Step::Validate), before + 1);
    sleep(60 * SECOND).await;
    assert_eq!(mock.count(Step::Validate), before + 2);
    pool.retain(|_, meta| {
        assert!(meta.idle_for >= 119 * SECOND, "{meta:?}");
        true
    });
    assert_eq!(
        PooledConnection::metadata(&pool.get().await.unwrap()).uses,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn at_most_half_of_those_at_rest_are_pinged_at_the_same_time() {
    let mock = MockManager::new();
    let pool = builder(&mock, 10, 10).keepalive(60 * SECOND);
    let pool = pool.connect().await.unwrap();
    let before = mock.count(Step::Validate);
    mock.always(Step::Validate, Act::SucceedAfter(SECOND));
    sleep(65 * SECOND).await;
    assert_eq!(mock.count(Step::Validate) - before, 10, "each was pinged");
    assert_eq!(mock.peak_running(Step::Validate), 5);
    drop(pool);
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_idle_connections_are_closed_when_their_time_is_up() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 300).idle_timeout(60 * SECOND);
    let pool = pool.build().unwrap();
    let mut held = Vec::new();
    for _ in 0..300 {
        held.push(pool.get().await.unwrap());
    }
    drop(held);
    sleep(120 * SECOND).await;
    assert_eq!(pool.stats().closed_by.idle_timeout, 300);
}

#[tokio::test(start_paused = true)]
async fn a_dead_idle_connection_is_found_by_its_ping_and_replaced() {
    let mock = MockManager::new();
    let pool = builder(&mock, 2, 2)
        .keepalive(60 * SECOND)
        .connect()
        .await
        .unwrap();
    mock.next(Step::Validate, [Act::Hang]);
    sleep(66 * SECOND).await;
    assert!(
        pool.stats().closed_by.validate_failed == 1,
        "{:?}",
        pool.stats().closed_by
    );
    assert_eq!(mock.open(), 2);
}

#[tokio::test(start_paused = true)]
async fn min_idle_is_reached_again_after_an_outage() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Fail);
    let pool = builder(&mock, 0, 5).min_idle(2).build().unwrap();
    sleep(600 * SECOND).await;
    mock.always(Step::Connect, Act::Succeed);
    sleep(60 * SECOND).await;
    assert_eq!(pool.stats().idle, 2);
    mock.always(Step::Connect, Act::Fail);
    pool.retire_all();
    sleep(600 * SECOND).await;
    mock.always(Step::Connect, Act::Succeed);
    sleep(60 * SECOND).await;
    assert_eq!(pool.stats().idle, 2);
}

#[tokio::test(start_paused = true)]
async fn min_idle_keeps_headroom_beyond_what_is_held() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 5).min_idle(2).build().unwrap();
    mock.until(|mock| mock.open() == 2).await;
    let one = pool.get().await.unwrap();
    mock.until(|mock| mock.open() == 3).await;
    let two = pool.get().await.unwrap();
    mock.until(|mock| mock.open() == 4).await;
    let rest = (pool.get().await.unwrap(), pool.get().await.unwrap());
    settle().await;
    assert_eq!(mock.open(), 5, "never beyond the maximum");
    drop((one, two, rest));
}

#[tokio::test(start_paused = true)]
async fn min_idle_opens_no_more_while_what_it_lacks_is_being_opened() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::SucceedAfter(10 * SECOND));
    let _pool = builder(&mock, 0, 10).min_idle(2).build().unwrap();
    sleep(5 * SECOND).await;
    assert_eq!(mock.count(Step::Connect), 2);
}

#[tokio::test(start_paused = true)]
async fn limits_that_are_off_never_come() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 2)
        .max_lifetime(None)
        .idle_timeout(None)
        .keepalive(None)
        .leak_threshold(None)
        .acquire_timeout(None)
        .build()
        .unwrap();
    drop((pool.get().await.unwrap(), pool.get().await.unwrap()));
    sleep(20 * 365 * 86_400 * SECOND).await;
    assert_eq!((mock.open(), pool.stats().closed), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pool_at_rest_has_something_to_give_while_it_pings_all_it_has() {
    let mock = MockManager::new();
    let pool = builder(&mock, 5, 5)
        .keepalive(60 * SECOND)
        .validation(Validation::Never)
        .max_waiting(0)
        .connect()
        .await
        .unwrap();
    mock.always(Step::Validate, Act::SucceedAfter(SECOND));
    sleep(64 * SECOND).await;
    assert_eq!(mock.count(Step::Validate), 5 + 5, "each was pinged");
    mock.until(|mock| mock.running(Step::Validate) > 0).await;
    settle().await;
    let held = [pool.get().await, pool.get().await, pool.get().await];
    assert!(held.iter().all(Result::is_ok), "{}", pool.stats());
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_that_is_switched_off_ends_nothing() {
    const LONG: Act = Act::SucceedAfter(Duration::from_secs(100));
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1)
        .acquire_timeout(None)
        .connect_timeout(None)
        .validate_timeout(None)
        .recycle_timeout(None)
        .close_timeout(None)
        .drain_timeout(None)
        .validation(Validation::Always)
        .build()
        .unwrap();
    for step in [Step::Connect, Step::Validate, Step::Recycle, Step::Close] {
        mock.next(step, [LONG]);
    }
    let began = Instant::now();
    drop(pool.get().await.unwrap());
    pool.get().await.unwrap().make_dirty();
    let held = pool.get().await.unwrap();
    assert_eq!((held.id(), began.elapsed()), (1, 300 * SECOND));
    tokio::spawn(async move {
        sleep(100 * SECOND).await;
        drop(held);
    });
    let report = pool.close().await;
    assert!(
        report.is_complete() && report.took == 200 * SECOND,
        "{report}"
    );
}
