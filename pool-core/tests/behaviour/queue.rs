use std::sync::{Arc, Mutex};

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Error, Reuse, Stage, Validation, WhilePaused};
use tokio::time::{Instant, sleep, timeout};

use crate::{MS, SECOND, builder, getter, open, settle};

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_the_order_they_came() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    let held = pool.get().await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..20 {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let _conn = pool.get().await.unwrap();
            order.lock().unwrap().push(number);
            tokio::task::yield_now().await;
        }));
        settle().await;
    }
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_never_overtakes_a_waiter() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    let held = pool.get().await.unwrap();
    let waiter = getter(&pool);
    settle().await;
    drop(held);
    assert!(
        pool.try_get().unwrap().is_none(),
        "it belongs to the waiter"
    );
    assert!(pool.get_timeout(std::time::Duration::ZERO).await.is_err());
    waiter.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_whichever_is_first_a_return_or_a_new_connection() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 2).await;
    let held = pool.get().await.unwrap();
    let id = held.id();
    mock.next(Step::Connect, [Act::SucceedAfter(100 * MS)]);
    let began = Instant::now();
    let waiter = getter(&pool);
    sleep(5 * MS).await;
    drop(held);
    assert_eq!(waiter.await.unwrap().unwrap(), id);
    assert_eq!(began.elapsed(), 5 * MS);
    sleep(SECOND).await;
    assert_eq!(
        (mock.open(), pool.stats().idle),
        (2, 2),
        "the slow connect is idle in the end"
    );
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_and_tries_again_is_served_by_the_first_connect() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::SucceedAfter(100 * MS));
    let pool = builder(&mock, 0, 10).build().unwrap();
    let began = Instant::now();
    let conn = loop {
        if let Ok(conn) = timeout(30 * MS, pool.get()).await {
            break conn.unwrap();
        }
    };
    assert_eq!((began.elapsed(), conn.id()), (100 * MS, 1));
    sleep(SECOND).await;
    assert_eq!(mock.count(Step::Connect), 1, "no connect was thrown away");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_passes_its_connection_on() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    let held = pool.get().await.unwrap();
    let mut first = Box::pin(pool.get());
    assert!(futures_poll(&mut first).is_none());
    let second = getter(&pool);
    settle().await;
    drop(held);
    drop(first);
    second.await.unwrap().unwrap();
    assert_eq!((mock.open(), pool.stats().idle), (1, 1));
}

fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut cx) {
        std::task::Poll::Ready(done) => Some(done),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn max_waiting_bounds_the_queue_and_zero_still_serves_what_there_is() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 2).max_waiting(0).build().unwrap();
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    assert!(matches!(
        pool.get().await.unwrap_err(),
        Error::Overloaded { .. }
    ));
    drop(one);
    let _again = pool.get().await.unwrap();
    assert_eq!(pool.stats().refused, 1);
    drop(two);

    let pool = builder(&mock, 0, 1).max_waiting(1).build().unwrap();
    let _held = pool.get().await.unwrap();
    let _waiter = getter(&pool);
    settle().await;
    assert!(matches!(
        pool.get().await.unwrap_err(),
        Error::Overloaded { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn max_waiting_does_not_count_on_connects_that_must_not_begin() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 3).max_waiting(0).build().unwrap();
    let held = pool.get().await.unwrap();
    pool.breaker().trip();
    let error = pool.get_timeout(SECOND).await.unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    pool.breaker().reset();
    drop(pool.get().await.expect("another can be opened again"));
    pool.pause(WhilePaused::Wait);
    let error = pool.get_timeout(SECOND).await.unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_waiters_that_give_up_leave_the_next_one_first() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 1)
        .acquire_timeout(SECOND)
        .connect()
        .await
        .unwrap();
    let held = pool.get().await.unwrap();
    let crowd: Vec<_> = (0..10_000).map(|_| getter(&pool)).collect();
    sleep(2 * SECOND).await;
    for one in crowd {
        one.await.unwrap().unwrap_err();
    }
    let stats = pool.stats();
    assert_eq!(
        (stats.timed_out, stats.waiting, stats.peak_waiting),
        (10_000, 0, 10_000)
    );
    let next = getter(&pool);
    settle().await;
    drop(held);
    next.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_timeout_comes_at_its_time_and_says_what_the_pool_looked_like() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1)
        .acquire_timeout(3 * SECOND)
        .build()
        .unwrap();
    let _held = pool.get().await.unwrap();
    let began = Instant::now();
    let error = pool.get().await.unwrap_err();
    assert_eq!(began.elapsed(), 3 * SECOND);
    let text = error.to_string();
    for part in [
        "3.0s", "waiting", "\"mock\"", "1 of 1", "1 active", "queue.rs",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let Error::Timeout {
        stage,
        waited,
        snapshot,
        ..
    } = error
    else {
        panic!("{text}")
    };
    assert_eq!(
        (stage, waited, snapshot.active),
        (Stage::Wait, 3 * SECOND, 1)
    );
    assert!(!text.contains('\n'));
}

#[tokio::test(start_paused = true)]
async fn without_patience_only_what_is_idle_is_taken() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1).build().unwrap();
    let began = Instant::now();
    let zero = std::time::Duration::ZERO;
    assert!(pool.get_timeout(zero).await.unwrap_err().is_timeout());
    assert!(pool.try_get().unwrap().is_none());
    settle().await;
    drop(
        pool.get_timeout(zero)
            .await
            .expect("one was opened for the next attempt"),
    );
    assert!(pool.try_get().unwrap().is_some());
    assert!(began.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn lifo_takes_the_last_used_and_fifo_the_longest_idle() {
    let mock = MockManager::new();
    for (reuse, expected) in [(Reuse::Lifo, 2), (Reuse::Fifo, 1)] {
        let pool = builder(&mock, 3, 3).reuse(reuse).connect().await.unwrap();
        let mut held: Vec<_> = Vec::new();
        for _ in 0..3 {
            held.push(pool.get().await.unwrap());
        }
        held.sort_by_key(|conn| conn.id());
        let ids: Vec<_> = held.iter().map(|conn| conn.id()).collect();
        let last = held.pop().unwrap();
        for conn in held {
            drop(conn);
        }
        let next = pool.get().await.unwrap();
        assert_eq!(next.id(), ids[expected - 1], "{reuse}");
        drop((last, next));
    }
}

#[tokio::test(start_paused = true)]
async fn fifo_takes_the_longest_idle_though_it_was_pinged() {
    let mock = MockManager::new();
    let pool = builder(&mock, 2, 2)
        .reuse(Reuse::Fifo)
        .keepalive(10 * SECOND)
        .validation(Validation::Never);
    let pool = pool.connect().await.unwrap();
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let longest = one.id();
    drop(one);
    sleep(5 * SECOND).await;
    drop(two);
    let before = mock.count(Step::Validate);
    sleep(6 * SECOND).await;
    assert_eq!(mock.count(Step::Validate), before + 1, "the one was pinged");
    assert_eq!(pool.get().await.unwrap().id(), longest);
}

#[tokio::test(start_paused = true)]
async fn lifo_takes_the_last_used_though_there_was_a_pause() {
    let mock = MockManager::new();
    let pool = open(&mock, 4, 4).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pool.get().await.unwrap());
    }
    let mut returned: Vec<_> = held.iter().map(|conn| conn.id()).collect();
    drop(held);
    pool.pause(WhilePaused::Wait);
    pool.resume();
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(pool.get().await.unwrap());
    }
    returned.reverse();
    let taken: Vec<_> = taken.iter().map(|conn| conn.id()).collect();
    assert_eq!(taken, returned);
}
