use std::time::Duration;

use pool_core::testing::{Act, Step};
use pool_core::{BreakerState, ConfigError, Error, PooledConnection};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

use crate::{SECOND, refusing};

#[tokio::test(start_paused = true)]
async fn waiters_are_told_the_cause_when_it_opens_and_newcomers_at_once() {
    let (mock, builder) = refusing();
    let pool = builder.build().unwrap();
    let began = Instant::now();
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    assert!(error.is_transient() && !error.is_timeout());
    for part in ["pool \"mock\"", "told to fail to Connect"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(began.elapsed() < 2 * SECOND, "long before acquire_timeout");
    assert_eq!(mock.count(Step::Connect), 5);
    assert_eq!(pool.stats().breaker_opened, 1);

    let began = Instant::now();
    let error = pool.get().await.unwrap_err();
    let Error::CircuitOpen { retry_after, .. } = error else {
        panic!("{error}")
    };
    assert!(began.elapsed().is_zero());
    assert!(
        retry_after <= Duration::from_millis(250),
        "somebody asks, so it is tried soon"
    );
    assert!(pool.stats().rejected >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_share_of_failures_opens_the_breaker_too_unless_its_window_is_none() {
    for (window, times) in [(Some(600 * SECOND), 1), (None, 0)] {
        let (mock, builder) = refusing();
        let every_other = [Act::Fail, Act::Succeed].into_iter().cycle();
        mock.next(Step::Connect, every_other.take(40));
        let pool = builder
            .breaker_threshold(100)
            .breaker_failure_rate(0.5)
            .breaker_window(window)
            .build()
            .unwrap();
        for _ in 0..10 {
            if let Ok(conn) = pool.get().await {
                PooledConnection::invalidate(conn);
            }
        }
        assert_eq!(pool.stats().breaker_opened, times, "{window:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_connect_at_a_time_probes_however_many_were_planned() {
    let (mock, builder) = refusing();
    mock.next(Step::Connect, [Act::Fail]);
    mock.always(Step::Connect, Act::Hang);
    let pool = builder
        .max_size(8)
        .min_size(8)
        .max_connecting(8)
        .breaker_threshold(1)
        .connect_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    sleep(60 * SECOND).await;
    assert!(pool.breaker().state().is_open() && mock.count(Step::Connect) > 5);
    assert_eq!(mock.peak_running(Step::Connect), 1);
}

#[tokio::test(start_paused = true)]
async fn once_they_succeed_connects_are_made_side_by_side_again() {
    let (mock, builder) = refusing();
    mock.next(Step::Connect, [Act::Fail, Act::Succeed]);
    mock.always(Step::Connect, Act::Hang);
    let pool = builder.max_size(4).max_connecting(3).build().unwrap();
    let _first = pool.get().await.unwrap();
    let mut others = JoinSet::new();
    for _ in 0..3 {
        let pool = pool.clone();
        others.spawn(async move { pool.get().await.is_ok() });
    }
    mock.until(|mock| mock.running(Step::Connect) == 3).await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_exist_keep_serving_while_it_is_open() {
    let (mock, builder) = refusing();
    mock.always(Step::Connect, Act::Succeed);
    let pool = builder.max_size(2).build().unwrap();
    let held = pool.get().await.unwrap();
    pool.breaker().trip();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.map(|conn| conn.id()) }
    });
    advance(SECOND).await;
    assert_eq!(pool.stats().waiting, 1, "it waits for what is held");
    let id = held.id();
    drop(held);
    assert_eq!(waiter.await.unwrap().unwrap(), id);
    assert_eq!(pool.get().await.unwrap().id(), id);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_when_the_last_connection_is_gone() {
    let (mock, builder) = refusing();
    mock.next(Step::Connect, [Act::Succeed]);
    let pool = builder.max_size(2).build().unwrap();
    let held = pool.get().await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.map(drop) }
    });
    sleep(2 * SECOND).await;
    assert_eq!(pool.breaker().state(), BreakerState::Open);
    assert_eq!(pool.stats().waiting, 1);
    held.break_it();
    drop(held);
    let error = waiter.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
}

/// 100 callers that try again 10 ms after an error, while the server is down and until all are served.
async fn callers_while_down(while_down: Act) -> Result<(), ConfigError> {
    let (mock, builder) = refusing();
    mock.always(Step::Connect, Act::Succeed);
    let pool = builder.max_size(10).connect_timeout(SECOND).build()?;
    drop(pool.get().await.unwrap());
    pool.retain(|_, _| false);
    mock.always(Step::Connect, while_down);
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let pool = pool.clone();
        callers.spawn(async move {
            while pool.get().await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        });
    }
    let mut before = mock.count(Step::Connect);
    for second in 0..3 {
        sleep(SECOND).await;
        let attempts = mock.count(Step::Connect) - before;
        before += attempts;
        // Up to `max_connecting` begin before the first of them has failed.
        let allowed = if second == 0 { 14 } else { 10 };
        assert!(
            (1..=allowed).contains(&attempts),
            "{attempts} attempts in second {second}"
        );
    }
    // Not at the moment at which a connect that hangs would have been given up anyway.
    sleep(SECOND / 2).await;
    mock.always(Step::Connect, Act::Succeed);
    let back = Instant::now();
    callers.join_all().await;
    let took = back.elapsed();
    assert!(took <= Duration::from_millis(300), "{took:?}");
    assert_eq!(pool.breaker().state(), BreakerState::Closed);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hundred_impatient_callers_make_ten_attempts_a_second_and_are_served_at_once_after() {
    callers_while_down(Act::Fail).await.unwrap();
}

/// Not after the second that a connect may take: once connects fail, those that follow are given up
/// sooner.
#[tokio::test(start_paused = true)]
async fn the_same_when_connects_hang() {
    callers_while_down(Act::Hang).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_become_slow_is_let_in_in_the_end() {
    let (mock, builder) = refusing();
    mock.always(Step::Connect, Act::Succeed);
    let pool = builder.acquire_timeout(100 * SECOND).build().unwrap();
    drop(pool.get().await.unwrap());
    pool.retain(|_, _| false);
    mock.next(Step::Connect, [Act::Fail]);
    mock.always(Step::Connect, Act::SucceedAfter(SECOND));
    let served = async {
        while pool.get().await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(20 * SECOND, served).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_and_attempts_grow_rare_until_somebody_does() {
    let (mock, builder) = refusing();
    let pool = builder.min_size(1).build().unwrap();
    sleep(600 * SECOND).await;
    let attempts = mock.count(Step::Connect);
    assert!((30..200).contains(&attempts), "{attempts} in ten minutes");
    mock.always(Step::Connect, Act::Succeed);
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }));
    sleep(Duration::from_millis(251)).await;
    drop(pool.get().await.expect("the question shortened the pause"));
}

#[tokio::test(start_paused = true)]
async fn who_begins_to_wait_shortens_the_pause_between_attempts() {
    let (mock, builder) = refusing();
    let pool = builder.min_size(1).breaker_threshold(0).build().unwrap();
    sleep(600 * SECOND).await;
    mock.always(Step::Connect, Act::Succeed);
    let waited = pool.get_timeout(Duration::from_millis(251)).await;
    drop(waited.expect("not after the sixteen seconds it may be while nobody waits"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_left_alone_once_nobody_asks_for_it() {
    let (mock, builder) = refusing();
    let pool = builder.build().unwrap();
    for _ in 0..2 {
        pool.get().await.map(drop).unwrap_err();
    }
    sleep(2 * SECOND).await;
    let attempts = mock.count(Step::Connect);
    sleep(600 * SECOND).await;
    assert_eq!(mock.count(Step::Connect), attempts);
}

#[tokio::test(start_paused = true)]
async fn a_first_use_of_what_was_opened_before_an_outage_does_not_end_it() {
    let (mock, builder) = refusing();
    mock.always(Step::Connect, Act::Succeed);
    let pool = builder.min_size(2).connect().await.unwrap();
    mock.always(Step::Connect, Act::Fail);
    let one = pool.get().await.unwrap();
    one.break_it();
    drop(one);
    sleep(60 * SECOND).await;
    assert!(pool.breaker().state().is_open());
    let _other = pool.get().await.unwrap();
    assert!(pool.breaker().state().is_open());
}

#[tokio::test(start_paused = true)]
async fn exactly_one_connect_probes() {
    let (mock, builder) = refusing();
    mock.always(Step::Connect, Act::Fail);
    let pool = builder.build().unwrap();
    pool.get().await.unwrap_err();
    mock.always(Step::Connect, Act::Hang);
    for _ in 0..50 {
        pool.get().await.unwrap_err();
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(mock.running(Step::Connect), 1);
    assert_eq!(pool.breaker().state(), BreakerState::HalfOpen);
}

#[test]
fn a_probe_that_ends_with_its_runtime_leaves_it_open() {
    let (mock, builder) = refusing();
    let pool = builder.build().unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        pool.get().await.map(drop).unwrap_err();
        mock.always(Step::Connect, Act::Hang);
        pool.get().await.map(drop).unwrap_err();
        mock.until(|mock| mock.running(Step::Connect) == 1).await;
    });
    assert_eq!(pool.breaker().state(), BreakerState::HalfOpen);
    drop(runtime);
    assert_eq!(pool.breaker().state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn without_a_threshold_callers_wait_until_their_time_is_up() {
    let (_, builder) = refusing();
    let pool = builder
        .breaker_threshold(0)
        .acquire_timeout(5 * SECOND)
        .build()
        .unwrap();
    assert_eq!(pool.breaker().state(), BreakerState::Disabled);
    let began = Instant::now();
    let error = pool.get().await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(
        error.to_string().contains("told to fail"),
        "it names the cause: {error}"
    );
    assert_eq!(began.elapsed().as_secs(), 5);
}
