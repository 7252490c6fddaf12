use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{BreakerState, HealthStatus, Pool, Pools, WhilePaused};

use crate::{SECOND, refusing};

#[tokio::test(start_paused = true)]
async fn pools_are_found_by_name_and_judged_and_closed_together() {
    let pools = Pools::new();
    let mock = MockManager::new();
    pools.insert("orders", Pool::builder(mock.clone()).build().unwrap());
    pools.insert("users", Pool::builder(MockManager::new()).build().unwrap());
    let orders = pools.typed::<MockManager>("orders").unwrap();
    let held = orders.get().await.unwrap();
    assert_eq!(pools.get("orders").unwrap().stats().active, 1);
    assert_eq!(pools.stats()["users"].active, 0);
    assert!(pools.get("else").is_none());
    drop(held);
    let reports = pools.close().await;
    assert!(reports.len() == 2 && reports.values().all(pool_core::CloseReport::is_complete));
    assert_eq!(mock.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pool_found_by_its_name_is_looked_after_whatever_its_manager() {
    let pools = Pools::new();
    let builder = Pool::builder(MockManager::new()).name("orders at home");
    let orders = builder.min_size(1).max_size(1).build().unwrap();
    pools.insert("orders", orders.clone());
    let pool = pools.get("orders").unwrap();
    assert_eq!(pool.name(), "orders at home");
    pool.windows();
    let held = orders.get().await.unwrap();
    assert_eq!(pool.windows().last_60s.acquired, 1);
    assert_eq!(pool.holders().len(), 1);

    pool.retire_all();
    drop(held);
    assert_eq!(pool.stats().closed_by.generation, 1);
    pool.resize(0, 7).unwrap();
    assert_eq!(pool.stats().max_size, 7);
    orders.breaker().trip();
    pool.reset_breaker();
    assert_eq!(pool.stats().breaker, BreakerState::Closed);
    pool.pause(WhilePaused::Fail);
    assert!(pool.is_paused() && orders.is_paused() && !pools.health().is_ready());
    pool.resume();
    assert!(!pool.is_paused() && !orders.is_paused() && pools.health().is_ready());

    let removed = pools.remove("orders").unwrap();
    assert!(pools.get("orders").is_none() && !removed.is_closed());
}

#[tokio::test(start_paused = true)]
async fn those_who_still_hold_when_the_time_of_all_pools_is_up_are_reported() {
    let pools = Pools::new();
    let orders = Pool::builder(MockManager::new()).build().unwrap();
    pools.insert("orders", orders.clone());
    let _held = orders.get().await.unwrap();
    let reports = pools.close_timeout(SECOND).await;
    assert_eq!(reports["orders"].still_held.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_pools_are_closed_though_the_future_is_dropped() {
    let pools = Pools::new();
    for name in ["orders", "users"] {
        pools.insert(name, Pool::builder(MockManager::new()).build().unwrap());
    }
    let orders = pools.typed::<MockManager>("orders").unwrap();
    let _held = orders.get().await.unwrap();
    let closing = tokio::time::timeout(Duration::ZERO, pools.close()).await;
    assert!(closing.is_err(), "it waits for what is held");
    assert!(pools.all().iter().all(|(_, pool)| pool.is_closed()));
}

#[tokio::test(start_paused = true)]
async fn the_worst_pool_is_the_health_of_all_and_delays_no_other() {
    let (mock, builder) = refusing();
    mock.always(Step::Connect, Act::Hang);
    let pools = Pools::new();
    let dead = builder.acquire_timeout(SECOND).build().unwrap();
    pools.insert("dead", dead.clone());
    let living = Pool::builder(MockManager::new()).build().unwrap();
    pools.insert("living", living.clone());
    let waiter = tokio::spawn(async move { dead.get().await.map(drop) });
    drop(living.get().await.unwrap());
    assert!(waiter.await.unwrap().unwrap_err().is_timeout());
    pools.get("dead").unwrap().close().await;
    let health = pools.health();
    assert_eq!(health.status, HealthStatus::Unhealthy);
    assert_eq!(health.pools["living"].status, HealthStatus::Healthy);
}
