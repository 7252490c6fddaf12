//! The locks and atomics of the seam, replaceable by the model checker's.
//!
//! With `--cfg pool_loom` the same code runs under loom, which tries every interleaving.

#[cfg(not(pool_loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicUsize},
};

#[cfg(pool_loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicUsize},
};

use std::sync::PoisonError;

/// Locks `mutex`. What it guards is valid at every point where code of ours could panic, and no
/// code of others runs under it, so a poisoned lock says nothing about the data.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A small number for the calling thread, the same at every call from it.
#[cfg(not(pool_loom))]
#[inline]
pub(crate) fn thread_number() -> usize {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize as Counter, Ordering};

    static NEXT: Counter = Counter::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    #[cold]
    fn assign(number: &Cell<usize>) -> usize {
        number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        number.get()
    }

    NUMBER.with(|number| match number.get() {
        usize::MAX => assign(number),
        known => known,
    })
}

/// Under the model checker threads are numbered anew in each run.
#[cfg(pool_loom)]
pub(crate) fn thread_number() -> usize {
    loom::thread_local! {
        static NUMBER: std::cell::Cell<usize> = std::cell::Cell::new(usize::MAX);
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT_NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
        number.get()
    })
}

/// The checker runs one thread at a time, so this needs no modelling.
#[cfg(pool_loom)]
static NEXT_NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// A new run begins: the numbers must be the same for the same interleaving.
#[cfg(all(test, pool_loom))]
pub(crate) fn renumber_threads() {
    NEXT_NUMBER.store(0, std::sync::atomic::Ordering::Relaxed);
}
