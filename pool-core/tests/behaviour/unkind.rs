//! Code of others, threads and runtimes at their worst.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use pool_core::testing::MockManager;
use pool_core::{Error, Manager, Pool, PooledConnection, Validation, WhilePaused};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use crate::{SECOND, builder, getter, open, settle};

fn runtime_with_threads() -> Runtime {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap()
}

/// From now on the time is asked of the runtime a thread is in, and a thread that ends is in none.
fn runtime_after_a_paused_one() -> Runtime {
    let mut with_paused_clock = Builder::new_current_thread();
    drop(with_paused_clock.enable_all().start_paused(true).build());
    runtime_with_threads()
}

#[test]
fn a_connection_may_come_back_from_a_thread_that_ends() {
    thread_local! {
        static KEPT: RefCell<Option<PooledConnection<MockManager>>> = const { RefCell::new(None) };
    }
    let runtime = runtime_after_a_paused_one();
    let mock = MockManager::new();
    let builder = builder(&mock, 1, 1).close_timeout(Duration::from_millis(1));
    let pool = runtime.block_on(builder.connect()).unwrap();
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn({
        let pool = pool.clone();
        move || {
            // Touched before the runtime's own, it is dropped after it.
            KEPT.with(|kept| *kept.borrow_mut() = pool.try_get().unwrap());
            told.recv().unwrap();
        }
    });
    runtime.block_on(async {
        while pool.stats().active == 0 {
            yield_now().await;
        }
        pool.close_timeout(Duration::ZERO).await;
    });
    tell.send(()).unwrap();
    thread.join().unwrap();
    runtime.block_on(mock.until(|mock| mock.open() == 0));
}

type Held = PooledConnection<MockManager>;

/// Ends its use when its thread ends.
struct EndsLate(Option<(Held, fn(Held))>);

impl Drop for EndsLate {
    fn drop(&mut self) {
        if let Some((conn, end)) = self.0.take() {
            end(conn);
        }
    }
}

#[test]
fn a_connection_may_be_given_up_by_a_thread_that_ends() {
    thread_local! {
        static KEPT: RefCell<EndsLate> = const { RefCell::new(EndsLate(None)) };
    }
    let runtime = runtime_after_a_paused_one();
    let mock = MockManager::new();
    let pool = runtime.block_on(builder(&mock, 2, 2).connect()).unwrap();
    let ends: [fn(Held); 2] = [Held::invalidate, |conn| drop(Held::detach(conn))];
    for end in ends {
        let pool = pool.clone();
        let thread = std::thread::spawn(move || {
            KEPT.with(|kept| {
                // Touched before the runtime's own, it is dropped after it.
                let conn = pool.try_get().unwrap().unwrap();
                kept.borrow_mut().0 = Some((conn, end));
            });
        });
        thread.join().unwrap();
    }
    let stats = pool.stats();
    assert_eq!((stats.closed_by.invalidated, stats.detached), (1, 1));
}

/// An error that cannot be shown.
#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("it cannot be shown")
    }
}

impl std::error::Error for Unspeakable {}

#[derive(Default)]
struct Speechless(AtomicUsize);

impl Manager for Speechless {
    type Connection = ();
    type Error = Unspeakable;

    async fn connect(&self) -> Result<(), Unspeakable> {
        self.0.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
        Err(Unspeakable)
    }

    async fn validate(&self, (): &mut ()) -> Result<(), Unspeakable> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_panics_when_it_is_shown_is_a_failure_like_any_other() {
    let pool = Pool::builder(Speechless::default()).min_size(0);
    let pool = pool.acquire_timeout(SECOND).build().unwrap();
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }));
    assert_eq!(pool.manager().0.load(SeqCst), 5);
}

/// Does something once when it is woken.
struct OnWake(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl OnWake {
    fn waker(work: impl FnOnce() + Send + 'static) -> Waker {
        Waker::from(Arc::new(Self(Mutex::new(Some(Box::new(work))))))
    }
}

impl Wake for OnWake {
    fn wake(self: Arc<Self>) {
        let work = self.0.lock().unwrap().take();
        if let Some(work) = work {
            work();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_keeps_no_other_waiter_from_being_told() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    for pause in [true, false] {
        let _held = pool.get().await.unwrap();
        let waker = OnWake::waker(|| panic!("a waker panics"));
        let mut first = pin!(pool.get());
        let polled = first.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        let second = getter(&pool);
        settle().await;
        if pause {
            pool.pause(WhilePaused::Fail);
            assert_eq!(second.await.unwrap().unwrap_err(), "the pool is paused");
            pool.resume();
        } else {
            pool.close_timeout(Duration::ZERO).await;
            assert_eq!(second.await.unwrap().unwrap_err(), "the pool is closed");
            assert!(pool.is_closed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_close_ends_with_the_last_connection_though_the_first_has_just_begun() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    let held = pool.get().await.unwrap();
    let (tell, told) = mpsc::channel();
    let closing_too = pool.clone();
    // While the first close tells the waiter, the second begins, and then the connection returns.
    let waker = OnWake::waker(move || {
        let mut second = Box::pin(async move { closing_too.close().await });
        let polled = second
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(held);
        tell.send(second).unwrap();
    });
    let mut waiter = Box::pin(pool.get());
    let polled = waiter.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    pool.close().await;
    let report = told.try_recv().unwrap().await;
    assert!(report.is_complete() && report.took.is_zero(), "{report}");
}

/// Blocks the thread when it closes, until it is told to go on.
struct Blocking {
    connect: tokio::sync::Semaphore,
    closing: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Manager for Blocking {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        let permit = self.connect.acquire().await;
        permit.expect("never closed").forget();
        Ok(())
    }

    async fn validate(&self, (): &mut ()) -> Result<(), std::io::Error> {
        Ok(())
    }

    async fn close(&self, (): ()) {
        self.closing.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
    }
}

#[test]
fn a_checkout_while_a_new_connection_is_closed_at_once_is_served_by_the_next() {
    let runtime = runtime_with_threads();
    let (closing, is_closing) = mpsc::channel();
    let (tell, go_on) = mpsc::channel();
    let manager = Blocking {
        connect: tokio::sync::Semaphore::new(0),
        closing,
        go_on: Mutex::new(go_on),
    };
    let pool = Pool::builder(manager).min_size(0).max_size(2);
    let pool = pool.build().unwrap();
    let _entered = runtime.enter();
    assert!(pool.try_get().unwrap().is_none());
    runtime.block_on(async {
        while pool.stats().opening == 0 {
            yield_now().await;
        }
    });
    pool.retire_all();
    pool.manager().connect.add_permits(1);
    is_closing.recv().unwrap();
    let mut getting = pin!(pool.get());
    let polled = getting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    tell.send(()).unwrap();
    pool.manager().connect.add_permits(2);
    let held = runtime.block_on(getting).unwrap();
    assert_eq!(pool.stats().waiting, 0);
    tell.send(()).unwrap();
    drop(held);
}

/// Needs a runtime to close.
#[derive(Default)]
struct ClosesInOrder(AtomicUsize);

impl Manager for ClosesInOrder {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        Ok(())
    }

    async fn validate(&self, (): &mut ()) -> Result<(), std::io::Error> {
        Ok(())
    }

    async fn close(&self, (): ()) {
        yield_now().await;
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_connection_is_closed_in_order_on_the_callers_runtime_when_the_pools_is_gone() {
    let (gone, living) = (runtime_with_threads(), runtime_with_threads());
    let pool = Pool::builder(ClosesInOrder::default()).min_size(0);
    let pool = pool.build().unwrap();
    let held = gone.block_on(pool.get()).unwrap();
    drop(gone);
    living.block_on(async {
        PooledConnection::invalidate(held);
        while pool.stats().closed == 0 || pool.manager().0.load(SeqCst) == 0 {
            yield_now().await;
        }
    });
}

#[test]
fn a_caller_without_a_runtime_gets_nothing_that_went_with_one() {
    let runtime = runtime_with_threads();
    let mock = MockManager::new();
    let pool = runtime.block_on(open(&mock, 1, 1));
    drop(runtime);
    assert!(pool.try_get().unwrap().is_none());
    assert_eq!((pool.stats().closed_by.generation, mock.open()), (1, 0));
}

#[test]
fn two_may_ask_for_the_last_seconds_at_the_same_moment() {
    let runtime = runtime_with_threads();
    let _entered = runtime.enter();
    for _ in 0..500 {
        let pool = builder(&MockManager::new(), 0, 1).build().unwrap();
        let at_once = Barrier::new(2);
        let ask = || {
            at_once.wait();
            pool.windows()
        };
        std::thread::scope(|scope| {
            for asking in [scope.spawn(ask), scope.spawn(ask)] {
                let windows = asking.join().unwrap();
                assert!(windows.last_1s.over < 60 * SECOND);
            }
        });
    }
}

/// Panics when it is dropped.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("it is dropped");
    }
}

/// Its validations never end, and panic when they are given up.
struct Clinging;

impl Manager for Clinging {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        Ok(())
    }

    async fn validate(&self, (): &mut ()) -> Result<(), std::io::Error> {
        let _fragile = Fragile;
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_validation_that_panics_when_it_is_given_up_costs_its_own_connection_only() {
    let pool = Pool::builder(Clinging).min_size(0).max_size(1);
    let pool = pool.validation(Validation::Always).build().unwrap();
    drop(pool.get().await.unwrap());
    drop(pool.get().await.expect("another one, opened for it"));
    let stats = pool.stats();
    assert_eq!((stats.connects, stats.closed, stats.idle), (2, 1, 1));
    assert_eq!(
        (stats.closed_by.validate_failed, stats.validate_timeouts),
        (1, 1)
    );
}

/// Its connects never end, and panic when they are given up.
struct Unreachable;

impl Manager for Unreachable {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        let _fragile = Fragile;
        std::future::pending().await
    }

    async fn validate(&self, (): &mut ()) -> Result<(), std::io::Error> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_panics_when_it_is_given_up_is_a_connect_that_took_too_long() {
    let pool = Pool::builder(Unreachable).min_size(0).max_size(1);
    let pool = pool.acquire_timeout(None).build().unwrap();
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    let stats = pool.stats();
    assert_eq!((stats.connect_failures, stats.connect_timeouts), (5, 5));
}
