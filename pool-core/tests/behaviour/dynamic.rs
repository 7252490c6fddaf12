use pool_core::testing::{MockConnection, MockError, MockManager};
use pool_core::{BoxManager, Pool};

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

fn is_sent<T: Send>(_: &T) {}

fn is_shared<T: Send + Sync + 'static>(_: &T) {}

#[test]
fn what_callers_hold_may_be_sent_to_other_threads() {
    let pool = Pool::builder(MockManager::new()).build().unwrap();
    is_shared(&pool);
    is_sent(&pool.get());
    is_sent(&pool.close());
}
