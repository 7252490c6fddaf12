//! A checkout that is dropped at any point loses nothing: each test drops a `get` after its first
//! poll, its second, and so on until it completes, and counts everything afterwards.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Pool, PoolBuilder, PooledConnection, Validation};

const MS: Duration = Duration::from_millis(1);

type Builder = PoolBuilder<MockManager>;
type Guard = PooledConnection<MockManager>;

fn builder(mock: &MockManager, max_size: usize) -> Builder {
    Pool::builder(mock.clone())
        .min_size(0)
        .max_size(max_size)
        .acquire_timeout(MS * 100)
}

/// Lets whatever is under way come to its end.
async fn settle() {
    tokio::time::sleep(MS * 500).await;
}

/// Drops a checkout after `polls` polls, a millisecond apart; says whether it was completed.
async fn get_and_drop(pool: &Pool<MockManager>, polls: usize) -> bool {
    let mut getting = pin!(pool.get());
    for _ in 0..polls {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(got) = getting.as_mut().poll(&mut cx) {
            drop(got.expect("it is served"));
            return true;
        }
        tokio::time::advance(MS).await;
        tokio::task::yield_now().await;
    }
    false
}

/// Nothing is under way, and every slot is free: all that is open is idle, and as many as may be
/// open can be had.
async fn all_is_there(pool: &Pool<MockManager>, mock: &MockManager) {
    settle().await;
    let stats = pool.stats();
    assert_eq!(
        (stats.active, stats.opening, stats.waiting),
        (0, 0, 0),
        "{stats:?}"
    );
    assert_eq!(stats.idle, mock.open(), "what is open is idle: {stats:?}");
    let mut all = Vec::new();
    for _ in 0..stats.max_size {
        all.push(pool.get().await.expect("no slot was lost"));
    }
    assert_eq!(mock.open(), stats.max_size);
    assert_eq!(pool.stats().active, stats.max_size);
    drop(all);
    assert!(pool.close().await.is_complete());
    assert_eq!(mock.open(), 0);
}

/// Runs `round` with 0 polls, 1, 2, until it says that the checkout was completed.
async fn at_every_poll(mut round: impl AsyncFnMut(usize) -> bool) {
    for polls in 0..1000 {
        if round(polls).await {
            return;
        }
    }
    panic!("the checkout is never completed");
}

#[tokio::test(start_paused = true)]
async fn a_checkout_dropped_while_it_connects_loses_nothing() {
    at_every_poll(async |polls| {
        let mock = MockManager::new();
        mock.always(Step::Connect, Act::SucceedAfter(MS * 3));
        let pool = builder(&mock, 2).build().expect("valid");
        let done = get_and_drop(&pool, polls).await;
        all_is_there(&pool, &mock).await;
        done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_checkout_dropped_while_it_validates_loses_nothing() {
    at_every_poll(async |polls| {
        let mock = MockManager::new();
        let pool = builder(&mock, 2)
            .validation(Validation::Always)
            .build()
            .expect("valid");
        drop(pool.get().await);
        mock.always(Step::Validate, Act::SucceedAfter(MS * 3));
        let done = get_and_drop(&pool, polls).await;
        all_is_there(&pool, &mock).await;
        assert_eq!(mock.count(Step::Connect), 2, "no connection was given up");
        done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_checkout_dropped_while_it_recycles_loses_nothing() {
    at_every_poll(async |polls| {
        let mock = MockManager::new();
        let pool = builder(&mock, 2).build().expect("valid");
        drop(pool.get().await);
        pool.retain(|conn, _| {
            conn.make_dirty();
            true
        });
        mock.always(Step::Recycle, Act::SucceedAfter(MS * 3));
        let done = get_and_drop(&pool, polls).await;
        all_is_there(&pool, &mock).await;
        assert_eq!(mock.count(Step::Connect), 2, "no connection was given up");
        done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_checkout_dropped_while_it_waits_loses_nothing() {
    // The connection comes back so many polls before the drop, or after it.
    for returned_at in 0..4 {
        at_every_poll(async |polls| {
            let mock = MockManager::new();
            let pool = builder(&mock, 1).build().expect("valid");
            let mut held: Option<Guard> = pool.get().await.ok();
            let mut getting = Box::pin(pool.get());
            let mut done = false;
            for poll in 0..polls {
                if poll == returned_at {
                    held = None;
                }
                let mut cx = Context::from_waker(Waker::noop());
                if let Poll::Ready(got) = getting.as_mut().poll(&mut cx) {
                    drop(got.expect("it is served"));
                    done = true;
                    break;
                }
                tokio::task::yield_now().await;
            }
            if polls == returned_at {
                held = None;
            }
            drop(getting);
            drop(held);
            all_is_there(&pool, &mock).await;
            done
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_meant_for_a_dropped_checkout_goes_to_the_next() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1).build().expect("valid");
    let held = pool.get().await.expect("opened");
    let mut first = Box::pin(pool.get());
    let mut second = Box::pin(pool.get());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    drop(held);
    drop(first);
    let Poll::Ready(Ok(served)) = second.as_mut().poll(&mut cx) else {
        panic!("it is served at once");
    };
    drop(served);
    all_is_there(&pool, &mock).await;
}
