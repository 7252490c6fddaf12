use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Error, PooledConnection, Stats, Validation};
use tokio::time::{sleep, timeout};

use crate::lines::Lines;
use crate::{MS, SECOND, about_to, builder, getter, open, settle};

#[tokio::test(start_paused = true)]
async fn statistics_say_what_happened() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::SucceedAfter(20 * MS));
    let pool = builder(&mock, 0, 2)
        .acquire_timeout(SECOND)
        .build()
        .unwrap();
    let one = pool.get().await.unwrap();
    assert!((pool.stats().utilisation() - 0.5).abs() < f64::EPSILON);
    let two = pool.get().await.unwrap();
    assert!(pool.get().await.is_err());
    let stats = pool.stats();
    assert_eq!((stats.total, stats.active, stats.idle), (2, 2, 0));
    assert_eq!((stats.acquired, stats.released, stats.timed_out), (2, 0, 1));
    sleep(4 * SECOND).await;
    drop(one);
    PooledConnection::invalidate(two);
    let stats = pool.stats();
    assert_eq!(
        (stats.acquired, stats.released, stats.connects, stats.closed),
        (2, 2, 2, 1)
    );
    assert_eq!((stats.peak_active, stats.peak_waiting), (2, 1));
    assert_eq!((stats.wait.count, stats.connect.count), (2, 2));
    assert_eq!(stats.connect.p50, 20 * MS);
    assert!(stats.usage.max >= 5 * SECOND, "{:?}", stats.usage);
    assert!((stats.utilisation() - 0.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_checkout_that_found_one_idle_waited_no_time() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    for _ in 0..99 {
        drop(pool.get().await.unwrap());
    }
    let held = pool.get().await.unwrap();
    let waiter = getter(&pool);
    sleep(70 * MS).await;
    drop(held);
    waiter.await.unwrap().unwrap();
    let wait = pool.stats().wait;
    assert_eq!(
        (wait.count, wait.p95, wait.max),
        (101, Duration::ZERO, 70 * MS)
    );
}

#[tokio::test(start_paused = true)]
async fn a_checkout_whose_caller_goes_away_is_cancelled_whatever_it_waited_for() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Hang);
    let connecting = builder(&mock, 0, 1).build().unwrap();
    assert!(timeout(MS, connecting.get()).await.is_err());
    assert_eq!(connecting.stats().cancelled, 1);
    mock.forget(Step::Connect);

    let pool = open(&mock, 1, 1).await;
    let held = pool.get().await.unwrap();
    let mut waiting = Box::pin(pool.get());
    assert!(timeout(MS, &mut waiting).await.is_err());
    assert_eq!(pool.stats().cancelled, 0, "it still waits");
    drop(held);
    drop(waiting);
    assert_eq!(pool.stats().cancelled, 1, "though one was meant for it");

    for step in [Step::Validate, Step::Recycle] {
        let pool = about_to(step, &mock, 1).await;
        mock.always(step, Act::SucceedAfter(SECOND));
        assert!(timeout(MS, pool.get()).await.is_err());
        assert_eq!(pool.stats().cancelled, 1, "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_checkout_is_cancelled_that_ends_or_was_not_begun() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 1).validation(Validation::Always);
    let pool = pool.max_waiting(1).connect().await.unwrap();
    drop(pool.get());
    mock.next(Step::Validate, [Act::SucceedAfter(SECOND)]);
    assert!(pool.get_timeout(MS).await.unwrap_err().is_timeout());
    let held = pool.get().await.unwrap();
    assert!(pool.get_timeout(Duration::ZERO).await.is_err());
    assert!(pool.get_timeout(MS).await.is_err());
    let waiter = getter(&pool);
    settle().await;
    assert!(matches!(pool.get().await, Err(Error::Overloaded { .. })));
    drop(held);
    waiter.await.unwrap().unwrap();
    mock.next(Step::Validate, [Act::SucceedAfter(SECOND)]);
    let tended = getter(&pool);
    mock.until(|mock| mock.running(Step::Validate) == 1).await;
    let waiter = getter(&pool);
    settle().await;
    pool.close().await;
    assert!(tended.await.unwrap().is_err() && waiter.await.unwrap().is_err());
    let stats = pool.stats();
    assert_eq!((stats.cancelled, stats.timed_out), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn statistics_add_up_at_every_moment() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::SucceedAfter(3 * MS));
    mock.always(Step::Recycle, Act::SucceedAfter(2 * MS));
    let pool = builder(&mock, 0, 3).max_uses(5).build().unwrap();
    let crowd: Vec<_> = (0..50)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let conn = pool.get().await.unwrap();
                if number % 3 == 0 {
                    conn.make_dirty();
                }
                sleep(MS).await;
            })
        })
        .collect();
    while crowd.iter().any(|one| !one.is_finished()) {
        let Stats {
            total,
            idle,
            active,
            opening,
            ..
        } = pool.stats();
        assert_eq!(total, idle + active + opening);
        assert!(total <= 3);
        sleep(MS / 3).await;
    }
    assert_eq!(pool.stats().released, 50);
}

#[tokio::test(start_paused = true)]
async fn each_use_counts_though_its_connection_is_replaced_detached_or_closed() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1).max_uses(10).build().unwrap();
    for _ in 0..25 {
        drop(pool.get().await.unwrap());
    }
    drop(PooledConnection::detach(pool.get().await.unwrap()));
    for _ in 0..3 {
        drop(pool.get().await.unwrap());
    }
    pool.close().await;
    let stats = pool.stats();
    assert_eq!((stats.usage.count, stats.released), (29, 29));
}

#[tokio::test(start_paused = true)]
async fn holders_are_listed_by_age_with_their_call_sites() {
    let mock = MockManager::new();
    let pool = open(&mock, 2, 2).await;
    let _old = pool.get().await.unwrap();
    sleep(SECOND).await;
    let _new = pool.get().await.unwrap();
    let holders = pool.holders();
    assert_eq!(holders.len(), 2);
    assert!(holders[0].held_for == SECOND && holders[1].held_for.is_zero());
    assert!(holders[0].site.file().ends_with("told.rs"));
    assert!(holders[0].site.line() < holders[1].site.line());
}

#[tokio::test(start_paused = true)]
async fn metadata_tells_number_age_and_uses() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    sleep(SECOND).await;
    drop(pool.get().await.unwrap());
    let conn = pool.get().await.unwrap();
    let meta = PooledConnection::metadata(&conn);
    assert_eq!(
        (meta.id, meta.uses, meta.age, meta.generation),
        (1, 2, SECOND, 0)
    );
    assert!(meta.idle_for.is_zero());
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_printed_is_long_or_secret() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 2).name("orders").connect().await.unwrap();
    assert_eq!(pool.name(), "orders");
    assert_eq!(
        format!("{pool:?}"),
        "Pool { name: \"orders\", state: 1 of 2 connections (0 active, 1 idle, 0 opening), \
         0 waiting, closed: false }"
    );
    let conn = pool.get().await.unwrap();
    assert_eq!(format!("{conn:?}"), "MockConnection { id: 1, .. }");
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_seconds_are_told_to_whoever_asks_and_goes_on_asking() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1).build().unwrap();
    drop(pool.get().await.unwrap());
    assert_eq!(
        pool.windows().last_60s.acquired,
        0,
        "nobody has asked before"
    );
    for _ in 0..100 {
        drop(pool.get().await.unwrap());
    }
    sleep(5 * SECOND).await;
    let windows = pool.windows();
    assert_eq!(windows.last_1s.acquired, 0);
    assert_eq!(
        (windows.last_10s.acquired, windows.last_10s.over),
        (100, 5 * SECOND)
    );
    assert!((windows.last_60s.acquired_per_second() - 20.0).abs() < 1e-9);
    assert_eq!(windows.last_10s.wait.p99, Duration::ZERO);
    let held = pool.get().await.unwrap();
    assert!(pool.get_timeout(SECOND).await.is_err());
    sleep(2 * SECOND).await;
    drop(held);
    let windows = pool.windows();
    assert_eq!(
        (windows.last_10s.timed_out, windows.last_1s.timed_out),
        (1, 0)
    );
    let told = windows.last_10s.to_string();
    assert!(told.contains("1 timed out"), "{told}");
    // Asked once more, long after: what was kept is gone.
    sleep(300 * SECOND).await;
    assert_eq!(pool.windows().last_60s.over, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_peak_knows_of_a_checkout_at_which_nobody_looked() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    drop(pool.get().await.unwrap());
    assert_eq!(pool.stats().peak_active, 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_seconds_of_a_pool_at_rest_are_told() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    sleep(40 * SECOND).await;
    pool.windows();
    sleep(5 * SECOND).await;
    assert_eq!(pool.windows().last_1s.over, SECOND);
}

/// In real time: under a paused clock the pool's own never runs.
#[tokio::test]
async fn the_peak_knows_of_checkouts_that_read_the_clock_of_the_pool() {
    let mock = MockManager::new();
    let pool = open(&mock, 3, 3).await;
    drop(pool.get().await.unwrap());
    // The keeper winds up its clock, and ticks no more until the next await.
    sleep(50 * MS).await;
    let held = [(); 3].map(|()| pool.try_get().unwrap().unwrap());
    drop(held);
    assert_eq!(pool.stats().peak_active, 3);
}

#[tokio::test(start_paused = true)]
async fn the_last_seconds_are_told_to_a_thread_whose_clock_is_behind() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    sleep(30 * SECOND).await;
    pool.windows();
    // Outside the runtime the clock does not leap.
    let windows = std::thread::spawn(move || pool.windows()).join().unwrap();
    assert_eq!(windows.last_60s.over, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_use_counts_however_it_ends() {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 2).build().unwrap();
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    sleep(40 * SECOND).await;
    PooledConnection::invalidate(one);
    drop(PooledConnection::detach(two));
    let usage = pool.stats().usage;
    assert_eq!((usage.count, usage.max), (2, 40 * SECOND));
    assert_eq!(
        lines.count_of("came back"),
        1,
        "a leak is taken back, of what has come back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_checkout_that_waits_for_long_more_than_once_is_one_slow_checkout() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 2).validation(Validation::Always);
    let pool = pool.slow_acquire_threshold(SECOND).build().unwrap();
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let waiting = getter(&pool);
    sleep(3 * SECOND).await;
    mock.always(Step::Connect, Act::SucceedAfter(5 * SECOND));
    for held in [one, two] {
        mock.next(Step::Validate, [Act::Fail]);
        drop(held);
        sleep(SECOND).await;
    }
    waiting.await.unwrap().unwrap();
    assert_eq!(pool.stats().slow, 1);
}
