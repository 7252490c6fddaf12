use pool_core::testing::{Act, MockManager, Step};
use pool_core::{BreakerState, Error, Pool};
use tokio::time::sleep;

use crate::{SECOND, refusing};

#[tokio::test(start_paused = true)]
async fn tripped_nothing_is_connected_until_it_is_reset() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone()).min_size(0).build().unwrap();
    pool.breaker().trip();
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    sleep(600 * SECOND).await;
    assert_eq!(mock.count(Step::Connect), 0);
    assert_eq!(pool.breaker().state(), BreakerState::ForcedOpen);
    pool.breaker().reset();
    drop(pool.get().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn reset_connects_what_is_missing_at_once() {
    let (mock, builder) = refusing();
    let pool = builder.min_size(2).build().unwrap();
    sleep(600 * SECOND).await;
    assert_eq!(pool.breaker().state(), BreakerState::Open);
    mock.always(Step::Connect, Act::Succeed);
    pool.breaker().reset();
    mock.until(|mock| mock.open() == 2).await;
    assert_eq!(pool.breaker().state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn disabled_it_never_opens() {
    let (_, builder) = refusing();
    let pool = builder.acquire_timeout(20 * SECOND).build().unwrap();
    pool.breaker().disable();
    assert!(pool.get().await.unwrap_err().is_timeout());
    assert_eq!(pool.breaker().state(), BreakerState::Disabled);
}
