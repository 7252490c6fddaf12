//! Waiting for another connection's lock, without SQLite's own sleep.
//!
//! SQLite calls a busy handler when a lock is taken, and tries again when it says so. Its own
//! handler sleeps with the thread, 100 ms at a time, deaf to interrupts. This one hands the worker's
//! turn on ([`Shared::wait_for_lock`]), wakes as soon as a task of the same worker set has released
//! a lock, oldest waiter first, looks by itself after ever longer pauses for locks of other
//! processes, and gives up at once when its call is cancelled.
//!
//! SQLite takes a plain function here, so what it needs to know travels in thread-locals: the
//! worker's [`Shared`], set once, and the call, set around each task.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::workers::Shared;

thread_local! {
    static WORKER: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// The call a worker is busy with, as its busy handler sees it.
struct Call {
    cancelled: Arc<AtomicBool>,
    busy_timeout: Duration,
    /// When the present wait began.
    since: Option<Instant>,
    /// The place among the waiters, kept from one pause to the next.
    ticket: Option<u64>,
}

/// Makes this thread one of the workers of `shared`.
pub(crate) fn set_worker(shared: &Arc<Shared>) {
    WORKER.set(Some(Arc::clone(shared)));
}

/// Marks what runs on this thread as one call, until the value is dropped.
pub(crate) struct Scope(());

impl Scope {
    pub(crate) fn enter(cancelled: Arc<AtomicBool>, busy_timeout: Duration) -> Self {
        CALL.set(Some(Call {
            cancelled,
            busy_timeout,
            since: None,
            ticket: None,
        }));
        Self(())
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CALL.set(None);
    }
}

/// The busy handler: whether SQLite shall try once more, for the `attempt`-th time.
pub(crate) fn busy_handler(attempt: i32) -> bool {
    CALL.with_borrow_mut(|call| {
        let Some(call) = call else { return false };
        let now = Instant::now();
        if attempt == 0 {
            call.since = Some(now);
            call.ticket = None;
        }
        let waited = call.since.map_or(Duration::ZERO, |since| now - since);
        let left = call.busy_timeout.saturating_sub(waited);
        // Pairs with the Release store of `Slot::cancel`, which then wakes this thread.
        if left.is_zero() || call.cancelled.load(Ordering::Acquire) {
            return false;
        }
        WORKER.with_borrow(|worker| match worker {
            Some(worker) => {
                worker.wait_for_lock(&mut call.ticket, pause(attempt).min(left));
                !call.cancelled.load(Ordering::Acquire)
            }
            None => false,
        })
    })
}

/// How long the `attempt`-th look waits for another process's lock: 1 ms at first, 25 ms in the
/// end. A wait costs no worker, so it need not grow further, and a lock of this process wakes it.
fn pause(attempt: i32) -> Duration {
    const PAUSES: [u64; 6] = [1, 2, 5, 10, 15, 25];
    let index = usize::try_from(attempt).unwrap_or(0).min(PAUSES.len() - 1);
    Duration::from_millis(PAUSES[index])
}
