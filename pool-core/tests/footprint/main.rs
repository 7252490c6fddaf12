//! What a pool allocates: nothing on the fast path, little for each idle connection, and nothing
//! that waiters leave behind.
//!
//! The counts are of the whole process, so these tests are one, in a process of its own.

use std::alloc::System;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pool_core::{Manager, Pool};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Connections that take no memory of their own but a number.
struct Numbers;

impl Manager for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn validate(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }
}

async fn idle(count: usize) -> Pool<Numbers> {
    Pool::builder(Numbers)
        .min_size(count)
        .max_size(count)
        .max_connecting(64)
        .connect()
        .await
        .expect("connects cannot fail")
}

async fn the_fast_path_allocates_nothing() {
    let pool = idle(4).await;
    for _ in 0..200 {
        drop(pool.get().await);
    }
    // A thread that begins at this moment allocates too, but only once.
    let mut fewest = usize::MAX;
    for _ in 0..3 {
        let region = Region::new(COUNTED);
        for _ in 0..1_000 {
            drop(pool.get().await);
            drop(pool.try_get());
            drop(pool.get_timeout(Duration::from_secs(1)).await);
        }
        fewest = fewest.min(region.change().allocations);
    }
    assert_eq!(fewest, 0);
}

async fn an_idle_connection_takes_at_most_256_bytes() {
    const COUNT: usize = 10_000;
    let small = idle(1).await;
    let region = Region::new(COUNTED);
    let large = idle(COUNT).await;
    // The tasks that connected are gone.
    tokio::task::yield_now().await;
    let change = region.change();
    let bytes = change.bytes_allocated - change.bytes_deallocated;
    let each = bytes / COUNT - size_of::<u64>();
    println!("{each} bytes for each idle connection");
    assert!(each <= 256, "{each} bytes");
    drop((small, large));
}

/// 10,000 who gave up cost the next nothing: it does as many allocations as in an empty queue,
/// and the queue keeps no more memory than that of 10,000 waiters once.
async fn waiters_that_gave_up_leave_nothing_behind() {
    let pool = idle(1).await;
    let held = pool.get().await;
    let crowd = async |count: usize| {
        let region = Region::new(COUNTED);
        {
            let mut waiting = Vec::new();
            for _ in 0..count {
                let mut getting = Box::pin(pool.get());
                let polled = getting
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
                waiting.push(getting);
            }
            assert_eq!(pool.stats().waiting, count);
        }
        assert_eq!(pool.stats().waiting, 0);
        let change = region.change();
        change
            .bytes_allocated
            .saturating_sub(change.bytes_deallocated)
    };
    crowd(10_000).await;
    for _ in 0..3 {
        let left = crowd(10_000).await;
        assert!(left < 1_000, "{left} bytes stay after the waiters");
    }
    let region = Region::new(COUNTED);
    let mut next = pin!(pool.get());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(next.as_mut().poll(&mut cx).is_pending());
    assert!(region.change().allocations <= 4, "{:?}", region.change());
    drop(held);
    assert!(
        matches!(next.as_mut().poll(&mut cx), Poll::Ready(Ok(_))),
        "served at once"
    );
}

#[tokio::test]
async fn memory_is_as_promised() {
    the_fast_path_allocates_nothing().await;
    an_idle_connection_takes_at_most_256_bytes().await;
    waiters_that_gave_up_leave_nothing_behind().await;
}
