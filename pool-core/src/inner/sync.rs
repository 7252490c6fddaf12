//! The locks and atomics of the seam, replaceable by the model checker's.
//!
//! With `--cfg pool_loom` the same code runs under loom, which tries every interleaving.

#[cfg(not(pool_loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicUsize},
};

#[cfg(pool_loom)]
pub(crate) use self::modelled::{AtomicPtr, thread_number};
#[cfg(all(test, pool_loom))]
pub(crate) use self::modelled::{renumber_threads, sit_at};
#[cfg(pool_loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize},
};

use std::sync::PoisonError;

/// Locks `mutex`. What it guards is valid at every point where code of ours could panic, and no
/// code of others runs under it, so a poisoned lock says nothing about the data.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody else is about to do what this thread waits for.
pub(crate) fn pause() {
    #[cfg(pool_loom)]
    loom::thread::yield_now();
    #[cfg(not(pool_loom))]
    std::hint::spin_loop();
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

#[cfg(pool_loom)]
mod modelled {
    use std::cell::Cell;
    use std::sync::atomic::Ordering;
    use std::sync::atomic::{AtomicUsize as Counter, Ordering::Relaxed};

    /// An atomic pointer that tells the checker of its end too: a use of it that does not happen
    /// before its end (of a berth that another thread frees, say) fails the model.
    pub(crate) struct AtomicPtr<T>(loom::sync::atomic::AtomicPtr<T>);

    impl<T> AtomicPtr<T> {
        pub(crate) fn new(at: *mut T) -> Self {
            Self(loom::sync::atomic::AtomicPtr::new(at))
        }

        pub(crate) fn load(&self, order: Ordering) -> *mut T {
            self.0.load(order)
        }

        pub(crate) fn swap(&self, at: *mut T, order: Ordering) -> *mut T {
            self.0.swap(at, order)
        }

        pub(crate) fn compare_exchange(
            &self,
            current: *mut T,
            new: *mut T,
            success: Ordering,
            failure: Ordering,
        ) -> Result<*mut T, *mut T> {
            self.0.compare_exchange(current, new, success, failure)
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            current: *mut T,
            new: *mut T,
            success: Ordering,
            failure: Ordering,
        ) -> Result<*mut T, *mut T> {
            self.0.compare_exchange_weak(current, new, success, failure)
        }
    }

    impl<T> Drop for AtomicPtr<T> {
        fn drop(&mut self) {
            self.0.with_mut(|_| ());
        }
    }

    loom::thread_local! {
        static NUMBER: Cell<usize> = Cell::new(usize::MAX);
    }

    /// The checker runs one thread at a time, so this needs no modelling.
    static NEXT_NUMBER: Counter = Counter::new(0);

    /// Under the model checker threads are numbered anew in each run.
    pub(crate) fn thread_number() -> usize {
        NUMBER.with(|number| {
            if number.get() == usize::MAX {
                number.set(NEXT_NUMBER.fetch_add(1, Relaxed));
            }
            number.get()
        })
    }

    /// A new run begins: the numbers must be the same for the same interleaving.
    #[cfg(test)]
    pub(crate) fn renumber_threads() {
        NEXT_NUMBER.store(0, Relaxed);
    }

    /// Gives the calling thread a number, so that a model says who meets in which shard.
    #[cfg(test)]
    pub(crate) fn sit_at(number: usize) {
        NUMBER.with(|own| own.set(number));
    }
}
