//! How fast the connections of a pool serve and how slowly new ones come, and what follows for a
//! queue that has just begun.
//!
//! A burst that the open connections will have served before a new one could be opened needs no
//! new one: opening some all the same loads the server at the worst moment and leaves more
//! connections than are needed. So when a queue begins, connects for it are held back for a quarter
//! of a connect's time: all, if it is going to drain by then; all but one, if that is not known or
//! uses have been longer lately. If anybody waits after that, all are opened that are wanted.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::Inner;
use super::clock::{Nanos, nanos};
use crate::manager::Manager;

/// Connects that take less than four of these are not worth holding back.
const SHORTEST: Nanos = 1_000_000;

/// Running means of one pool, in nanoseconds; 0 while nothing is known.
#[derive(Debug)]
pub(crate) struct Pace {
    use_time: AtomicU64,
    connect_time: AtomicU64,
    /// When to look at a queue whose connects are held back; `Nanos::MAX` for never.
    look_at: AtomicU64,
    /// Whether the keeper runs in real time, and so looks when it is told to.
    is_watched: AtomicBool,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            use_time: AtomicU64::new(0),
            connect_time: AtomicU64::new(0),
            look_at: AtomicU64::new(Nanos::MAX),
            is_watched: AtomicBool::new(false),
        }
    }

    /// The keeper runs, and whether in real time.
    pub(crate) fn watch(&self, in_real_time: bool) {
        self.is_watched.store(in_real_time, Relaxed);
    }

    /// A connection was held for so long.
    pub(crate) fn note_use(&self, held: Duration) {
        note(&self.use_time, held);
    }

    /// Opening a connection took so long.
    pub(crate) fn note_connect(&self, took: Duration) {
        note(&self.connect_time, took);
    }

    pub(crate) fn outlook(&self) -> Option<Outlook> {
        let patience = self.connect_time.load(Relaxed) / 4;
        let use_time = self.use_time.load(Relaxed);
        (patience >= SHORTEST).then_some(Outlook {
            use_time: (use_time > 0).then_some(use_time),
            patience,
        })
    }
}

/// Moves a mean an eighth of the way; a note that another overtakes is lost, which does not matter.
fn note(mean: &AtomicU64, time: Duration) {
    let (before, time) = (mean.load(Relaxed), nanos(time).max(1));
    let after = match before {
        0 => time,
        _ => before - before / 8 + time / 8,
    };
    mean.store(after.max(1), Relaxed);
}

/// What is to be expected of a queue that begins now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// How long a use takes, if that is known.
    use_time: Option<Nanos>,
    /// How long connects may be held back.
    patience: Nanos,
}

impl Outlook {
    /// How many connects `waiting` waiters call for at first when `open` connections serve them.
    pub(crate) fn restraint(self, waiting: usize, open: usize) -> usize {
        let served_in = |use_time: Nanos| {
            let in_turn = use_time.saturating_mul(waiting as u64);
            in_turn / open.max(1) as u64
        };
        let drains = self
            .use_time
            .is_some_and(|use_time| served_in(use_time) <= self.patience);
        usize::from(!drains)
    }
}

impl<M: Manager> Inner<M> {
    /// The outlook for one who joins the queue; none where nobody would look again in time.
    pub(crate) fn outlook(&self) -> Option<Outlook> {
        let is_watched = self.pace.is_watched.load(Relaxed) && self.host.keeper_is_alive();
        is_watched.then(|| self.pace.outlook()).flatten()
    }

    /// Connects were held back for somebody who has just joined: has the keeper look again.
    #[cold]
    pub(crate) fn look_again(&self, outlook: Outlook) {
        // Pairs with the fence of `release_connects`: it sees who has joined, or this what it has
        // written.
        fence(SeqCst);
        if self.pace.look_at.load(Relaxed) == Nanos::MAX {
            let at = self.dial.clock.exact() + outlook.patience;
            self.pace.look_at.store(at, Relaxed);
            self.host.call.notify_one();
        }
    }

    /// Lets connects begin that were held back for long enough; says when to look again.
    pub(crate) fn release_connects(self: &Arc<Self>, now: Nanos) -> Nanos {
        let look_at = self.pace.look_at.load(Relaxed);
        if look_at > now {
            return look_at;
        }
        self.pace.look_at.store(Nanos::MAX, Relaxed);
        fence(SeqCst);
        if self.exchange.waiting().0 > 0 {
            self.stop_holding_back();
        }
        Nanos::MAX
    }

    /// Connects for those who wait now are no longer held back.
    pub(crate) fn stop_holding_back(self: &Arc<Self>) {
        let ((), connects) = self.exchange.with_capacity(|c| c.restraint = None);
        self.begin_connects(connects);
    }
}

#[cfg(test)]
mod tests {
    use super::{Outlook, Pace};
    use std::time::Duration;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_queue_that_drains_within_a_quarter_of_a_connect_calls_for_none() {
        let outlook = Outlook {
            use_time: Some(2 * MS),
            patience: 37 * MS,
        };
        assert_eq!(outlook.restraint(45, 5), 0, "18 ms");
        assert_eq!(outlook.restraint(100, 5), 1, "40 ms");
        assert_eq!(outlook.restraint(10, 0), 0, "the caller sees to that");
    }

    #[test]
    fn one_connect_is_begun_while_nobody_knows_how_long_a_use_takes() {
        let pace = Pace::new();
        assert_eq!(pace.outlook(), None);
        pace.note_connect(Duration::from_millis(150));
        assert_eq!(pace.outlook().unwrap().restraint(10, 1), 1);
        pace.note_use(Duration::from_millis(2));
        assert_eq!(pace.outlook().unwrap().restraint(10, 1), 0);
    }

    #[test]
    fn fast_connects_are_never_held_back() {
        let pace = Pace::new();
        pace.note_connect(Duration::from_millis(3));
        assert_eq!(pace.outlook(), None);
    }

    #[test]
    fn the_mean_follows_what_is_noted() {
        let pace = Pace::new();
        pace.note_connect(Duration::from_secs(4));
        assert_eq!(pace.outlook().unwrap().patience, 1_000 * MS);
        for _ in 0..100 {
            pace.note_connect(Duration::from_millis(40));
        }
        let patience = pace.outlook().unwrap().patience;
        assert!((9 * MS..12 * MS).contains(&patience), "{patience}");
    }
}
