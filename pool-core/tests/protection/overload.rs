//! A queue that does not drain, and one that does.

use std::time::Duration;

use pool_core::testing::MockManager;
use pool_core::{Error, HealthStatus, Pool, Shedding};
use tokio::task::JoinSet;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// A pool of one connection.
fn pool(shedding: Shedding) -> Pool<MockManager> {
    let pool = Pool::builder(MockManager::new()).min_size(0).max_size(1);
    pool.shedding(shedding).build().unwrap()
}

/// Callers that come every 10 ms for so many seconds and each hold the connection for 20 ms: twice
/// as many as can be served. How many were served, and how many shed.
async fn twice_too_many(pool: &Pool<MockManager>, seconds: u32) -> (usize, usize) {
    let mut callers = JoinSet::new();
    for _ in 0..seconds * 100 {
        let pool = pool.clone();
        callers.spawn(async move {
            let conn = match pool.get().await {
                Ok(conn) => conn,
                Err(Error::Shed { waited, .. }) => {
                    assert!(waited >= 100 * MS, "{waited:?}");
                    return false;
                }
                Err(other) => panic!("{other}"),
            };
            sleep(20 * MS).await;
            drop(conn);
            true
        });
        sleep(10 * MS).await;
    }
    let served = callers.join_all().await;
    let shed = served.iter().filter(|served| !**served).count();
    (served.len() - shed, shed)
}

#[tokio::test(start_paused = true)]
async fn a_standing_queue_sheds_its_oldest_and_serves_the_others_in_time() {
    let pool = pool(Shedding::On);
    let (served, shed) = twice_too_many(&pool, 20).await;
    assert!(shed > 500, "{shed} of 2,000");
    assert!(
        served > 900,
        "{served}: the connection is never without work"
    );
    let stats = pool.stats();
    assert_eq!(stats.shed, shed as u64);
    assert!(stats.wait.p95 < 2_500 * MS, "{:?}", stats.wait);
}

#[tokio::test(start_paused = true)]
async fn what_is_shed_ends_with_the_overload() {
    let pool = pool(Shedding::On);
    let (_, shed) = twice_too_many(&pool, 10).await;
    assert!(shed > 0);
    sleep(5_000 * MS).await;
    assert!(!pool.stats().overloaded);
    let held = pool.get().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.map(drop) }
    });
    sleep(1_500 * MS).await;
    drop(held);
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn observing_says_so_and_sheds_nobody() {
    let pool = pool(Shedding::Observe);
    let watching = tokio::spawn({
        let pool = pool.clone();
        async move {
            while !pool.stats().overloaded {
                sleep(10 * MS).await;
            }
            pool.health()
        }
    });
    let (served, shed) = twice_too_many(&pool, 10).await;
    assert_eq!((served, shed, pool.stats().shed), (1_000, 0, 0));
    let health = watching.await.unwrap();
    assert_eq!(health.status, HealthStatus::Degraded);
    assert!(health.to_string().contains("overloaded"), "{health}");
}

#[tokio::test(start_paused = true)]
async fn bursts_that_drain_shed_nobody() {
    let pool = pool(Shedding::On);
    for _ in 0..10 {
        let mut burst = JoinSet::new();
        for _ in 0..50 {
            let pool = pool.clone();
            burst.spawn(async move {
                let _conn = pool.get().await.unwrap();
                sleep(20 * MS).await;
            });
        }
        burst.join_all().await;
        sleep(1_000 * MS).await;
    }
    assert_eq!(pool.stats().shed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_no_overload() {
    let pool = pool(Shedding::On);
    pool.pause(pool_core::WhilePaused::Wait);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.map(drop) }
    });
    sleep(10_000 * MS).await;
    pool.resume();
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_out_a_pause_is_not_shed_for_an_overload_before_it() {
    let pool = pool(Shedding::On);
    let crowd = tokio::spawn({
        let pool = pool.clone();
        async move { twice_too_many(&pool, 5).await }
    });
    while pool.stats().shed == 0 {
        sleep(10 * MS).await;
    }
    pool.pause(pool_core::WhilePaused::Wait);
    let before = pool.stats().shed;
    sleep(1_000 * MS).await;
    assert_eq!(pool.stats().shed, before);
    assert!(pool.stats().waiting > 0);
    pool.resume();
    crowd.await.unwrap();
}
