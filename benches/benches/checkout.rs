//! Checkout and return, and reading statistics, over connections that do nothing.
//!
//! Where several tasks work, a figure is the time for one checkout and return of all of them
//! together: half of it is not "per thread". Compare within one run; `cargo peers` compares with
//! other pools.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pool_benches::nothing::Nothing;
use pool_core::Pool;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// A runtime with two threads, and a pool with `size` idle connections.
fn pool(size: usize) -> (Runtime, Pool<Nothing>) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("threads can be started");
    let pool = runtime.block_on(async {
        let pool = Pool::builder(Nothing).min_size(0).max_size(size).build();
        let pool = pool.expect("the configuration is valid");
        let mut held = Vec::new();
        for _ in 0..size {
            held.push(pool.get().await.expect("connects do not fail"));
        }
        pool
    });
    (runtime, pool)
}

async fn cycles(pool: Pool<Nothing>, count: u64) {
    for _ in 0..count {
        drop(black_box(pool.get().await));
    }
}

async fn yielding_cycles(pool: Pool<Nothing>, count: u64) {
    for _ in 0..count {
        let connection = pool.get().await;
        tokio::task::yield_now().await;
        drop(connection);
    }
}

/// Nobody else, then another task on another thread.
fn idle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("idle");
    let (runtime, pool) = pool(10);
    group.bench_function("one task", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| async { drop(black_box(pool.get().await)) });
    });
    group.bench_function("try_get", |bencher| {
        bencher.iter(|| drop(black_box(pool.try_get())));
    });
    group.bench_function("two tasks", |bencher| {
        bencher.iter_custom(|count| together(&runtime, &pool, 2, count, cycles));
    });
}

/// More tasks than connections, each holding across a yield.
fn contended(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("contended, 10 connections");
    group
        .measurement_time(Duration::from_secs(10))
        .sample_size(20);
    for tasks in [64, 1_000] {
        let (runtime, pool) = pool(10);
        group.throughput(Throughput::Elements(u64::from(tasks)));
        group.bench_function(format!("{tasks} tasks"), |bencher| {
            bencher.iter_custom(|count| together(&runtime, &pool, tasks, count, yielding_cycles));
        });
    }
}

/// The time until `tasks` tasks have each done `count` cycles.
fn together<F>(
    runtime: &Runtime,
    pool: &Pool<Nothing>,
    tasks: u32,
    count: u64,
    cycles: fn(Pool<Nothing>, u64) -> F,
) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    runtime.block_on(async {
        let mut running = JoinSet::new();
        let began = Instant::now();
        for _ in 0..tasks {
            running.spawn(cycles(pool.clone(), count));
        }
        while running.join_next().await.is_some() {}
        began.elapsed()
    })
}

/// What an operator asks, and how much it takes for a pool of ten and of ten thousand.
fn statistics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("statistics");
    for size in [10, 10_000] {
        let (_runtime, pool) = pool(size);
        group.bench_function(format!("{size} connections"), |bencher| {
            bencher.iter(|| black_box(pool.stats()));
        });
    }
}

criterion_group!(benches, idle, contended, statistics);
criterion_main!(benches);
