//! Does one thing many times, for `scripts/instructions` to count the instructions of each.
//!
//! `instructions SCENARIO COUNT`. Everything runs on one thread, so the same binary takes the same
//! way every time.

#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use pool_core::{Manager, Pool};
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::sleep;

/// Connections that do nothing.
struct Nothing;

impl Manager for Nothing {
    type Connection = ();
    type Error = Infallible;

    /// Long enough for the pool to weigh in any run, fast or slow, whether waiting is shorter.
    async fn connect(&self) -> Result<(), Infallible> {
        sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    async fn validate(&self, (): &mut ()) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A pool with its defaults, and `size` connections of which all are idle, after a first checkout
/// that has set its clock going.
async fn pool(size: usize) -> Pool<Nothing> {
    let pool = Pool::builder(Nothing).min_size(size).max_size(size);
    let pool = pool.connect().await.expect("connects do not fail");
    drop(pool.get().await);
    yield_now().await;
    pool
}

/// Checkout and return of an idle connection.
async fn checkout(count: u64) {
    let pool = pool(10).await;
    for _ in 0..count {
        drop(black_box(pool.get().await));
    }
}

/// Checkout of one that a single caller always holds: two take turns, and each is handed it.
async fn hand_off(count: u64) {
    let pool = pool(1).await;
    let turns = |pool: Pool<Nothing>| async move {
        for _ in 0..count / 2 {
            let held = pool.get().await;
            yield_now().await;
            drop(black_box(held));
        }
    };
    let other = tokio::spawn(turns(pool.clone()));
    turns(pool).await;
    other.await.expect("does not panic");
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, scenario, count] = &arguments[..] else {
        eprintln!("instructions checkout|hand_off COUNT");
        return ExitCode::FAILURE;
    };
    let Ok(count) = count.parse() else {
        eprintln!("COUNT ({count}) must be a whole number");
        return ExitCode::FAILURE;
    };
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("needs nothing that can be missing");
    match scenario.as_str() {
        "checkout" => runtime.block_on(checkout(count)),
        "hand_off" => runtime.block_on(hand_off(count)),
        other => {
            eprintln!("SCENARIO ({other}) must be checkout or hand_off");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
