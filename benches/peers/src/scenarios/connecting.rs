//! Connects that take longer than somebody can wait.

use std::time::{Duration, Instant};

use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use super::{block_on, warm};
use crate::contest::{Metric, Values};
use crate::peer::{Connects, Peer};

pub(super) const SLOW_CONNECT: [Metric; 1] = [Metric::lowest("served_after", "ms")];

pub(super) const IMPATIENT: [Metric; 2] = [
    Metric::lowest("served_after", "ms"),
    Metric::lowest("connects_thrown_away", "connects"),
];

pub(super) const SPIKE: [Metric; 2] = [
    Metric::lowest("last_served_after", "ms"),
    Metric::lowest("connections_opened", "connections"),
];

pub(super) const STORM: [Metric; 1] = [Metric::lowest("slots_lost", "connections")];

const CONNECT: Duration = Duration::from_millis(100);
const RETURN: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_millis(30);
/// Who has not been served until now never will be.
const NEVER: Duration = Duration::from_secs(2);

/// One of two connections is held and comes back after 5 ms. Who waits for the second, whose connect
/// takes 100 ms, could have the first: when is it served?
pub(super) fn slow_connect<P: Peer>() -> Values {
    let served = block_on(async {
        let connects = Connects::default();
        let pool = P::new(2, connects.clone());
        let first = pool.served().await;
        connects.take(CONNECT);
        let began = Instant::now();
        let waiter = async {
            drop(pool.served().await);
            began.elapsed()
        };
        let holder = async {
            sleep(RETURN).await;
            drop(first);
        };
        tokio::join!(waiter, holder).0
    });
    vec![Some(served.as_secs_f64() * 1e3)]
}

/// The pool is empty, a connect takes 100 ms, and the only caller gives up after 30 ms each time and
/// tries again: when is it served, and how many connects came to nothing?
pub(super) fn impatient<P: Peer>() -> Values {
    let (served, thrown_away) = block_on(async {
        let connects = Connects::default();
        connects.take(CONNECT);
        let pool = P::new(10, connects.clone());
        let began = Instant::now();
        let mut served = None;
        while served.is_none() && began.elapsed() < NEVER {
            if let Ok(guard) = timeout(PATIENCE, pool.served()).await {
                served = Some(began.elapsed());
                drop(guard);
            }
        }
        // Connects still under way count as kept only when they end well.
        sleep(CONNECT * 2).await;
        (served, connects.thrown_away())
    });
    let served = served.map(|served| served.as_secs_f64() * 1e3);
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let thrown_away = thrown_away as f64;
    vec![served, Some(thrown_away)]
}

/// Five of fifty connections are open when fifty callers come at once; each uses a connection for
/// 2 ms, and opening one takes 150 ms: when was the last served, and how many are open then?
pub(super) fn spike<P: Peer>() -> Values {
    const CALLERS: usize = 50;
    const OPEN: usize = 5;
    const LONG_CONNECT: Duration = Duration::from_millis(150);
    const USE: Duration = Duration::from_millis(2);
    let (served, opened) = block_on(async {
        let connects = Connects::default();
        connects.take(LONG_CONNECT);
        let pool = P::new(CALLERS, connects.clone());
        warm(&pool, OPEN).await;
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let pool = pool.clone();
            callers.spawn(async move {
                let guard = pool.served().await;
                let served = began.elapsed();
                sleep(USE).await;
                drop(guard);
                served
            });
        }
        let served = callers.join_all().await.into_iter().max();
        sleep(LONG_CONNECT * 2).await;
        (served.unwrap_or_default(), connects.begun())
    });
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let opened = opened as f64;
    vec![Some(served.as_secs_f64() * 1e3), Some(opened)]
}

/// A thousand callers give up at some point of their wait for ten connections, a hundred thousand
/// times in all: how many of the ten can still be had?
pub(super) fn storm<P: Peer>() -> Values {
    const CALLERS: u64 = 1_000;
    const ROUNDS: u64 = 100;
    const CONNECTIONS: usize = 10;
    let left = block_on(async {
        let pool = P::new(CONNECTIONS, Connects::default());
        warm(&pool, CONNECTIONS).await;
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let pool = pool.clone();
            callers.spawn(async move {
                for round in 0..ROUNDS {
                    let patience = Duration::from_micros((caller * 7 + round * 13) % 200);
                    let holding = async {
                        let guard = pool.served().await;
                        yield_now().await;
                        drop(guard);
                    };
                    let _given_up = timeout(patience, holding).await;
                }
            });
        }
        while callers.join_next().await.is_some() {}
        let mut held = Vec::new();
        while held.len() < CONNECTIONS {
            let Ok(guard) = timeout(Duration::from_millis(500), pool.served()).await else {
                break;
            };
            held.push(guard);
        }
        held.len()
    });
    #[expect(clippy::cast_precision_loss, reason = "ten at most")]
    let lost = (CONNECTIONS - left) as f64;
    vec![Some(lost)]
}
