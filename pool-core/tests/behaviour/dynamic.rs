use pool_core::testing::{MockConnection, MockError, MockManager, Step};
use pool_core::{BoxManager, BreakerState, Manager, Pool, Severity};

use crate::{SECOND, settle};

type AnyMock = Pool<BoxManager<MockConnection, MockError>>;

#[tokio::test(start_paused = true)]
async fn a_manager_chosen_at_run_time_makes_a_pool_of_one_type() {
    let mock = MockManager::new();
    let pool: AnyMock = Pool::builder(BoxManager::new(mock.clone()))
        .min_size(0)
        .build()
        .unwrap();
    assert_eq!(pool.name(), "mock");
    let conn = pool.get().await.unwrap();
    conn.make_dirty();
    drop(conn);
    assert_eq!(pool.get().await.unwrap().id(), 1);
    pool.close().await;
    assert_eq!(mock.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_manager_chosen_at_run_time_is_asked_for_all_that_it_can_do() {
    let mock = MockManager::new();
    let builder = Pool::builder(BoxManager::new(mock.clone())).min_size(2);
    let pool: AnyMock = builder.connect().await.unwrap();
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    one.make_dirty();
    drop(one);
    settle().await;
    assert_eq!(pool.close_timeout(SECOND).await.interrupted, 1);
    drop(two);
    let counts = [Step::Validate, Step::Recycle, Step::Close].map(|step| mock.count(step));
    assert_eq!(counts, [2, 1, 2]);
}

/// Nothing comes of trying again.
struct Hopeless;

impl Manager for Hopeless {
    type Connection = ();
    type Error = std::fmt::Error;

    async fn connect(&self) -> Result<(), std::fmt::Error> {
        Err(std::fmt::Error)
    }

    async fn validate(&self, (): &mut ()) -> Result<(), std::fmt::Error> {
        Ok(())
    }

    fn severity(&self, _: &std::fmt::Error) -> Severity {
        Severity::Permanent
    }
}

#[tokio::test(start_paused = true)]
async fn a_manager_chosen_at_run_time_says_itself_how_bad_a_failure_is() {
    let pool = Pool::builder(BoxManager::new(Hopeless)).build().unwrap();
    pool.get().await.unwrap_err();
    assert_eq!(pool.breaker().state(), BreakerState::Open);
    assert_eq!(pool.stats().connect_failures, 1);
}

fn is_sent<T: Send>(_: &T) {}

fn is_shared<T: Send + Sync + 'static>(_: &T) {}

#[test]
fn what_callers_hold_may_be_sent_to_other_threads() {
    let pool = Pool::builder(MockManager::new()).build().unwrap();
    is_shared(&pool);
    is_sent(&pool.get());
    is_sent(&pool.close());
}
