//! A manager that recycles nothing.

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{HealthStatus, Pool};
use tokio::time::sleep;

use crate::SECOND;
use crate::lines::Lines;

const FAILS: &str = "recycling fails, so each use costs a connect: ";

fn pool_of(size: usize) -> (MockManager, Pool<MockManager>) {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::SucceedAfter(SECOND));
    let builder = Pool::builder(mock.clone()).min_size(0).max_size(size);
    (mock, builder.recycle_timeout(SECOND).build().unwrap())
}

/// Uses a connection so that it has to be recycled, and waits for what comes of it.
async fn use_one(pool: &Pool<MockManager>) {
    let conn = pool.get().await.unwrap();
    conn.make_dirty();
    drop(conn);
    sleep(2 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn where_every_recycling_fails_health_says_so_until_one_succeeds() {
    for (act, error) in [
        (Act::Fail, "the mock was told to fail to Recycle"),
        (Act::Hang, "no answer within 1.0s"),
        (Act::Panic, "the manager panicked"),
    ] {
        let (mock, pool) = pool_of(1);
        mock.always(Step::Recycle, act);
        use_one(&pool).await;
        assert_eq!(pool.health().status, HealthStatus::Healthy, "its own fault");
        use_one(&pool).await;
        let health = pool.health();
        assert_eq!(health.status, HealthStatus::Degraded);
        assert_eq!(health.reasons, [format!("{FAILS}{error}")]);
        assert_eq!(mock.count(Step::Connect), 2, "and callers are served");

        mock.forget(Step::Recycle);
        use_one(&pool).await;
        assert_eq!(pool.health().status, HealthStatus::Healthy);
    }
}

#[tokio::test(start_paused = true)]
async fn recyclings_that_failed_are_forgotten_when_none_has_for_a_minute() {
    let (mock, pool) = pool_of(1);
    mock.always(Step::Recycle, Act::Fail);
    use_one(&pool).await;
    use_one(&pool).await;
    sleep(50 * SECOND).await;
    assert_eq!(pool.health().status, HealthStatus::Degraded);
    sleep(10 * SECOND).await;
    assert_eq!(pool.health().status, HealthStatus::Healthy);
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_costs_all_that_were_open_is_no_sign_that_recycling_fails() {
    let (mock, pool) = pool_of(3);
    let (one, two, three) = tokio::join!(pool.get(), pool.get(), pool.get());
    mock.always(Step::Recycle, Act::Fail);
    for conn in [one, two, three] {
        let conn = conn.unwrap();
        conn.make_dirty();
        drop(conn);
        sleep(SECOND).await;
    }
    assert_eq!(pool.stats().closed_by.recycle_failed, 3);
    assert_eq!(pool.health().status, HealthStatus::Healthy);
}

#[tokio::test(start_paused = true)]
async fn that_every_recycling_fails_is_said_once_and_that_it_is_over_too() {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let (mock, pool) = pool_of(1);
    mock.always(Step::Recycle, Act::Fail);
    for _ in 0..10 {
        use_one(&pool).await;
    }
    assert!(lines.has(&[
        "WARN",
        "recycling fails: each use costs a connect",
        "told to fail"
    ]));
    assert_eq!(lines.count_of("WARN"), 2, "the first is its own fault");
    mock.forget(Step::Recycle);
    use_one(&pool).await;
    use_one(&pool).await;
    assert_eq!(lines.count_of("recycling succeeds again"), 1);
}
