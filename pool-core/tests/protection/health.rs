use pool_core::testing::MockManager;
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
