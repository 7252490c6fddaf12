//! A pool whose size follows its load.

use pool_core::Pool;
use pool_core::testing::MockManager;
use tokio::time::sleep;

use crate::SECOND;
use crate::lines::Lines;

async fn hold(pool: &Pool<MockManager>, count: usize) -> Vec<impl Send> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(pool.get().await.unwrap());
    }
    held
}

#[tokio::test(start_paused = true)]
async fn more_are_open_than_in_use_within_two_seconds() {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let pool = Pool::builder(MockManager::new()).max_size(50);
    let pool = pool.auto_scaling(true).build().unwrap();
    let _held = hold(&pool, 20).await;
    assert_eq!(pool.stats().total, 20);
    sleep(2 * SECOND).await;
    let stats = pool.stats();
    assert_eq!((stats.total, stats.idle, stats.scaled_up), (24, 4, 1));
    assert!(lines.has(&["INFO", "scaled", "from=20", "to=24", "100 %", "in use"]));
}

#[tokio::test(start_paused = true)]
async fn what_the_load_does_not_need_is_closed_step_by_step_and_never_below_the_minimum() {
    let pool = Pool::builder(MockManager::new()).min_size(4).max_size(50);
    let pool = pool
        .auto_scaling(true)
        .idle_timeout(None)
        .max_lifetime(None)
        .build()
        .unwrap();
    drop(hold(&pool, 40).await);
    sleep(50 * SECOND).await;
    assert_eq!(
        pool.stats().total,
        48,
        "some headroom, for they had to wait"
    );
    sleep(15 * SECOND).await;
    assert_eq!(pool.stats().total, 38);
    sleep(60 * SECOND).await;
    assert_eq!(pool.stats().total, 30);
    sleep(3_600 * SECOND).await;
    let stats = pool.stats();
    assert_eq!((stats.total, stats.closed_by.scaled_down), (4, 44));
}

#[tokio::test(start_paused = true)]
async fn the_longest_idle_go_first_and_what_is_held_stays() {
    let pool = Pool::builder(MockManager::new()).min_size(0).max_size(50);
    let pool = pool
        .auto_scaling(true)
        .idle_timeout(None)
        .max_lifetime(None)
        .build()
        .unwrap();
    let mut held = hold(&pool, 10).await;
    let kept = held.split_off(7);
    drop(held);
    sleep(3_600 * SECOND).await;
    let stats = pool.stats();
    assert_eq!(stats.active, 3);
    assert_eq!(stats.total, 6, "{stats}");
    drop(kept);
}

#[tokio::test(start_paused = true)]
async fn without_it_nothing_is_opened_ahead() {
    let pool = Pool::builder(MockManager::new())
        .max_size(50)
        .build()
        .unwrap();
    let _held = hold(&pool, 20).await;
    sleep(20 * SECOND).await;
    assert_eq!(pool.stats().total, 20);
}

#[tokio::test(start_paused = true)]
async fn a_pool_at_rest_has_nothing_to_wake_up_for() {
    let pool = Pool::builder(MockManager::new()).min_size(2);
    let pool = pool.auto_scaling(true).keepalive(None).build().unwrap();
    drop(hold(&pool, 2).await);
    sleep(10 * 3_600 * SECOND).await;
    assert_eq!(pool.stats().total, 2);
}
