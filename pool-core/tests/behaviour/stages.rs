use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};

use pool_core::testing::{Act, MockConnection, MockError, MockManager, Step};
use pool_core::{
    Condition, Error, Manager, Pool, PoolBuilder, PooledConnection, Stage, Validation,
};
use tokio::time::{Instant, sleep};

use crate::{MS, SECOND, about_to, builder, open, settle};

/// Polls a checkout so often and drops it.
async fn cancel_after(pool: &Pool<MockManager>, polls: usize) {
    let mut getting = pin!(pool.get());
    for _ in 0..polls {
        let mut cx = Context::from_waker(Waker::noop());
        if getting.as_mut().poll(&mut cx).is_ready() {
            return;
        }
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_checkout_at_any_await_point_loses_nothing() {
    for step in [Step::Connect, Step::Validate, Step::Recycle] {
        for polls in 0..4 {
            let mock = MockManager::new();
            let pool = about_to(step, &mock, 2).await;
            mock.next(step, [Act::SucceedAfter(10 * MS)]);
            let held = (step == Step::Connect).then(|| pool.try_get().unwrap().unwrap());
            cancel_after(&pool, polls).await;
            sleep(SECOND).await;
            drop(held);
            let both = (pool.get().await.unwrap(), pool.get().await.unwrap());
            drop(both);
            assert_eq!(
                pool.stats().idle,
                mock.open(),
                "{step:?} after {polls} polls"
            );
            assert!(mock.open() <= 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_validation_does_not_cost_the_connection() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 1)
        .validation(Validation::Always)
        .connect()
        .await
        .unwrap();
    mock.next(Step::Validate, [Act::SucceedAfter(50 * MS)]);
    let error = pool.get_timeout(10 * MS).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Timeout {
                stage: Stage::Validate,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(pool.stats().active, 1, "still being validated");
    sleep(SECOND).await;
    assert_eq!((pool.stats().idle, mock.count(Step::Connect)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_known_to_be_broken_is_never_handed_out() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    let conn = pool.get().await.unwrap();
    let (id, break_it) = (conn.id(), conn.breaker());
    drop(conn);
    break_it();
    assert_ne!(pool.get().await.unwrap().id(), id, "it broke while idle");
    let conn = pool.get().await.unwrap();
    let id = conn.id();
    conn.break_it();
    drop(conn);
    assert_ne!(pool.get().await.unwrap().id(), id, "it came back broken");
    assert_eq!(pool.stats().closed_by.broken, 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_user_panicked_is_validated_first() {
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 1)
        .validation(Validation::Never)
        .connect()
        .await
        .unwrap();
    let before = mock.count(Step::Validate);
    let conn = pool.get().await.unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _conn = conn;
        std::panic::resume_unwind(Box::new("a user panics"));
    }));
    assert!(panicked.is_err());
    drop(pool.get().await.unwrap());
    assert_eq!(
        (
            mock.count(Step::Validate) - before,
            mock.count(Step::Connect)
        ),
        (1, 1)
    );
}

/// A dirty one may not answer before it is recycled, and a broken one says nothing about others.
#[tokio::test(start_paused = true)]
async fn a_panic_leaves_to_the_others_their_connections_whatever_became_of_its_own() {
    for is_broken in [false, true] {
        let mock = MockManager::new();
        let pool = open(&mock, 2, 2).await;
        mock.always(Step::Validate, Act::Fail);
        let before = mock.count(Step::Validate);
        let conn = pool.get().await.unwrap();
        if is_broken {
            conn.break_it();
        } else {
            conn.make_dirty();
        }
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _conn = conn;
            std::panic::resume_unwind(Box::new("a user panics"));
        }));
        assert!(panicked.is_err());
        settle().await;
        let closed = pool.stats().closed_by;
        let own = (closed.broken, mock.count(Step::Recycle));
        assert_eq!(own, if is_broken { (1, 0) } else { (0, 1) });
        assert_eq!((closed.generation, closed.validate_failed), (0, 0));
        assert_eq!(mock.count(Step::Validate), before);
    }
}

#[tokio::test(start_paused = true)]
async fn manager_code_that_panics_hangs_or_errs_costs_its_own_connection_only() {
    for act in [Act::Fail, Act::Hang, Act::Panic] {
        for step in [Step::Recycle, Step::Close] {
            let mock = MockManager::new();
            let pool = open(&mock, 3, 3).await;
            mock.next(step, [act.clone()]);
            let conn = pool.get().await.unwrap();
            if step == Step::Recycle {
                conn.make_dirty();
                drop(conn);
            } else {
                PooledConnection::invalidate(conn);
            }
            sleep(20 * SECOND).await;
            let stats = pool.stats();
            assert_eq!(
                (stats.closed, stats.idle),
                (1, 3),
                "{step:?} {act:?}: {stats}"
            );
            assert_eq!(mock.open(), 3);
        }
    }
    let mock = MockManager::new();
    let pool = open(&mock, 3, 3).await;
    let conn = pool.get().await.unwrap();
    conn.make_condition_panic();
    drop(conn);
    sleep(SECOND).await;
    assert_eq!((pool.stats().closed, pool.stats().idle), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_dirty_connection_is_recycled_before_the_next_gets_it() {
    let mock = MockManager::new();
    let pool = open(&mock, 1, 1).await;
    let conn = pool.get().await.unwrap();
    conn.make_dirty();
    mock.next(Step::Recycle, [Act::SucceedAfter(SECOND)]);
    drop(conn);
    let stats = pool.stats();
    assert_eq!(
        (stats.active, stats.idle),
        (1, 0),
        "what is recycled counts as active"
    );
    let began = Instant::now();
    drop(pool.get().await.unwrap());
    assert_eq!((began.elapsed(), mock.count(Step::Recycle)), (SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn validation_is_asked_for_as_the_policy_says() {
    let cases = [
        (Validation::Always, 0, 1),
        (Validation::Never, 3600, 0),
        (Validation::WhenIdleFor(10 * SECOND), 9, 0),
        (Validation::WhenIdleFor(10 * SECOND), 10, 1),
    ];
    for (validation, idle_for, expected) in cases {
        let mock = MockManager::new();
        let pool = builder(&mock, 1, 1)
            .validation(validation)
            .keepalive(None)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect()
            .await
            .unwrap();
        drop(pool.get().await.unwrap());
        let before = mock.count(Step::Validate);
        sleep(idle_for * SECOND).await;
        drop(pool.get().await.unwrap());
        assert_eq!(
            mock.count(Step::Validate) - before,
            expected,
            "{validation} {idle_for}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn when_every_connection_fails_validation_the_caller_learns_it() {
    let mock = MockManager::new();
    let pool = builder(&mock, 2, 2)
        .validation(Validation::Always)
        .build()
        .unwrap();
    drop(pool.get().await.unwrap());
    mock.always(Step::Validate, Act::Hang);
    let began = Instant::now();
    let outcome = pool.get().await;
    assert!(outcome.is_ok(), "a new connection needs no validation");
    assert_eq!(began.elapsed(), 5 * SECOND, "validate_timeout, once");
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_counted_by_what_it_was() {
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1)
        .validation(Validation::Always)
        .build()
        .unwrap();
    let timeouts = || {
        let stats = pool.stats();
        let connects = stats.connect_timeouts;
        (connects, stats.validate_timeouts, stats.recycle_timeouts)
    };
    mock.next(Step::Connect, [Act::Hang]);
    drop(pool.get().await.unwrap());
    assert_eq!(timeouts(), (1, 0, 0));
    mock.next(Step::Validate, [Act::Hang]);
    drop(pool.get().await.unwrap());
    assert_eq!(timeouts(), (1, 1, 0));
    mock.next(Step::Recycle, [Act::Hang]);
    pool.get().await.unwrap().make_dirty();
    drop(pool.get().await.unwrap());
    assert_eq!(timeouts(), (1, 1, 1));
    mock.next(Step::Validate, [Act::Fail]);
    drop(pool.get().await.unwrap());
    assert_eq!(timeouts(), (1, 1, 1), "it failed in time");
}

/// Its connections are dirty or not, and each step leaves them so.
#[derive(Default)]
struct Grubby {
    connected: bool,
    validated: bool,
    /// `None` when recycling fails.
    recycled: Option<bool>,
    recyclings: AtomicUsize,
}

impl Manager for Grubby {
    type Connection = bool;
    type Error = std::fmt::Error;

    async fn connect(&self) -> Result<bool, std::fmt::Error> {
        Ok(self.connected)
    }

    async fn validate(&self, is_dirty: &mut bool) -> Result<(), std::fmt::Error> {
        *is_dirty = self.validated;
        Ok(())
    }

    async fn recycle(&self, is_dirty: &mut bool) -> Result<(), std::fmt::Error> {
        self.recyclings.fetch_add(1, Relaxed);
        *is_dirty = self.recycled.ok_or(std::fmt::Error)?;
        Ok(())
    }

    fn condition(&self, is_dirty: &mut bool) -> Condition {
        if *is_dirty {
            Condition::NeedsRecycle
        } else {
            Condition::Ready
        }
    }
}

fn grubby(manager: Grubby) -> PoolBuilder<Grubby> {
    let pool = Pool::builder(manager).min_size(0).max_size(3);
    pool.validation(Validation::Always)
}

#[tokio::test(start_paused = true)]
async fn what_its_validation_leaves_dirty_is_recycled_before_it_is_handed_out() {
    let manager = Grubby {
        validated: true,
        recycled: Some(false),
        ..Grubby::default()
    };
    let pool = grubby(manager).build().unwrap();
    drop(pool.get().await.unwrap());
    assert!(!*pool.get().await.unwrap());
    assert_eq!(pool.manager().recyclings.load(Relaxed), 1);
    assert!(!*pool.try_get().unwrap().unwrap());
    assert_eq!(pool.manager().recyclings.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_dirty_even_after_its_recycling_is_handed_out_as_it_is() {
    let manager = Grubby {
        connected: true,
        recycled: Some(true),
        ..Grubby::default()
    };
    let pool = grubby(manager).build().unwrap();
    assert!(*pool.get().await.unwrap());
    assert_eq!(pool.manager().recyclings.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_checkout_tries_as_many_as_there_may_be_and_one_more() {
    let manager = Grubby {
        connected: true,
        recycled: None,
        ..Grubby::default()
    };
    let pool = grubby(manager).build().unwrap();
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, Error::Recycle(_)), "{error}");
    assert_eq!(pool.manager().recyclings.load(Relaxed), 4);
}

/// Each of its connections is to be recycled before it can be used.
struct NeverReady(MockManager);

impl Manager for NeverReady {
    type Connection = MockConnection;
    type Error = MockError;

    async fn connect(&self) -> Result<MockConnection, MockError> {
        let conn = self.0.connect().await?;
        conn.make_dirty();
        Ok(conn)
    }

    async fn validate(&self, conn: &mut MockConnection) -> Result<(), MockError> {
        self.0.validate(conn).await
    }

    async fn recycle(&self, conn: &mut MockConnection) -> Result<(), MockError> {
        self.0.recycle(conn).await
    }

    fn condition(&self, conn: &mut MockConnection) -> Condition {
        self.0.condition(conn)
    }
}

#[tokio::test(start_paused = true)]
async fn when_no_recycling_ends_well_the_caller_learns_how_they_end() {
    for (act, told) in [
        (
            Act::Panic,
            "the manager panicked while recycling a connection",
        ),
        (Act::Hang, "no answer within 5.0s recycling a connection"),
    ] {
        let mock = MockManager::new();
        mock.always(Step::Recycle, act);
        let pool = Pool::builder(NeverReady(mock)).min_size(0).max_size(1);
        let error = pool.build().unwrap().get().await.unwrap_err();
        assert_eq!(error.to_string(), told);
    }
}
