use pool_core::testing::{Act, MockManager, Step};
use pool_core::{HealthStatus, Pool};
use tokio::time::sleep;

use crate::{SECOND, refusing};

#[tokio::test(start_paused = true)]
async fn health_follows_the_pool_and_says_why() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock)
        .max_size(1)
        .leak_threshold(10 * SECOND)
        .build()
        .unwrap();
    let held = pool.get().await.unwrap();
    assert_eq!(pool.health().status, HealthStatus::Healthy);
    sleep(11 * SECOND).await;
    let health = pool.health();
    assert_eq!(health.status, HealthStatus::Degraded);
    assert!(
        health.to_string().contains("tests/protection/health.rs"),
        "{health}"
    );
    drop(held);
    assert_eq!(pool.health().status, HealthStatus::Healthy);
    pool.close().await;
    assert!(!pool.health().is_ready());
}

#[tokio::test(start_paused = true)]
async fn the_last_error_is_told_with_its_time_also_when_it_is_over() {
    let (mock, builder) = refusing();
    let pool = builder.build().unwrap();
    assert!(pool.health().last_connect_error.is_none());
    pool.get().await.unwrap_err();
    pool.breaker().trip();
    mock.always(Step::Connect, Act::Succeed);
    sleep(100 * SECOND).await;
    pool.breaker().reset();
    drop(pool.get().await.unwrap());
    let health = pool.health();
    assert!(health.reasons.is_empty(), "{health}");
    let last = health.last_connect_error.unwrap();
    assert!(last.error.contains("told to fail"), "{}", last.error);
    assert_eq!(last.ago.as_secs(), 100);
}

#[tokio::test(start_paused = true)]
async fn age_and_last_validation_are_told() {
    let pool = Pool::builder(MockManager::new())
        .min_size(0)
        .keepalive(None);
    let pool = pool.build().unwrap();
    drop(pool.get().await.unwrap());
    assert_eq!(pool.stats().last_validation, None);
    sleep(7 * SECOND).await;
    drop(pool.get().await.unwrap());
    sleep(SECOND).await;
    let stats = pool.stats();
    assert_eq!(stats.last_validation, Some(SECOND));
    assert_eq!(stats.age.as_secs(), 8);
}

#[tokio::test(start_paused = true)]
async fn connects_that_hang_are_told_as_soon_as_somebody_has_waited_for_long() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Hang);
    let pool = Pool::builder(mock).max_size(1).build().unwrap();
    let (_, early, late) = tokio::join!(
        pool.get_timeout(4 * SECOND),
        async {
            sleep(SECOND).await;
            pool.health()
        },
        async {
            sleep(3 * SECOND).await;
            pool.health()
        }
    );
    assert_eq!(early.status, HealthStatus::Healthy, "{early}");
    assert_eq!(
        late.to_string(),
        "degraded: 1 checkouts wait, the oldest for 3.0s, and 1 connections are being opened"
    );
}

/// Who is not ready gets no requests, and this pool tries again only for a request.
#[tokio::test(start_paused = true)]
async fn a_pool_that_leaves_its_server_alone_is_ready_to_be_asked() {
    let (_, builder) = refusing();
    let pool = builder.build().unwrap();
    pool.get().await.unwrap_err();
    assert!(!pool.health().is_ready());
    sleep(100 * SECOND).await;
    assert_eq!(pool.health().status, HealthStatus::Degraded);
    pool.breaker().trip();
    assert!(!pool.health().is_ready(), "by hand: nothing is tried");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_cannot_connect_is_unhealthy_and_names_the_error() {
    let (_, builder) = refusing();
    let pool = builder.build().unwrap();
    pool.get().await.unwrap_err();
    let health = pool.health();
    assert_eq!(health.status, HealthStatus::Unhealthy);
    assert!(
        health.to_string().contains("told to fail to Connect"),
        "{health}"
    );
}
