//! Checkouts that take what is there, and what they do about what is not fit to be used.

use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Error, Validation};
use tokio::time::sleep;

use crate::{SECOND, builder, open, settle};

#[tokio::test(start_paused = true)]
async fn what_broke_while_idle_is_passed_over_for_what_works() {
    for waits in [false, true] {
        let mock = MockManager::new();
        let pool = open(&mock, 2, 2).await;
        let (fit, unfit) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let (id, break_it) = (fit.id(), unfit.breaker());
        drop((fit, unfit));
        break_it();
        let served = if waits {
            pool.get().await.unwrap()
        } else {
            pool.try_get().unwrap().unwrap()
        };
        assert_eq!((served.id(), pool.stats().closed_by.broken), (id, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn without_waiting_a_connection_is_served_that_proves_itself_at_once() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 1).validation(Validation::Always);
    let pool = pool.connect().await.unwrap();
    let before = mock.count(Step::Validate);
    assert!(pool.try_get().unwrap().is_some());
    assert_eq!(mock.count(Step::Validate) - before, 1);

    mock.next(Step::Validate, [Act::SucceedAfter(SECOND)]);
    assert!(pool.try_get().unwrap().is_none());
    assert_eq!(pool.stats().active, 1, "still being validated");
    sleep(2 * SECOND).await;
    assert_eq!((pool.stats().idle, mock.count(Step::Connect)), (1, 1));

    mock.next(Step::Validate, [Act::Fail]);
    assert!(pool.try_get().unwrap().is_none());
    settle().await;
    assert_eq!((pool.stats().idle, mock.count(Step::Connect)), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_is_told_that_the_breaker_is_open() {
    let pool = builder(&MockManager::new(), 0, 1).build().unwrap();
    pool.breaker().trip();
    let error = pool.get_timeout(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
}
