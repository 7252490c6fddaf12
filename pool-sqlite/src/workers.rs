//! The threads SQLite runs on: a bounded set, three queues, and a place apart for lock waiters.
//!
//! A call moves its connection into a task; any worker takes any task. That is several times
//! cheaper under load than `spawn_blocking` or a thread for each connection (the figures are in
//! the crate's documentation), and it has two dangers: *the COMMIT that would release a lock may
//! queue behind workers that all wait for this lock*, and *the pool may take a database for dead that
//! only has its workers in long calls*. Three rules exclude them:
//!
//! ```text
//!             class       may run while running is less than
//!          ┌▶ Holder ──── workers + UPKEEP + LANES ─┐
//!   submit ┼▶ Upkeep ──── workers + UPKEEP ─────────┼▶ run ──▶ done
//!          └▶ Call   ──── workers ──────────────────┘  │ ▲
//!                             SQLite's busy handler    ▼ │ lock released,
//!                             (lock_wait.rs)         waiting   pause over
//! ```
//!
//! 1. A task of a connection that holds a lock goes first, and [`LANES`] threads are kept for such tasks.
//! 2. What the pool asks for (open, check, reset, close) goes before calls, and has [`UPKEEP`] threads
//!    that no call takes.
//! 3. A task that waits for a lock does not count as running, as long as at most `spare` of them
//!    do: another thread takes over what it would have done.
//!
//! Invariant: `threads <= workers + spare + UPKEEP + LANES`, however many calls wait. Whoever lowers
//! `running` looks for the next task itself or wakes somebody who does, so no task waits while it
//! could run.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::lock_wait;

/// Threads beyond `workers` and [`UPKEEP`] that serve connections holding a lock. One would do but for rollback
/// journals, where a COMMIT itself waits for readers to finish: the second lets those finish.
const LANES: usize = 2;

/// Threads beyond `workers` that serve the pool. What it asks for is short.
const UPKEEP: usize = 1;

/// A thread without work ends after this long.
const LINGER: Duration = Duration::from_secs(10);

/// One call on a worker. Says whether it may have released a lock others wait for.
pub(crate) type Task = Box<dyn FnOnce(Turn) -> Released + Send>;

/// Whose a task is. The first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A connection's that holds a lock others may wait for.
    Holder,
    /// The pool's.
    Upkeep,
    /// A user's.
    Call,
}

/// Threads beyond `workers` that a task of each [`Class`] may be run by.
const EXTRA: [usize; 3] = [UPKEEP + LANES, UPKEEP, 0];

/// What has become of a queued task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A worker runs it.
    Come,
    /// It is not to do its work, only to put back what it has borrowed.
    Withdrawn,
}

/// Who may withdraw a task: an address, which is nobody else's while the task exists.
pub(crate) type Owner = usize;

/// Whether a task may have released a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    Yes,
    No,
}

/// A handle of the worker set. When the last one is dropped, the threads finish what is queued
/// and end.
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

/// What the handles and the threads share.
pub(crate) struct Shared {
    workers: usize,
    spare: usize,
    state: Mutex<State>,
    /// Signalled once for each count of `State::signals`.
    work: Condvar,
}

/// Guarded by `Shared::state`.
#[derive(Default)]
struct State {
    /// One for each [`Class`].
    queues: [VecDeque<Queued>; 3],
    threads: usize,
    /// Threads asleep for want of work that nobody has signalled yet.
    idle: usize,
    /// Threads signalled that have not woken yet.
    signals: usize,
    /// Threads started that have not looked for a task yet.
    starting: usize,
    /// Tasks that run, those not counted because they wait for a lock excepted.
    running: usize,
    /// Tasks that wait for a lock and do not count as running; at most `spare`.
    set_aside: usize,
    /// All tasks that wait for a lock, oldest first.
    waiters: BTreeMap<u64, Thread>,
    next_ticket: u64,
    closed: bool,
    figures: WorkerStats,
}

struct Queued {
    task: Task,
    owner: Option<Owner>,
}

/// What the worker threads of a [`SqliteManager`](crate::SqliteManager) do. Opening, resetting and
/// closing a connection are calls, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Threads now.
    pub threads: usize,
    /// The most threads there have been at once.
    pub peak_threads: usize,
    /// Calls that wait for a worker.
    pub queued: usize,
    /// Calls that wait for another connection's lock.
    pub waiting_for_lock: usize,
    /// The most calls that have waited for a lock at once.
    pub peak_waiting_for_lock: usize,
    /// Calls run.
    pub calls: u64,
    /// Calls stopped by the query timeout.
    pub query_timeouts: u64,
}

impl Workers {
    pub(crate) fn new(workers: usize, spare: usize) -> Self {
        let state = Mutex::new(State::default());
        Self {
            shared: Arc::new(Shared {
                workers,
                spare,
                state,
                work: Condvar::new(),
            }),
        }
    }

    /// Queues `task`. Fails, and drops the task, only when there is no thread at all to run it.
    pub(crate) fn submit(&self, task: Task, owner: Option<Owner>, class: Class) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.queues[class as usize].push_back(Queued { task, owner });
        let started = self.shared.call_for_help(&mut state);
        if state.threads == 0 {
            // Nobody would ever run it: take it back, to be dropped outside the lock.
            let task = state.queues[class as usize].pop_back();
            drop(state);
            drop(task);
        }
        started
    }

    /// Ends the task of `owner`, if it waits for a worker, on this thread.
    pub(crate) fn withdraw(&self, owner: Owner) {
        let withdrawn = self.shared.lock().withdraw(owner);
        if let Some(task) = withdrawn {
            task(Turn::Withdrawn);
        }
    }

    /// Wakes all tasks that wait for a lock, so that a cancelled one sees that it is.
    pub(crate) fn wake_waiters(&self) {
        for waiter in self.shared.lock().waiters.values() {
            waiter.unpark();
        }
    }

    pub(crate) fn count_query_timeout(&self) {
        self.shared.lock().figures.query_timeouts += 1;
    }

    pub(crate) fn stats(&self) -> WorkerStats {
        let state = self.shared.lock();
        WorkerStats {
            threads: state.threads,
            queued: state.queues.iter().map(VecDeque::len).sum(),
            waiting_for_lock: state.waiters.len(),
            ..state.figures
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.signals += std::mem::take(&mut state.idle);
        drop(state);
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// Nothing that can panic runs under this lock, so a poisoned one is still consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets a thread for a task that may run now, if there is one.
    ///
    /// An error means that none could be started; unless there is no thread at all, one of the
    /// others takes the task when it is done with its own.
    fn call_for_help(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        // Threads on their way take one task each.
        if state.startable(self.workers) <= state.signals + state.starting {
            return Ok(());
        }
        if state.idle > 0 {
            state.idle -= 1;
            state.signals += 1;
            self.work.notify_one();
            return Ok(());
        }
        let shared = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name("pool-sqlite".to_owned())
            .spawn(move || shared.work());
        match spawned {
            Ok(_) => {
                state.threads += 1;
                state.starting += 1;
                state.figures.peak_threads = state.figures.peak_threads.max(state.threads);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(threads = state.threads, %error, "cannot start a SQLite worker");
                if state.threads == 0 {
                    Err(error)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// The life of a thread.
    fn work(self: Arc<Self>) {
        lock_wait::set_worker(&self);
        let mut state = self.lock();
        state.starting -= 1;
        loop {
            if let Some(task) = state.start(self.workers) {
                drop(state);
                let released =
                    catch_unwind(AssertUnwindSafe(|| task(Turn::Come))).unwrap_or(Released::Yes);
                state = self.lock();
                state.running -= 1;
                if released == Released::Yes {
                    state.wake_oldest_waiter();
                }
                continue;
            }
            if state.closed && state.is_drained() {
                break;
            }
            state.idle += 1;
            let (woken, timeout) = self
                .work
                .wait_timeout_while(state, LINGER, |state| state.signals == 0)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() {
                state.idle -= 1;
                break;
            }
            state.signals -= 1;
        }
        state.threads -= 1;
    }

    /// Waits, as a task, until a lock may have been released or `pause` is over.
    ///
    /// `ticket` is the task's place among the waiters, from its first wait for this lock on.
    pub(crate) fn wait_for_lock(self: &Arc<Self>, ticket: &mut Option<u64>, pause: Duration) {
        let mut state = self.lock();
        let place = *ticket.get_or_insert_with(|| {
            state.next_ticket += 1;
            state.next_ticket
        });
        state.waiters.insert(place, thread::current());
        state.figures.peak_waiting_for_lock =
            state.figures.peak_waiting_for_lock.max(state.waiters.len());
        let aside = state.set_aside < self.spare;
        if aside {
            state.set_aside += 1;
            state.running -= 1;
            // A thread that cannot be started was reported; the others go on.
            let _ = self.call_for_help(&mut state);
        }
        drop(state);

        thread::park_timeout(pause);

        let mut state = self.lock();
        state.waiters.remove(&place);
        if aside {
            state.set_aside -= 1;
            state.running += 1;
        }
    }
}

impl State {
    /// How many of the queued tasks may run at once, beside those that run.
    fn startable(&self, workers: usize) -> usize {
        let classes = self.queues.iter().zip(EXTRA);
        classes.fold(0, |taken, (queue, extra)| {
            let free = (workers + extra).saturating_sub(self.running + taken);
            taken + queue.len().min(free)
        })
    }

    fn start(&mut self, workers: usize) -> Option<Task> {
        let queued = self
            .queues
            .iter_mut()
            .zip(EXTRA)
            .filter(|(_, extra)| self.running < workers + extra)
            .find_map(|(queue, _)| queue.pop_front())?;
        self.running += 1;
        self.figures.calls += 1;
        Some(queued.task)
    }

    fn withdraw(&mut self, owner: Owner) -> Option<Task> {
        self.queues.iter_mut().find_map(|queue| {
            let index = queue.iter().position(|of| of.owner == Some(owner))?;
            queue.remove(index).map(|queued| queued.task)
        })
    }

    fn wake_oldest_waiter(&self) {
        if let Some(waiter) = self.waiters.values().next() {
            waiter.unpark();
        }
    }

    fn is_drained(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }
}
