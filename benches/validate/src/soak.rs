//! A day in little: many checkouts that are used, dropped half-way, given up or killed, a server
//! that goes away in between, and then a count of what is left.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use pool_core::{Pool, PooledConnection};
use tokio::task::JoinSet;

use crate::measure::{exactly, until};
use crate::report::Finding;
use crate::subject::Subject;
use crate::{Failure, MS, SECOND};

const WORKERS: u64 = 32;

/// How long a soak goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    Checkouts(u64),
    Time(Duration),
}

/// A number that differs each time; for choosing, not for secrets.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Connections lost in a soak of that length.
pub(crate) async fn lost<S: Subject>(subject: &Arc<S>, length: Length) -> Result<Finding, Failure> {
    // Those of pools that were closed a moment ago are not this one's.
    let mut open_before = subject.open_now()?;
    let gone = until(SECOND, || {
        open_before = subject.open_now().unwrap_or(open_before);
        open_before == 0
    });
    gone.await;
    let pool = subject
        .builder()
        .min_size(0)
        .max_size(10)
        .leak_threshold(None)
        .build()?;
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let goes_on = {
        let done = Arc::clone(&done);
        move || match length {
            Length::Checkouts(number) => done.load(Relaxed) < number,
            Length::Time(time) => began.elapsed() < time,
        }
    };
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        let (pool, subject) = (pool.clone(), Arc::clone(subject));
        let (done, goes_on) = (Arc::clone(&done), goes_on.clone());
        workers.spawn(async move {
            let mut dice = Dice(number + 1);
            while goes_on() {
                for _ in 0..1_000 {
                    one_checkout(&pool, &*subject, &mut dice).await;
                }
                done.fetch_add(1_000, Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }
    for _ in 0..2 {
        tokio::time::sleep(SECOND).await;
        subject.stop()?;
        tokio::time::sleep(300 * MS).await;
        subject.start()?;
    }
    while let Some(ended) = workers.join_next().await {
        ended?;
    }
    // The server, too, takes its time to end what was killed; and it may still count the session
    // that asked last, so what is reported is what was found then.
    let (mut stats, mut open) = (pool.stats(), 0);
    let settled = until(20 * SECOND, || {
        stats = pool.stats();
        open = subject.open_now().unwrap_or_default();
        stats.idle == stats.total && stats.waiting == 0 && open == open_before + stats.total
    });
    settled.await;
    pool.close().await;
    let all_closed = until(20 * SECOND, || {
        subject.open_now().is_ok_and(|open| open <= open_before)
    });
    if stats.idle != stats.total || stats.waiting > 0 || all_closed.await.is_none() {
        return Err(format!("not settled: {stats}; the server counts {open}").into());
    }
    let lost = open.saturating_sub(open_before).abs_diff(stats.total);
    Ok(exactly(lost, 0))
}

/// A checkout as anything can happen to it.
async fn one_checkout<S: Subject>(pool: &Pool<S::Manager>, subject: &S, dice: &mut Dice) {
    if dice.roll(10) == 0 {
        // Dropped at its first or second look.
        let mut getting = pin!(pool.get());
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..=dice.roll(2) {
            if getting.as_mut().poll(&mut cx).is_ready() {
                break;
            }
        }
        return;
    }
    let Ok(mut conn) = pool.get_timeout(5 * SECOND).await else {
        return tokio::time::sleep(MS).await;
    };
    match dice.roll(100_000) {
        0 => {
            // The holder panics: the guard is dropped while it unwinds.
            let holder = AssertUnwindSafe(move || {
                let _held = conn;
                std::panic::resume_unwind(Box::new("the holder's mistake"));
            });
            let _panicked = std::panic::catch_unwind(holder);
        }
        1 => {
            let _killed = subject.kill(&mut conn).await;
        }
        2 => PooledConnection::invalidate(conn),
        // Given up while its query runs.
        3..20 => {
            let _too_slow = tokio::time::timeout(MS, subject.slow_query(&mut conn, 20 * MS)).await;
        }
        20..70 => {
            let _answered = subject.query(&mut conn).await;
        }
        _ => {}
    }
}
