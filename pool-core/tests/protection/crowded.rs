//! A server that has no room for more connections.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use pool_core::{BreakerState, Error, Manager, Pool, PoolBuilder, PooledConnection, Severity};

use crate::SECOND;

const MS: Duration = Duration::from_millis(1);

/// A server that may be away, and may have no room for more connections.
#[derive(Default)]
struct Crowded {
    is_away: AtomicBool,
    is_full: AtomicBool,
    /// When it has accepted one more, it is full.
    is_full_after_one: AtomicBool,
    refused: AtomicUsize,
}

impl Manager for Crowded {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        if self.is_away.load(Relaxed) {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        if self.is_full.load(Relaxed) {
            self.refused.fetch_add(1, Relaxed);
            tokio::time::sleep(MS).await;
            return Err(std::io::Error::other("too many connections"));
        }
        if self.is_full_after_one.load(Relaxed) {
            self.is_full.store(true, Relaxed);
        }
        Ok(())
    }

    async fn validate(&self, (): &mut ()) -> Result<(), std::io::Error> {
        Ok(())
    }

    fn severity(&self, error: &std::io::Error) -> Severity {
        match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Severity::Transient,
            _ => Severity::TooManyConnections,
        }
    }
}

fn pool(max_size: usize) -> PoolBuilder<Crowded> {
    Pool::builder(Crowded::default())
        .min_size(0)
        .max_size(max_size)
}

/// A pool that wants five, over a server that has room for the one that is held.
async fn full_after_one() -> (Pool<Crowded>, PooledConnection<Crowded>) {
    let pool = pool(5).build().unwrap();
    let held = pool.get().await.unwrap();
    pool.manager().is_full.store(true, Relaxed);
    (pool, held)
}

#[tokio::test(start_paused = true)]
async fn a_server_without_room_is_left_alone_for_ten_seconds_and_those_who_wait_are_served() {
    let (pool, held) = full_after_one().await;
    let waiting = [(); 3].map(|()| {
        let pool = pool.clone();
        tokio::spawn(async move { drop(pool.get().await.unwrap()) })
    });
    tokio::time::sleep(9 * SECOND).await;
    let refused = pool.manager().refused.load(Relaxed);
    assert!(
        (1..=3).contains(&refused),
        "{refused} attempts, one for each who waits at most"
    );
    assert_eq!(pool.stats().breaker, BreakerState::Closed);
    drop(held);
    for waiting in waiting {
        waiting.await.unwrap();
    }
    assert_eq!(pool.stats().total, 1, "it made do with the one");

    pool.manager().is_full.store(false, Relaxed);
    tokio::time::sleep(2 * SECOND).await;
    let _held = [pool.get().await.unwrap(), pool.get().await.unwrap()];
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_back_and_has_room_for_one_is_not_stormed() {
    let pool = pool(10).max_connecting(1).build().unwrap();
    let server = pool.manager();
    server.is_away.store(true, Relaxed);
    pool.get().await.map(drop).unwrap_err();
    server.is_full_after_one.store(true, Relaxed);
    server.is_away.store(false, Relaxed);
    let _held = loop {
        match pool.get().await {
            Ok(held) => break held,
            Err(_) => tokio::time::sleep(MS * 10).await,
        }
    };
    let waited = pool.get_timeout(2 * SECOND).await.map(drop);
    waited.unwrap_err();
    let refused = server.refused.load(Relaxed);
    assert!(refused <= 2, "{refused} attempts");
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_any_connection_does_not_make_do_with_none() {
    let pool = pool(5).build().unwrap();
    pool.manager().is_full.store(true, Relaxed);
    let error = pool.get().await.map(drop).unwrap_err();
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    pool.manager().is_full.store(false, Relaxed);
    let served = async {
        while pool.get().await.is_err() {
            tokio::time::sleep(MS * 10).await;
        }
    };
    let in_time = tokio::time::timeout(5 * SECOND, served).await;
    in_time.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_told_that_the_server_has_no_room() {
    let (pool, held) = full_after_one().await;
    let (waited, health) = tokio::join!(pool.get_timeout(2 * SECOND), async {
        tokio::time::sleep(SECOND).await;
        pool.health().to_string()
    });
    let told = waited.map(drop).unwrap_err().to_string();
    assert!(
        told.contains("last connect failed: too many connections"),
        "{told}"
    );
    assert_eq!(health, "degraded: connects fail: too many connections");
    assert!(pool.health().reasons.is_empty(), "nobody waits any more");
    let failure = pool.health().last_connect_error.unwrap();
    assert_eq!(failure.error, "too many connections");
    pool.manager().is_full.store(false, Relaxed);
    let _other = pool.get().await.unwrap();
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(pool.get().await.unwrap());
    }
    let waited = pool.get_timeout(2 * SECOND).await.map(drop);
    let told = waited.unwrap_err().to_string();
    assert!(!told.contains("last connect failed"), "{told}");
    drop(held);
}

#[test]
fn a_pool_that_made_do_with_less_grows_again_though_its_runtime_has_ended() {
    let pool = pool(2).build().unwrap();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let held = runtime().block_on(async {
        let held = pool.get().await.unwrap();
        pool.manager().is_full.store(true, Relaxed);
        assert!(pool.get_timeout(MS * 10).await.is_err(), "there is no room");
        held
    });
    pool.manager().is_full.store(false, Relaxed);
    runtime().block_on(async {
        drop(pool.get().await.unwrap());
    });
    drop(held);
}
