use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::Duration;

use pool_core::testing::{MockManager, Step};
use pool_core::{Error, Manager, Pool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::{MS, SECOND, builder, open, settle};

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

fn real_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_guard_may_be_dropped_on_another_thread_and_outside_a_runtime() {
    let mock = MockManager::new();
    let runtime = runtime();
    let pool = runtime.block_on(open(&mock, 1, 1));
    let guard = runtime.block_on(pool.get()).unwrap();
    std::thread::spawn(move || drop(guard)).join().unwrap();
    assert_eq!(pool.stats().idle, 1);
    let guard = runtime.block_on(pool.get()).unwrap();
    guard.break_it();
    drop(guard);
    assert_eq!(mock.open(), 0);
    assert_eq!(runtime.block_on(pool.get()).unwrap().id(), 2);
}

#[test]
fn what_comes_back_outside_a_runtime_is_recycled_on_the_pools() {
    let mock = MockManager::new();
    let runtime = runtime();
    let pool = runtime.block_on(open(&mock, 1, 1));
    let guard = runtime.block_on(pool.get()).unwrap();
    guard.make_dirty();
    std::thread::spawn(move || drop(guard)).join().unwrap();
    runtime.block_on(settle());
    assert_eq!((mock.count(Step::Recycle), pool.stats().idle), (1, 1));
}

#[test]
fn a_guard_may_outlive_its_runtime_and_its_pool() {
    let mock = MockManager::new();
    let first = runtime();
    let pool = first.block_on(open(&mock, 2, 2));
    let (one, two) =
        first.block_on(async { (pool.get().await.unwrap(), pool.get().await.unwrap()) });
    drop(first);
    one.make_dirty();
    drop(one);
    assert_eq!(mock.open(), 1, "nothing could recycle it: it is closed");
    drop(pool);
    drop(two);
    assert_eq!(mock.open(), 0);
}

/// How often a connection is validated that was used, and then not while `rest` lasted. In real time:
/// only there the coarse clock runs.
fn validations_after(runtime: &Runtime, rest: impl FnOnce(&Runtime)) -> usize {
    let mock = MockManager::new();
    let pool = runtime.block_on(open(&mock, 1, 1));
    runtime.block_on(async {
        drop(pool.get().await.unwrap());
        // The keeper has wound up its clock.
        tokio::time::sleep(50 * MS).await;
        drop(pool.get().await.unwrap());
    });
    let before = mock.count(Step::Validate);
    rest(runtime);
    drop(runtime.block_on(pool.get()).unwrap());
    mock.count(Step::Validate) - before
}

#[test]
fn what_was_idle_while_its_runtime_was_not_driven_is_validated() {
    let not_driven = |_: &Runtime| std::thread::sleep(3 * SECOND);
    assert_eq!(validations_after(&real_runtime(), not_driven), 1);
}

#[test]
fn what_was_idle_while_the_pool_was_at_rest_is_validated() {
    let at_rest =
        |runtime: &Runtime| runtime.block_on(async { tokio::time::sleep(3 * SECOND).await });
    let with_threads = Builder::new_multi_thread().enable_all().build().unwrap();
    assert_eq!(validations_after(&with_threads, at_rest), 1);
}

#[test]
fn a_guard_may_be_dropped_while_a_panic_unwinds_without_a_runtime() {
    let mock = MockManager::new();
    let runtime = runtime();
    let pool = runtime.block_on(open(&mock, 1, 1));
    let guard = runtime.block_on(pool.get()).unwrap();
    drop(pool);
    drop(runtime);
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _guard = guard;
        std::panic::resume_unwind(Box::new("a user panics"));
    }));
    assert!(panicked.is_err());
    assert_eq!(mock.open(), 0);
}

#[test]
fn a_pool_made_outside_a_runtime_opens_its_minimum_at_the_first_checkout() {
    let mock = MockManager::new();
    let pool = builder(&mock, 2, 2).build().unwrap();
    assert_eq!(mock.count(Step::Connect), 0);
    runtime().block_on(async {
        drop(pool.get().await.unwrap());
        mock.until(|mock| mock.open() == 2).await;
    });
}

static SHARED: LazyLock<(MockManager, Pool<MockManager>)> = LazyLock::new(|| {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 2).build().unwrap();
    (mock, pool)
});

#[test]
fn a_pool_in_a_static_serves_one_runtime_after_another() {
    for _ in 0..3 {
        runtime().block_on(async {
            let pool = &SHARED.1;
            let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
            one.break_it();
            drop((one, two));
            drop((pool.get().await.unwrap(), pool.get().await.unwrap()));
            settle().await;
        });
    }
}

#[test]
fn who_waits_on_one_runtime_is_served_though_another_one_ends() {
    let mock = MockManager::new();
    // On the real clock: a paused one would leap to the end of the waiter's patience.
    let first = real_runtime();
    mock.next(Step::Connect, [pool_core::testing::Act::Hang]);
    let pool = first.block_on(async {
        let pool = builder(&mock, 0, 1).build().unwrap();
        let _impatient = tokio::time::timeout(crate::MS, pool.get()).await;
        pool
    });
    assert_eq!(pool.stats().opening, 1);
    let waiter = std::thread::spawn({
        let pool = pool.clone();
        move || real_runtime().block_on(async move { pool.get().await.map(|conn| conn.id()) })
    });
    while pool.stats().waiting == 0 {
        std::thread::yield_now();
    }
    drop(first);
    assert_eq!(waiter.join().unwrap().unwrap(), 1);
}

#[test]
fn a_wait_ends_in_time_on_the_pools_thread_and_on_one_the_pool_knows_nothing_of() {
    let mock = MockManager::new();
    // Long enough for the keeper to be asked for an alarm, and none but the first is driven.
    let patience = Duration::from_millis(700);
    let (first, second) = (real_runtime(), real_runtime());
    let pool = first.block_on(open(&mock, 1, 1));
    let held = first.block_on(pool.get()).unwrap();
    // At its second wait the keeper of the first is under way, and gives the alarm.
    for runtime in [&first, &first, &second] {
        let waited = runtime.block_on(async {
            let waiting = pool.get_timeout(patience);
            tokio::time::timeout(Duration::from_secs(10), waiting).await
        });
        let waited = waited.expect("the wait ends");
        let error = waited.expect_err("the only connection is held");
        assert!(
            matches!(error, Error::Timeout { waited, .. } if waited >= patience),
            "{error}"
        );
    }
    drop(held);
}

/// Its connections are sockets, each served by the runtime it was opened on.
struct Echo(SocketAddr);

impl Manager for Echo {
    type Connection = TcpStream;
    type Error = std::io::Error;

    async fn connect(&self) -> Result<TcpStream, std::io::Error> {
        TcpStream::connect(self.0).await
    }

    async fn validate(&self, conn: &mut TcpStream) -> Result<(), std::io::Error> {
        conn.write_all(b"x").await?;
        conn.read_u8().await.map(drop)
    }
}

#[test]
fn a_pool_that_outlasts_its_runtimes_hands_out_nothing_that_went_with_one() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    let pool = Pool::builder(Echo(address)).min_size(0).build().unwrap();
    for _ in 0..3 {
        real_runtime().block_on(async {
            let mut conn = pool.get().await.unwrap();
            pool.manager().validate(&mut conn).await.unwrap();
        });
    }
}
