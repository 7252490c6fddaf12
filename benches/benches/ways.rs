//! Ways to keep one idle connection: what a take and a put cost on one thread, alone.
//!
//! The pool's own way, one compare-and-swap each on a pointer, is in `checkout`; these are what it
//! was chosen over (see ARCHITECTURE.md). The last is the best that safe Rust can say: an item that
//! keeps the place it is put into alive needs a count of it for as long as the putting takes.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::sync::{Arc, Mutex};

use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam_utils::atomic::AtomicCell;

type Item = Box<u64>;

fn ways(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("take and put");
    let stack = Mutex::new(vec![Item::new(7)]);
    group.bench_function("a mutex and a stack", |bencher| {
        bencher.iter(|| {
            let item = stack.lock().ok().and_then(|mut stack| stack.pop());
            if let (Ok(mut stack), Some(item)) = (stack.lock(), black_box(item)) {
                stack.push(item);
            }
        });
    });
    let cell = AtomicCell::new(Some(Item::new(7)));
    group.bench_function("an atomic cell", |bencher| {
        bencher.iter(|| {
            let item = black_box(cell.take());
            drop(cell.swap(item));
        });
    });
    let shared = Arc::new(AtomicCell::new(Some(Item::new(7))));
    group.bench_function("an atomic cell, counted while it is put", |bencher| {
        bencher.iter(|| {
            let item = black_box(shared.take());
            let home = Arc::clone(&shared);
            drop(home.swap(item));
        });
    });
}

criterion_group!(benches, ways);
criterion_main!(benches);
