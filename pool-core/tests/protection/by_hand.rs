use std::future::Future;
use std::sync::mpsc;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{BreakerState, Error, Pool};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::{SECOND, refusing};

/// Runs `work` under a paused clock, which stands still for as long as any task goes on and on.
fn comes_to_rest<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(work());
        tell.send(()).unwrap();
    });
    told.recv_timeout(20 * SECOND).expect("tasks come to rest");
}

#[test]
fn tripped_it_rests_though_connections_are_missing_to_the_minimum() {
    comes_to_rest(|| async {
        let (mock, builder) = refusing();
        let pool = builder.min_size(2).build().unwrap();
        mock.until(|mock| mock.count(Step::Connect) > 0).await;
        pool.breaker().trip();
        sleep(600 * SECOND).await;
    });
}

#[test]
fn tripped_it_rests_though_somebody_waits_for_a_held_connection() {
    comes_to_rest(|| async {
        let mock = MockManager::new();
        let pool = Pool::builder(mock.clone()).min_size(0).max_size(5);
        let pool = pool.build().unwrap();
        let held = pool.get().await.unwrap();
        pool.breaker().trip();
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { pool.get().await.map(drop) }
        });
        sleep(SECOND).await;
        drop(held);
        waiter.await.unwrap().unwrap();
        assert_eq!(mock.count(Step::Connect), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn an_outage_opens_it_once_however_many_probes_fail() {
    let (mock, builder) = refusing();
    let pool = builder.build().unwrap();
    for _ in 0..20 {
        pool.get().await.map(drop).unwrap_err();
        sleep(SECOND).await;
    }
    assert!(mock.count(Step::Connect) > 10, "it was probed");
    let stats = pool.stats();
    assert_eq!(stats.breaker_opened, 1);
    mock.always(Step::Connect, Act::Succeed);
    while pool.get().await.is_err() {
        sleep(SECOND).await;
    }
    let changes = pool.stats().breaker_changes;
    assert!(stats.breaker_changes > 10, "to half-open and back counts");
    assert!(changes > stats.breaker_changes && pool.stats().breaker_opened == 1);
}

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
async fn tripped_it_is_named_by_a_time_out_where_one_more_could_be_opened() {
    for (max_size, is_named) in [(2, true), (1, false)] {
        let mock = MockManager::new();
        let pool = Pool::builder(mock).min_size(0).max_size(max_size);
        let pool = pool.build().unwrap();
        let _held = pool.get().await.unwrap();
        pool.breaker().trip();
        let error = pool.get_timeout(SECOND).await.unwrap_err();
        assert!(error.is_timeout());
        let told = error.to_string();
        assert_eq!(told.contains("; breaker forced open"), is_named, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn reset_connects_what_is_missing_at_once() {
    let (mock, builder) = refusing();
    let pool = builder.min_size(2).build().unwrap();
    sleep(600 * SECOND).await;
    assert_eq!(pool.breaker().state(), BreakerState::Open);
    mock.always(Step::Connect, Act::Succeed);
    let began = Instant::now();
    pool.breaker().reset();
    mock.until(|mock| mock.open() == 2).await;
    assert!(began.elapsed().is_zero(), "{:?}", began.elapsed());
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
