//! A server that logs in whom it then does not answer.

use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Error, HealthStatus, Pool, PoolBuilder, Validation};
use tokio::time::{Instant, sleep};

use crate::SECOND;

const MS: Duration = Duration::from_millis(1);

fn mute(mock: &MockManager) -> PoolBuilder<MockManager> {
    mock.always(Step::Connect, Act::SucceedAfter(10 * MS));
    let pool = Pool::builder(mock.clone()).min_size(2).max_size(5);
    pool.validation(Validation::Always)
}

#[tokio::test(start_paused = true)]
async fn where_every_validation_fails_callers_learn_it_and_so_does_health() {
    let mock = MockManager::new();
    let pool = mute(&mock).connect().await.unwrap();
    mock.always(Step::Validate, Act::Fail);
    let before = mock.count(Step::Validate);
    drop(pool.get().await.expect("a new one, which may be better"));
    let error = pool.get().await.map(drop).unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    assert!(
        error.to_string().contains("failed its validation"),
        "{error}"
    );
    assert_eq!(
        mock.count(Step::Validate) - before,
        7,
        "two, and five connects"
    );
    let health = pool.health();
    assert!(
        !health.is_ready() && health.to_string().contains("failed its validation"),
        "{health}"
    );

    mock.forget(Step::Validate);
    mock.until(|mock| mock.open() == 2).await;
    drop(pool.get().await.unwrap());
    assert_eq!(pool.health().status, HealthStatus::Healthy);
    let before = mock.count(Step::Validate);
    pool.retire_all();
    mock.until(|mock| mock.open() == 2).await;
    assert_eq!(
        mock.count(Step::Validate),
        before,
        "a connect is trusted again"
    );
}

#[tokio::test(start_paused = true)]
async fn where_every_validation_fails_there_is_no_storm_of_connects() {
    let mock = MockManager::new();
    let pool = mute(&mock).breaker_threshold(0).connect().await.unwrap();
    mock.always(Step::Validate, Act::Fail);
    let before = mock.count(Step::Connect);
    let end = Instant::now() + 10 * SECOND;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                while Instant::now() < end {
                    drop(pool.get_timeout(SECOND).await);
                    sleep(MS).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let connects = mock.count(Step::Connect) - before;
    assert!(connects <= 120, "{connects} in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_validation_gets_connections_though_pings_fail() {
    let mock = MockManager::new();
    let pool = mute(&mock).validation(Validation::Never).keepalive(SECOND);
    let pool = pool.connect().await.unwrap();
    mock.always(Step::Validate, Act::Fail);
    for _ in 0..10 {
        sleep(SECOND + 100 * MS).await;
        drop(pool.get().await.unwrap());
    }
    assert_eq!(pool.stats().connect_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn each_validation_that_takes_too_long_is_counted_also_that_of_a_new_connection() {
    let mock = MockManager::new();
    let pool = mute(&mock)
        .validate_timeout(SECOND)
        .connect()
        .await
        .unwrap();
    mock.always(Step::Validate, Act::Hang);
    let before = mock.count(Step::Validate);
    drop(pool.get().await.unwrap());
    pool.get().await.map(drop).unwrap_err();
    let asked = mock.count(Step::Validate) - before;
    assert_eq!(pool.stats().validate_timeouts, asked as u64);
}

#[tokio::test(start_paused = true)]
async fn where_every_validation_panics_callers_learn_it_too() {
    let mock = MockManager::new();
    let pool = mute(&mock).connect().await.unwrap();
    mock.always(Step::Validate, Act::Panic);
    drop(pool.get().await.expect("a new one, which may be better"));
    let error = pool.get().await.map(drop).unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    assert!(error.to_string().contains("panicked"), "{error}");
}
