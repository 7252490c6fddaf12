//! Connects that take longer than somebody can wait.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::{Sample, block_on};
use crate::peer::{Connects, Peer};

const CONNECT: Duration = Duration::from_millis(100);
const RETURN: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_millis(30);
/// Who has not been served until now never will be.
const NEVER: Duration = Duration::from_secs(2);

/// One of two connections is held and comes back after 5 ms. Who waits for the second, whose connect
/// takes 100 ms, could have the first: when is it served?
pub(super) fn slow_connect<P: Peer>() -> Vec<Sample> {
    let served = block_on(async {
        let connects = Connects::default();
        let pool = P::new(2, connects.clone());
        let first = pool.get().await;
        connects.take(CONNECT);
        let began = Instant::now();
        let waiter = async {
            drop(pool.get().await);
            began.elapsed()
        };
        let holder = async {
            sleep(RETURN).await;
            drop(first);
        };
        tokio::join!(waiter, holder).0
    });
    vec![Sample::new(
        "served_after",
        "ms",
        served.as_secs_f64() * 1e3,
    )]
}

/// The pool is empty, a connect takes 100 ms, and the only caller gives up after 30 ms each time and
/// tries again: when is it served, and how many connects came to nothing?
pub(super) fn impatient<P: Peer>() -> Vec<Sample> {
    let (served, thrown_away) = block_on(async {
        let connects = Connects::default();
        connects.take(CONNECT);
        let pool = P::new(10, connects.clone());
        let began = Instant::now();
        let mut served = None;
        while served.is_none() && began.elapsed() < NEVER {
            if let Ok(guard) = timeout(PATIENCE, pool.get()).await {
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
    vec![
        Sample::new("served_after", "ms", served),
        Sample::new("connects_thrown_away", "connects", thrown_away),
    ]
}
