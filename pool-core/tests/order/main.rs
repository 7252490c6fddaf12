//! Who is served when, and with what, where managers and holders misbehave.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pool_core::testing::{Act, MockError, MockManager, Step};
use pool_core::{Error, Pool, PooledConnection, Validation};

const MS: Duration = Duration::from_millis(1);

type Guard = PooledConnection<MockManager>;
type Getting<'a> = Pin<Box<dyn Future<Output = Result<Guard, Error<MockError>>> + 'a>>;

fn pool(mock: &MockManager, max_size: usize) -> Pool<MockManager> {
    Pool::builder(mock.clone())
        .min_size(0)
        .max_size(max_size)
        .build()
        .expect("valid")
}

fn poll(getting: &mut Getting<'_>) -> Poll<Result<Guard, Error<MockError>>> {
    getting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

async fn hold(pool: &Pool<MockManager>, count: usize) -> Vec<Guard> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(pool.get().await.expect("opened"));
    }
    held
}

#[tokio::test(start_paused = true)]
async fn waiters_that_are_served_something_broken_keep_their_order() {
    let mock = MockManager::new();
    let pool = pool(&mock, 2);
    let held = hold(&pool, 2).await;
    let mut waiting: Vec<Getting<'_>> = (0..3).map(|_| Box::pin(pool.get()) as _).collect();
    for getting in &mut waiting {
        assert!(poll(getting).is_pending());
    }
    // The first two are served at once, and what they get breaks on the way.
    mock.always(Step::Connect, Act::SucceedAfter(MS * 5));
    let breakers: Vec<_> = held.iter().map(|conn| conn.breaker()).collect();
    drop(held);
    breakers.iter().for_each(|break_it| break_it());
    assert!(poll(&mut waiting[0]).is_pending());
    assert!(poll(&mut waiting[1]).is_pending());
    // Connections come one at a time from now on, and the first goes to who came first.
    pool.resize(0, 1).expect("valid");
    tokio::time::sleep(MS * 20).await;
    let mut turn = Vec::new();
    while !waiting.is_empty() {
        tokio::time::sleep(MS * 20).await;
        let mut served = Vec::new();
        for (number, getting) in waiting.iter_mut().enumerate() {
            if let Poll::Ready(got) = poll(getting) {
                served.push(number);
                drop(got.expect("it is served"));
            }
        }
        for number in served.iter().rev() {
            drop(waiting.remove(*number));
        }
        turn.extend(served);
    }
    assert_eq!(turn[0], 0, "the one who came first is served first");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_while_it_is_validated_is_not_handed_out() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone())
        .min_size(0)
        .max_size(1)
        .validation(Validation::Always)
        .build()
        .expect("valid");
    let conn = pool.get().await.expect("opened");
    let (first, break_it) = (conn.id(), conn.breaker());
    drop(conn);
    mock.next(Step::Validate, [Act::SucceedAfter(MS * 5)]);
    let mut getting: Getting<'_> = Box::pin(pool.get());
    assert!(poll(&mut getting).is_pending());
    break_it();
    let served = getting.await.expect("another is opened");
    assert_ne!(served.id(), first, "known to be broken");
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_holder_panicked_is_not_kept_beyond_its_end() {
    let mock = MockManager::new();
    let pool = pool(&mock, 1);
    let conn = pool.get().await.expect("opened");
    pool.retire_all();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _conn = conn;
        std::panic::resume_unwind(Box::new("the holder panics"));
    }));
    assert!(panicked.is_err());
    tokio::time::sleep(MS).await;
    assert_eq!(mock.open(), 0, "retired while it was held");
}

#[tokio::test(start_paused = true)]
async fn a_connection_retired_while_it_was_opened_is_closed_when_it_is_through() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::SucceedAfter(MS * 5));
    let pool = pool(&mock, 1);
    let mut getting: Getting<'_> = Box::pin(pool.get());
    assert!(poll(&mut getting).is_pending());
    tokio::time::sleep(MS).await;
    pool.retire_all();
    drop(getting);
    tokio::time::sleep(MS * 10).await;
    assert_eq!(mock.count(Step::Connect), 1);
    assert_eq!(mock.open(), 0, "retired before it was open");
}

#[tokio::test(start_paused = true)]
async fn a_closure_of_retain_that_panics_loses_nothing() {
    let mock = MockManager::new();
    let pool = pool(&mock, 3);
    drop(hold(&pool, 3).await);
    let mut getting: Vec<Getting<'_>> = Vec::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut asked = 0;
        pool.retain(|_, _| {
            asked += 1;
            assert!(asked < 2, "the closure panics at the second");
            true
        });
    }));
    assert!(panicked.is_err());
    assert_eq!((pool.stats().idle, mock.open()), (3, 3));
    for _ in 0..3 {
        getting.push(Box::pin(pool.get()));
    }
    for getting in &mut getting {
        assert!(poll(getting).is_ready(), "all are idle still");
    }
}
