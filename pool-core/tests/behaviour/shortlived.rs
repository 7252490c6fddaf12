//! Connections that do not last until their first use.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use pool_core::{BreakerState, Condition, Error, HealthStatus, Manager, Pool, PoolBuilder};
use tokio::time::Instant;

use crate::{MS, SECOND};

/// Its connections are broken as soon as they are open.
#[derive(Default)]
struct Stillborn(AtomicUsize);

impl Manager for Stillborn {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        self.0.fetch_add(1, Relaxed);
        tokio::time::sleep(MS).await;
        Ok(())
    }

    async fn validate(&self, (): &mut ()) -> Result<(), std::io::Error> {
        Ok(())
    }

    fn condition(&self, (): &mut ()) -> Condition {
        Condition::Broken
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_broken_from_the_start_is_a_connect_that_failed() {
    let pool = Pool::builder(Stillborn::default()).min_size(0);
    let pool = pool.build().unwrap();
    assert_eq!(pool.name(), "pool", "nobody gives it another");
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    assert!(error.to_string().contains("broken"), "{error}");
    assert_eq!(pool.manager().0.load(Relaxed), 10);
    let stats = pool.stats();
    assert_eq!((stats.connects, stats.connect_failures), (0, 10));
    let eager = Pool::builder(Stillborn::default()).connect().await;
    assert!(eager.unwrap_err().to_string().contains("broken"));
}

/// Breaks the first connections it opens, as many as that, before anybody uses them.
struct Restarting(AtomicUsize);

impl Manager for Restarting {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        Ok(())
    }

    async fn validate(&self, (): &mut ()) -> Result<(), std::io::Error> {
        Ok(())
    }

    fn condition(&self, (): &mut ()) -> Condition {
        match self
            .0
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
        {
            Ok(_) => Condition::Broken,
            Err(_) => Condition::Ready,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn some_that_break_before_their_first_use_starve_nobody() {
    let pool = Pool::builder(Restarting(AtomicUsize::new(7))).max_size(5);
    let pool = pool.build().unwrap();
    let crowd: Vec<_> = (0..10)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.get().await.map(drop) })
        })
        .collect();
    for one in crowd {
        one.await.unwrap().unwrap();
    }
    let stats = pool.stats();
    assert_eq!((stats.connect_failures, stats.breaker_opened), (7, 0));
}

/// A server that hangs up right after the login: nobody knows when the connection is new, everybody
/// when it is to be used.
#[derive(Default)]
struct HangsUp {
    logins: AtomicUsize,
    is_well: AtomicBool,
}

/// Whether somebody has asked for its condition.
struct Line(bool);

impl Manager for HangsUp {
    type Connection = Line;
    type Error = std::io::Error;

    async fn connect(&self) -> Result<Line, std::io::Error> {
        self.logins.fetch_add(1, Relaxed);
        tokio::time::sleep(MS).await;
        Ok(Line(false))
    }

    async fn validate(&self, _line: &mut Line) -> Result<(), std::io::Error> {
        Ok(())
    }

    fn condition(&self, line: &mut Line) -> Condition {
        if std::mem::replace(&mut line.0, true) && !self.is_well.load(Relaxed) {
            Condition::Broken
        } else {
            Condition::Ready
        }
    }
}

fn hanging_up() -> PoolBuilder<HangsUp> {
    Pool::builder(HangsUp::default()).min_size(0).max_size(10)
}

#[tokio::test(start_paused = true)]
async fn connections_that_break_before_their_first_use_are_connects_that_fail() {
    let pool = hanging_up().build().unwrap();
    let error = pool.get().await.map(drop).unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    assert!(error.to_string().contains("broken"), "{error}");
    assert_eq!(pool.stats().connect_failures, 10);
    assert_eq!(pool.health().status, HealthStatus::Unhealthy);

    pool.manager().is_well.store(true, Relaxed);
    let served = async {
        loop {
            match pool.get().await {
                Ok(conn) => return conn,
                Err(_) => tokio::time::sleep(100 * MS).await,
            }
        }
    };
    let held = tokio::time::timeout(60 * SECOND, served).await.unwrap();
    assert_eq!(pool.stats().breaker, BreakerState::Closed);
    let _others = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    drop(held);
    assert_eq!(pool.health().status, HealthStatus::Healthy);
}

#[tokio::test(start_paused = true)]
async fn connections_that_break_before_their_first_use_make_no_storm() {
    let pool = hanging_up().breaker_threshold(0).build().unwrap();
    let began = Instant::now();
    let waited = pool.get_timeout(5 * SECOND).await.map(drop);
    assert!(waited.unwrap_err().to_string().contains("broken"));
    assert_eq!(began.elapsed(), 5 * SECOND);
    let logins = pool.manager().logins.load(Relaxed);
    assert!((5..=51).contains(&logins), "{logins} in five seconds");
}

#[tokio::test(start_paused = true)]
async fn the_first_that_does_not_break_before_its_first_use_is_a_connect_that_succeeds() {
    let pool = hanging_up().breaker_threshold(0).build().unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.unwrap() }
    });
    tokio::time::sleep(5 * SECOND).await;
    pool.manager().is_well.store(true, Relaxed);
    let _held = waiting.await.unwrap();
    assert_eq!(pool.health().status, HealthStatus::Healthy);
}
