//! What is said of checkouts that wait for long.

use pool_core::testing::MockManager;
use pool_core::{Error, NestedAcquire, Pool};
use tokio::time::sleep;

use crate::SECOND;
use crate::lines::Lines;

#[tokio::test(start_paused = true)]
async fn a_checkout_that_waits_for_long_is_reported_while_it_waits() {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let pool = Pool::builder(MockManager::new()).min_size(0).max_size(1);
    let pool = pool.name("orders").build().unwrap();
    let held = pool.get().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.map(drop) }
    });
    sleep(SECOND * 199 / 100).await;
    assert_eq!(lines.count_of("waits for long"), 0);
    sleep(SECOND / 50).await;
    assert!(lines.has(&[
        "WARN",
        "waits for long",
        "pool=orders",
        "slow.rs",
        "1 waiting"
    ]));
    assert_eq!(pool.stats().oldest_waiter.as_secs(), 2);
    drop(held);
    waiting.await.unwrap().unwrap();
    assert_eq!(
        (pool.stats().slow, lines.count_of("waits for long")),
        (1, 1)
    );
    assert_eq!(pool.stats().oldest_waiter.as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_waits_is_one_report_a_second_and_none_loses_its_deadline() {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let pool = Pool::builder(MockManager::new()).min_size(0).max_size(1);
    let pool = pool.acquire_timeout(5 * SECOND).build().unwrap();
    let _held = pool.get().await.unwrap();
    let crowd: Vec<_> = (0..100)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.get().await.map(drop) })
        })
        .collect();
    for waiting in crowd {
        let error = waiting.await.unwrap().unwrap_err();
        let Error::Timeout { waited, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(waited.as_secs(), 5);
    }
    assert_eq!(
        (pool.stats().slow, lines.count_of("waits for long")),
        (100, 1)
    );
}

/// A task that takes a connection and waits for a second one.
async fn take_two(pool: Pool<MockManager>) -> Result<(), Error<pool_core::testing::MockError>> {
    let _first = pool.get().await?;
    let _second = pool.get().await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_itself_is_told_where_it_took_the_first() {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let pool = Pool::builder(MockManager::new()).min_size(0).max_size(1);
    let pool = pool.acquire_timeout(5 * SECOND).build().unwrap();
    let error = tokio::spawn(take_two(pool)).await.unwrap().unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(lines.has(&["WARN", "it may wait for itself", "held=", "slow.rs"]));
}

#[tokio::test(start_paused = true)]
async fn by_setting_it_fails_at_once_and_only_if_it_would_wait() {
    let pool = Pool::builder(MockManager::new()).min_size(0).max_size(2);
    let pool = pool.nested_acquire(NestedAcquire::Fail).build().unwrap();
    let error = tokio::spawn(take_two(pool.clone()))
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, Error::Nested { .. }) && !error.is_transient());
    assert!(error.to_string().contains("slow.rs"), "{error}");

    drop((pool.get().await.unwrap(), pool.get().await.unwrap()));
    tokio::spawn(take_two(pool.clone())).await.unwrap().unwrap();

    let both = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let other = tokio::spawn(async move { pool.get().await.map(drop) });
    sleep(SECOND).await;
    drop(both);
    other.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_holder_shows_its_span_and_of_the_share_asked_for_its_backtrace() {
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry());
    let pool = Pool::builder(MockManager::new()).leak_backtraces(1.0);
    let pool = pool.build().unwrap();
    let span = tracing::info_span!("request");
    let held = span.in_scope(|| pool.try_get()).unwrap();
    assert!(held.is_none(), "nothing is open yet");
    drop(pool.get().await.unwrap());
    let _held = span.in_scope(|| pool.try_get()).unwrap().unwrap();
    let holder = pool.holders().remove(0);
    assert_eq!(holder.span, span.id().map(|id| id.into_u64()));
    let backtrace = holder.backtrace.unwrap().to_string();
    assert!(backtrace.contains("a_holder_shows_its_span"), "{backtrace}");
}

#[tokio::test(start_paused = true)]
async fn who_holds_a_connection_of_a_closed_pool_is_told_that_it_is_closed() {
    let pool = Pool::builder(MockManager::new()).min_size(0);
    let pool = pool.nested_acquire(NestedAcquire::Fail).build().unwrap();
    let asking = tokio::spawn(async move {
        let _first = pool.get().await?;
        pool.close_timeout(SECOND).await;
        pool.get().await.map(drop)
    });
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
}
