use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Error, Pool, Validation};
use tokio::time::{Instant, sleep};

use crate::{SECOND, about_to, builder, getter, open, settle};

#[tokio::test(start_paused = true)]
async fn close_fails_waiters_at_once_lets_holders_finish_and_reports_who_did_not() {
    let mock = MockManager::new();
    let pool = builder(&mock, 2, 2)
        .drain_timeout(30 * SECOND)
        .connect()
        .await
        .unwrap();
    let (quick, slow) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let waiter = getter(&pool);
    settle().await;
    let began = Instant::now();
    let closing = tokio::spawn({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    assert_eq!(waiter.await.unwrap().unwrap_err(), "the pool is closed");
    assert!(began.elapsed().is_zero());
    sleep(5 * SECOND).await;
    drop(quick);
    slow.interrupted().await;
    assert_eq!(
        began.elapsed(),
        30 * SECOND,
        "interrupted at the end of the patience"
    );
    let report = closing.await.unwrap();
    assert_eq!(
        report.took,
        35 * SECOND,
        "and given close_timeout to notice"
    );
    assert!(!report.is_complete() && report.not_closed == 1 && report.interrupted == 1);
    let told = report.to_string();
    let begins = "closed in 35.0s, 1 holders interrupted, 1 connections left; still held by";
    assert!(
        told.starts_with(begins) && told.contains("closing.rs"),
        "{told}"
    );
    drop(slow);
    assert_eq!(mock.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_gives_nothing_and_closes_again_at_once() {
    let mock = MockManager::new();
    let pool = open(&mock, 3, 3).await;
    assert!(!pool.is_closed());
    let report = pool.close().await;
    assert!(report.is_complete());
    assert_eq!(report.to_string(), "closed in 0.0ns");
    assert!(pool.is_closed() && pool.clone().is_closed());
    assert_eq!(mock.open(), 0);
    assert!(matches!(pool.get().await, Err(Error::Closed)));
    assert!(matches!(pool.try_get(), Err(Error::Closed)));
    assert!(matches!(
        pool.get_timeout(std::time::Duration::ZERO).await,
        Err(Error::Closed)
    ));
    assert!(pool.close().await.is_complete());
    pool.resize(3, 3).unwrap();
    sleep(60 * SECOND).await;
    assert_eq!(mock.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn close_returns_as_soon_as_the_last_holder_does() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    let held = pool.get().await.unwrap();
    tokio::spawn(async move {
        sleep(4 * SECOND).await;
        drop(held);
    });
    let report = pool.close().await;
    assert_eq!((report.took, report.is_complete()), (4 * SECOND, true));
}

#[tokio::test(start_paused = true)]
async fn close_aborts_connects_and_bounds_closes_that_hang() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 3)
        .close_timeout(2 * SECOND)
        .build()
        .unwrap();
    drop(pool.get().await.unwrap());
    mock.always(Step::Connect, Act::Hang);
    mock.always(Step::Close, Act::Hang);
    let (_one, _two) = (getter(&pool), getter(&pool));
    pool.resize(3, 3).unwrap();
    settle().await;
    let report = pool.close().await;
    assert_eq!((report.took, report.is_complete()), (2 * SECOND, true));
    assert_eq!((mock.open(), mock.running(Step::Connect)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn close_timeout_bounds_the_patience_with_a_validation_that_hangs() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 1)
        .validation(Validation::Always)
        .validate_timeout(600 * SECOND)
        .connect()
        .await
        .unwrap();
    mock.always(Step::Validate, Act::Hang);
    let _waiter = getter(&pool);
    settle().await;
    let report = pool.close_timeout(3 * SECOND).await;
    assert_eq!((report.took, report.not_closed), (3 * SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn close_fails_a_checkout_at_once_whose_connection_is_validated_or_recycled() {
    for step in [Step::Validate, Step::Recycle] {
        let mock = MockManager::new();
        let pool = about_to(step, &mock, 1).await;
        mock.always(step, Act::SucceedAfter(SECOND));
        let checkout = getter(&pool);
        mock.until(|mock| mock.running(step) == 1).await;
        let closing = tokio::spawn({
            let pool = pool.clone();
            async move { pool.close().await }
        });
        let began = Instant::now();
        let refused = checkout.await.unwrap();
        assert_eq!(refused.unwrap_err(), "the pool is closed");
        assert!(began.elapsed().is_zero());
        let report = closing.await.unwrap();
        assert_eq!((report.took, report.is_complete()), (SECOND, true));
        assert_eq!(mock.open(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_to_a_closed_pool_is_closed_as_it_is() {
    let mock = MockManager::new();
    let pool = open(&mock, 2, 2).await;
    let validated = mock.count(Step::Validate);
    for step in [Step::Validate, Step::Recycle] {
        mock.always(step, Act::SucceedAfter(3 * SECOND));
    }
    let (dirty, dropped_by_a_panic) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    dirty.make_dirty();
    tokio::spawn(async move {
        sleep(SECOND).await;
        drop(dirty);
        let _held = dropped_by_a_panic;
        panic!("the holder panics");
    });
    let report = pool.close().await;
    assert_eq!((report.took, report.is_complete()), (SECOND, true));
    assert_eq!(mock.count(Step::Recycle), 0);
    assert_eq!(mock.count(Step::Validate), validated);
    let stats = pool.stats();
    assert_eq!((stats.closed_by.pool_closed, mock.open()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn when_the_last_handle_is_dropped_everything_closes_and_no_task_remains() {
    let mock = MockManager::new();
    let pool = builder(&mock, 3, 3)
        .keepalive(SECOND)
        .connect()
        .await
        .unwrap();
    let held = pool.get().await.unwrap();
    let clone = pool.clone();
    drop(pool);
    drop(clone.get().await.unwrap());
    drop(clone);
    assert_eq!(mock.open(), 1, "only what is held");
    drop(held);
    assert_eq!(mock.open(), 0);
    settle().await;
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0, "the keeper has ended");
}

#[tokio::test(start_paused = true)]
async fn what_a_manager_owns_is_freed_with_the_pool() {
    let mock = MockManager::new();
    let pool = open(&mock, 2, 2).await;
    let before = mock.handles();
    drop(pool);
    settle().await;
    assert!(
        mock.handles() < before && mock.handles() == 1,
        "{}",
        mock.handles()
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_says_so_though_connects_fail() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Fail);
    let pool = builder(&mock, 0, 1).build().unwrap();
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    pool.close().await;
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
    assert!(!error.is_transient(), "who tries again for ever never ends");
}

/// Asks, when it is woken, whether the pool is closed.
struct Asks {
    pool: Pool<MockManager>,
    answers: Mutex<Vec<bool>>,
}

impl Wake for Asks {
    fn wake(self: Arc<Self>) {
        let answer = self.pool.is_closed() && self.pool.try_get().is_err();
        self.answers.lock().unwrap().push(answer);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_woken_by_the_close_finds_the_pool_closed() {
    let pool = open(&MockManager::new(), 1, 1).await;
    let held = pool.get().await.unwrap();
    let asks = Arc::new(Asks {
        pool: pool.clone(),
        answers: Mutex::default(),
    });
    {
        let mut waiting = std::pin::pin!(pool.get());
        let waker = Waker::from(Arc::clone(&asks));
        assert!(
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        pool.close_timeout(Duration::ZERO).await;
    }
    let answers = asks.answers.lock().unwrap();
    assert!(!answers.is_empty() && answers.iter().all(|is_closed| *is_closed));
    drop(held);
}
