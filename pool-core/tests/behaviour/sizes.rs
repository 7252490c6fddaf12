use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Pool, PoolConfig, PooledConnection};
use tokio::time::sleep;

use crate::{SECOND, builder, getter, open, settle};

/// The minimum of a pool made of a file, and of a maximum set in code where there is one.
fn minimum_of(file: &str, max_size: Option<usize>) -> Result<usize, String> {
    let config: PoolConfig = serde_json::from_str(file).unwrap();
    let mut builder = Pool::builder(MockManager::new()).config(config);
    if let Some(max_size) = max_size {
        builder = builder.max_size(max_size);
    }
    let pool = builder.build().map_err(|error| error.to_string())?;
    Ok(pool.stats().min_size)
}

#[test]
fn a_minimum_above_the_maximum_it_was_given_with_is_refused_whatever_the_default() {
    let told = Err("min_size (2) cannot be greater than max_size (1)".to_owned());
    assert_eq!(minimum_of(r#"{"min_size": 2, "max_size": 1}"#, None), told);
    assert_eq!(
        minimum_of(r#"{"min_size": 2, "max_size": 1}"#, Some(5)),
        Ok(2)
    );
}

#[test]
fn the_default_minimum_gives_way_to_a_maximum_given_alone() {
    assert_eq!(minimum_of(r#"{"max_size": 1}"#, None), Ok(1));
    assert_eq!(minimum_of("{}", Some(1)), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_raised_maximum_serves_those_who_wait() {
    let mock = MockManager::new();
    let pool = open(&mock, 0, 1).await;
    let _held = pool.get().await.unwrap();
    let waiter = getter(&pool);
    settle().await;
    pool.resize(0, 2).unwrap();
    waiter.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_awaits_its_turn_after_a_failure_does_not_begin_beyond_a_lowered_maximum() {
    let mock = MockManager::new();
    let pool = open(&mock, 0, 4).await;
    let _held = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    mock.always(Step::Connect, Act::Fail);
    // A connect that is begun whether or not anybody waits.
    for _ in 0..2 {
        assert!(pool.try_get().unwrap().is_none());
        settle().await;
    }
    assert_eq!(mock.count(Step::Connect), 3, "the second awaits its turn");
    pool.resize(0, 2).unwrap();
    mock.always(Step::Connect, Act::Succeed);
    sleep(60 * SECOND).await;
    assert_eq!((mock.count(Step::Connect), mock.peak_open()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_lowered_maximum_closes_idle_ones_now_and_held_ones_when_they_come_back() {
    let mock = MockManager::new();
    let pool = open(&mock, 4, 4).await;
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    pool.resize(0, 1).unwrap();
    assert_eq!(mock.open(), 2);
    drop(one);
    assert_eq!(mock.open(), 1);
    drop(two);
    assert_eq!(
        (mock.open(), pool.stats().idle, pool.stats().max_size),
        (1, 1, 1)
    );
    assert_eq!(pool.stats().closed_by.surplus, 3);
}

#[tokio::test(start_paused = true)]
async fn a_raised_minimum_is_opened_and_a_wrong_size_changes_nothing() {
    let mock = MockManager::new();
    let pool = open(&mock, 0, 4).await;
    pool.resize(3, 4).unwrap();
    mock.until(|mock| mock.open() == 3).await;
    let error = pool.resize(5, 4).unwrap_err();
    assert_eq!(
        error.to_string(),
        "min_size (5) cannot be greater than max_size (4)"
    );
    assert!(pool.resize(0, 0).is_err());
    assert_eq!((pool.stats().min_size, pool.stats().max_size), (3, 4));
}

#[tokio::test(start_paused = true)]
async fn retire_all_closes_idle_ones_now_and_held_ones_when_they_come_back() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 3).build().unwrap();
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    drop(one);
    pool.retire_all();
    assert_eq!(mock.open(), 1);
    drop(two);
    assert_eq!((mock.open(), pool.stats().closed_by.generation), (0, 2));
    assert_eq!(pool.get().await.unwrap().id(), 3);
    assert_eq!(pool.stats().generation, 1);
}

#[tokio::test(start_paused = true)]
async fn retain_closes_the_idle_connections_it_does_not_want() {
    let mock = MockManager::new();
    let pool = open(&mock, 0, 4).await;
    let all: Vec<_> = [pool.get().await, pool.get().await, pool.get().await]
        .into_iter()
        .map(Result::unwrap)
        .collect();
    drop(all);
    pool.retain(|conn, meta| conn.id() == 2 && meta.uses == 1);
    assert_eq!((mock.open(), pool.stats().idle), (1, 1));
    assert_eq!(pool.get().await.unwrap().id(), 2);
    assert_eq!(pool.stats().closed_by.not_retained, 2);
}

#[tokio::test(start_paused = true)]
async fn a_detached_connection_lives_on_and_its_slot_is_free() {
    let mock = MockManager::new();
    let pool = open(&mock, 0, 1).await;
    let detached = PooledConnection::detach(pool.get().await.unwrap());
    let other = pool.get().await.unwrap();
    assert_eq!((detached.id(), other.id(), mock.open()), (1, 2, 2));
    let stats = pool.stats();
    assert_eq!((stats.total, stats.detached, stats.closed), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_connection_is_closed_and_replaced() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    PooledConnection::invalidate(pool.get().await.unwrap());
    assert_eq!(pool.get().await.unwrap().id(), 2);
    assert_eq!(
        (mock.count(Step::Close), pool.stats().closed_by.invalidated),
        (1, 1)
    );
}
