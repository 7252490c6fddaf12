use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Error, Stage};
use tokio::time::{Instant, sleep, timeout};

use crate::{MS, SECOND, builder, getter, settle};

#[tokio::test(start_paused = true)]
async fn at_no_moment_are_there_more_than_max_size_connections_those_being_opened_or_closed_included()
 {
    let mock = MockManager::new();
    mock.always(Step::Close, Act::SucceedAfter(50 * MS));
    mock.always(Step::Connect, Act::SucceedAfter(5 * MS));
    let pool = builder(&mock, 0, 3).max_uses(1).build().unwrap();
    let crowd: Vec<_> = (0..60).map(|_| getter(&pool)).collect();
    for one in crowd {
        one.await.unwrap().unwrap();
    }
    assert_eq!(mock.peak_open(), 3);
}

#[tokio::test(start_paused = true)]
async fn at_most_max_connecting_connects_run_at_once() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::SucceedAfter(10 * MS));
    let pool = builder(&mock, 0, 20).max_connecting(3).build().unwrap();
    let crowd: Vec<_> = (0..20).map(|_| getter(&pool)).collect();
    for one in crowd {
        one.await.unwrap().unwrap();
    }
    assert_eq!(mock.peak_running(Step::Connect), 3);
}

#[tokio::test(start_paused = true)]
async fn a_connect_does_not_die_with_the_caller_that_caused_it() {
    let mock = MockManager::new();
    mock.next(Step::Connect, [Act::SucceedAfter(SECOND)]);
    let pool = builder(&mock, 0, 5).build().unwrap();
    let caller = getter(&pool);
    mock.until(|mock| mock.running(Step::Connect) == 1).await;
    caller.abort();
    sleep(2 * SECOND).await;
    assert_eq!(pool.stats().idle, 1);
}

#[tokio::test(start_paused = true)]
async fn a_connect_nobody_wants_any_more_is_not_begun() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::SucceedAfter(SECOND));
    let pool = builder(&mock, 0, 10).max_connecting(1).build().unwrap();
    let crowd: Vec<_> = (0..10).map(|_| getter(&pool)).collect();
    mock.until(|mock| mock.running(Step::Connect) == 1).await;
    for one in &crowd {
        one.abort();
    }
    sleep(10 * SECOND).await;
    assert_eq!(mock.count(Step::Connect), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connect_whose_caller_gives_up_at_once_is_not_begun() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 10).build().unwrap();
    tokio::select! {
        biased;
        _ = pool.get() => unreachable!("nothing is open"),
        () = std::future::ready(()) => {}
    }
    settle().await;
    assert_eq!(mock.count(Step::Connect), 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_on_a_dead_server_make_no_storm() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Fail);
    let pool = builder(&mock, 0, 10)
        .breaker_threshold(0)
        .acquire_timeout(10 * SECOND)
        .build()
        .unwrap();
    let crowd: Vec<_> = (0..1_000).map(|_| getter(&pool)).collect();
    sleep(9 * SECOND).await;
    let attempts = mock.count(Step::Connect);
    assert!((20..=100).contains(&attempts), "{attempts} in nine seconds");
    mock.always(Step::Connect, Act::Succeed);
    let back = Instant::now();
    for one in crowd {
        one.await.unwrap().unwrap();
    }
    assert!(back.elapsed() <= 300 * MS, "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_fails_alone_hardly_holds_up_those_that_follow() {
    let mock = MockManager::new();
    let every_other = [Act::Fail, Act::Succeed].into_iter().cycle();
    mock.next(Step::Connect, every_other.take(20));
    let pool = builder(&mock, 0, 10).build().unwrap();
    let began = Instant::now();
    let mut held = Vec::new();
    while held.len() < 10 {
        held.push(pool.get().await.unwrap());
    }
    assert!(began.elapsed() <= 10 * 20 * MS, "{:?}", began.elapsed());
    assert_eq!(pool.stats().connect_failures, 10);
}

#[tokio::test(start_paused = true)]
async fn connections_that_wear_out_are_replaced_as_fast_as_they_do() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 2).max_uses(1).build().unwrap();
    let began = Instant::now();
    for _ in 0..500 {
        drop(pool.get().await.unwrap());
    }
    assert_eq!(mock.count(Step::Connect), 500);
    assert!(began.elapsed().is_zero(), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_a_large_pool_fills_up_at_the_pace_set_for_it() {
    let mock = MockManager::new();
    let pool = builder(&mock, 200, 200).recovery_rate(50);
    let pool = pool.max_connecting(64).connect().await.unwrap();
    assert_eq!(mock.count(Step::Connect), 200, "opening it is not paced");

    mock.always(Step::Connect, Act::Fail);
    pool.retain(|_, _| false);
    sleep(5 * SECOND).await;
    mock.always(Step::Connect, Act::Succeed);
    mock.until(|_| pool.stats().total > 1).await;
    for (seconds, open) in [(1, 60), (2, 110)] {
        sleep(SECOND).await;
        let total = pool.stats().total;
        assert!(
            (open - 2..=open + 4).contains(&total),
            "{total} open {seconds} s after the outage"
        );
    }
    sleep(3 * SECOND).await;
    assert_eq!(pool.stats().idle, 200);
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_hangs_or_panics_is_bounded_and_its_slot_is_free_again() {
    let mock = MockManager::new();
    mock.next(Step::Connect, [Act::Hang, Act::Panic]);
    let pool = builder(&mock, 0, 1)
        .connect_timeout(SECOND)
        .build()
        .unwrap();
    let began = Instant::now();
    drop(pool.get().await.unwrap());
    assert!(began.elapsed() < 2 * SECOND);
    assert_eq!(pool.stats().connect_failures, 2);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_names_the_connect_that_failed() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Fail);
    let pool = builder(&mock, 0, 1)
        .breaker_threshold(0)
        .acquire_timeout(SECOND)
        .build()
        .unwrap();
    let error = pool.get().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the mock was told to fail to Connect"),
        "{error}"
    );
    assert!(
        matches!(
            error,
            Error::Timeout {
                stage: Stage::Connect,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_names_the_connect_that_hangs_though_no_other_may_begin() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Hang);
    let pool = builder(&mock, 0, 1).acquire_timeout(SECOND);
    let error = pool.build().unwrap().get().await.unwrap_err();
    let Error::Timeout { stage, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(stage, Stage::Connect);
}

#[tokio::test(start_paused = true)]
async fn connect_opens_and_validates_the_minimum_or_says_why_not() {
    let mock = MockManager::new();
    let pool = builder(&mock, 7, 10)
        .max_connecting(2)
        .connect()
        .await
        .unwrap();
    assert_eq!(
        (mock.open(), pool.stats().idle, mock.count(Step::Validate)),
        (7, 7, 7)
    );
    assert_eq!(pool.stats().min_size, 7);
    assert_eq!(pool.config().max_connecting, 2);

    for (step, act, text) in [
        (Step::Connect, Act::Fail, "cannot connect"),
        (Step::Validate, Act::Fail, "validation"),
        (Step::Connect, Act::Hang, "no answer within 10"),
        (Step::Validate, Act::Panic, "panicked while validating"),
    ] {
        let mock = MockManager::new();
        mock.next(step, [Act::Succeed, act]);
        let error = builder(&mock, 3, 3).connect().await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        settle().await;
        assert_eq!(mock.open(), 0, "what was opened is closed");
    }
    let error = builder(&mock, 3, 2).connect().await.unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn connect_opens_the_headroom_too() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 5).min_idle(3).connect().await.unwrap();
    assert_eq!((pool.stats().idle, mock.count(Step::Validate)), (3, 3));
    assert_eq!(pool.stats().min_size, 1);
}

#[tokio::test(start_paused = true)]
async fn connect_comes_to_an_end_though_validating_takes_longer_than_a_lifetime() {
    let mock = MockManager::new();
    mock.always(Step::Validate, Act::SucceedAfter(2 * SECOND));
    let connecting = builder(&mock, 2, 2).max_lifetime(SECOND).connect();
    let pool = timeout(60 * SECOND, connecting).await.expect("it ends");
    assert_eq!(pool.unwrap().stats().idle, 2);
}

#[tokio::test(start_paused = true)]
async fn the_minimum_is_filled_in_the_background_and_kept_filled() {
    let mock = MockManager::new();
    let pool = builder(&mock, 3, 5).build().unwrap();
    mock.until(|mock| mock.open() == 3).await;
    let conn = pool.get().await.unwrap();
    conn.break_it();
    drop(conn);
    settle().await;
    assert_eq!((mock.open(), mock.count(Step::Connect)), (3, 4));
}
