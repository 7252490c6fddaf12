//! A server that refuses for a while: how hard it is knocked at, and how soon all are served again.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::block_on;
use crate::contest::{Metric, Values};
use crate::peer::{Connects, Peer};

pub(super) const METRICS: [Metric; 2] = [
    Metric::lowest("attempts_while_down", "1/s"),
    Metric::lowest("all_served_after", "ms"),
];

const CALLERS: usize = 100;
const CONNECTIONS: usize = 10;
const DOWN: Duration = Duration::from_secs(3);
/// Both an answer and a refusal take this long.
const CONNECT: Duration = Duration::from_millis(1);
const USE: Duration = Duration::from_millis(1);
/// How long a caller pauses after an error.
const PAUSE: Duration = Duration::from_millis(10);
/// Who has not been served until now never will be.
const NEVER: Duration = Duration::from_secs(12);

/// A hundred callers want a connection, and try again 10 ms after an error. The server refuses for
/// 3 s: how many connects does it see, and when is the last caller served once it is back?
pub(super) fn run<P: Peer>() -> Values {
    let (attempts, served) = block_on(async {
        let connects = Connects::default();
        connects.take(CONNECT);
        connects.refuse(true);
        let pool = P::new(CONNECTIONS, connects.clone());
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(caller(pool.clone()));
        }
        sleep(DOWN).await;
        let attempts = connects.begun();
        connects.refuse(false);
        let back = Instant::now();
        let served = timeout(NEVER, async {
            while callers.join_next().await.is_some() {}
            back.elapsed()
        });
        (attempts, served.await.ok())
    });
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let attempts = attempts as f64;
    vec![
        Some(attempts / DOWN.as_secs_f64()),
        served.map(|served| served.as_secs_f64() * 1e3),
    ]
}

/// Tries until it is served once.
async fn caller<P: Peer>(pool: P) {
    loop {
        if let Ok(guard) = pool.get().await {
            sleep(USE).await;
            drop(guard);
            return;
        }
        sleep(PAUSE).await;
    }
}
