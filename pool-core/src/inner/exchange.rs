//! Where those who return meet those who want: the seam between the two regimes of a pool.
//!
//! ```text
//!  nobody waits                              somebody waits (or closed, paused, or too many)
//!  ─────────────                             ────────────────────────────────────────────────
//!  take: from the shards, no lock            take: nothing there; join the queue
//!  release: into the shards, no lock         release: finds a plug; under the lock it is handed
//!                                            to the first in the queue
//! ```
//!
//! One invariant holds whenever the lock of the line is free:
//!
//! > the shards are plugged, and therefore empty, exactly while the queue is not empty, the pool
//! > is closed or paused, or there are more connections than the maximum.
//!
//! So, unless the pool is paused, a waiter and an idle connection never exist side by side; a
//! returning thread cannot miss a waiter, and a newcomer cannot overtake one: there is nothing in
//! the shards to overtake with. Plugging looks into each shard once, so a connection that was
//! returned between "nothing idle" and "in the queue" is found.
//!
//! The module is generic over what is exchanged, and knows neither managers nor runtimes.

mod pausing;
mod slots;

use std::task::{Context, Waker};

use crossbeam_utils::CachePadded;

pub use self::pausing::WhilePaused;
use super::capacity::Capacity;
use super::clock::Nanos;
use super::idle::{Homing, Settled, Shards, Taken};
use super::pace::Outlook;
use super::sync::{Arc, AtomicBool, AtomicUsize, Mutex, MutexGuard, lock, pause};
pub(crate) use super::waiters::Arrival;
use super::waiters::{Queue, Sight, Ticket, Turn, Waiter, wake};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The idle set, the queue, and the capacity they share.
pub(crate) struct Exchange<T> {
    pub(crate) shards: Shards<T>,
    counter: CachePadded<Counter<T>>,
    terms: Terms,
}

/// What every stay in the queue writes, side by side: the fewer lines of the cache go from core to
/// core with the lock, the shorter it is held.
#[repr(C)]
struct Counter<T> {
    tally: Tally,
    line: Mutex<Line<T>>,
}

/// Figures for readers without the lock; written under it.
struct Tally {
    waiting: AtomicUsize,
    peak_waiting: AtomicUsize,
    /// Since when the first in the queue has waited; `Nanos::MAX` for nobody.
    oldest_since: AtomicU64,
}

/// What hardly ever changes, for readers without the lock; written under it.
struct Terms {
    min: AtomicUsize,
    max: AtomicUsize,
    is_paused: AtomicBool,
    /// Whether checkouts fail while it is paused.
    fails_paused: AtomicBool,
    is_closed: AtomicBool,
}

/// What the lock guards; first what changes with every stay.
#[repr(C)]
pub(crate) struct Line<T> {
    queue: Queue<T>,
    closed: bool,
    plugged: bool,
    paused: Option<WhilePaused>,
    /// What is kept while the pool is paused, each item in a berth as if for a waiter.
    kept: Vec<Arc<Ticket<T>>>,
    pub(crate) capacity: Capacity,
}

impl<T> Line<T> {
    /// Decides anew about connects for the queue, when somebody has joined it: once they are no
    /// longer held back, they are not until the queue begins anew.
    fn restrain(&mut self, outlook: Option<Outlook>) {
        let capacity = &mut self.capacity;
        let waiting = self.queue.len();
        if waiting == 1 || capacity.restraint.is_some() {
            let open = capacity.available();
            capacity.restraint = outlook.map(|outlook| outlook.restraint(waiting, open));
        }
    }
}

/// An item that leads to the exchange it belongs to.
pub(crate) trait Member: Sized {
    fn exchange(&self) -> &Exchange<Self>;

    /// It goes from hand to hand now, and is not idle in between.
    fn on_hand_over(&self);

    /// Whoever it was meant for has left: it may become idle after all.
    fn on_left_over(&self);
}

impl<T: Member> Homing for T {
    #[inline]
    fn shards(&self) -> &Shards<T> {
        &self.exchange().shards
    }
}

/// What came of wanting an item.
pub(crate) enum Joined<T> {
    /// One turned up while joining.
    Served(Box<T>),
    /// In the queue; so many connects were planned and are to be begun, others may be held back.
    Waiting {
        stay: Stay<T>,
        connects: usize,
        holds_back: bool,
    },
    /// The queue is as long as it may be.
    Full,
    /// The pool is paused, and nobody is to wait for that.
    Paused,
    /// The pool is closed.
    Closed,
}

/// Why an item was not taken back. It counts as closing from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The pool is closed.
    Closed,
    /// There are more connections than the maximum.
    Surplus,
}

/// An item that was not taken back, and why.
pub(crate) type Refused<T> = (Box<T>, Refusal);

/// A stay in the queue. It must be ended with [`Exchange::leave`].
pub(crate) struct Stay<T> {
    ticket: Arc<Ticket<T>>,
    turn: Turn,
}

impl<T> Stay<T> {
    /// To come back with, should what one is served be unusable.
    pub(crate) fn turn(&self) -> Turn {
        self.turn
    }
}

impl<T: Member> Exchange<T> {
    pub(crate) fn new(shards: Shards<T>, capacity: Capacity) -> Self {
        let tally = Tally {
            waiting: AtomicUsize::new(0),
            peak_waiting: AtomicUsize::new(0),
            oldest_since: AtomicU64::new(Nanos::MAX),
        };
        let terms = Terms {
            min: AtomicUsize::new(capacity.min),
            max: AtomicUsize::new(capacity.max),
            is_paused: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            fails_paused: AtomicBool::new(false),
        };
        let line = Line {
            queue: Queue::new(),
            closed: false,
            plugged: false,
            paused: None,
            kept: Vec::new(),
            capacity,
        };
        let line = Mutex::new(line);
        Self {
            shards,
            counter: CachePadded::new(Counter { tally, line }),
            terms,
        }
    }

    /// Takes what is idle; never overtakes a waiter.
    #[inline]
    pub(crate) fn take(&self) -> Option<Taken<T>> {
        self.shards.take()
    }

    /// Gives an item back: to the first waiter, or to the idle set.
    #[inline]
    pub(crate) fn release(item: Box<T>) -> Result<(), Refused<T>> {
        match Shards::put(item) {
            Settled::Idle => Ok(()),
            Settled::Plugged(item) => Self::hand_over(item, Shards::put),
        }
    }

    /// Like [`release`](Self::release), but if nobody waits the item is as idle as it was.
    pub(crate) fn release_coldest(item: Box<T>) -> Result<(), Refused<T>> {
        Self::hand_over(item, Shards::put_coldest)
    }

    #[cold]
    fn hand_over(
        mut item: Box<T>,
        settle: impl Fn(Box<T>) -> Settled<T>,
    ) -> Result<(), Refused<T>> {
        enum Next<T> {
            Refuse(Refusal),
            Serve(Waiter<T>),
            Keep(Arc<Ticket<T>>),
            Settle,
        }
        loop {
            let next = {
                let exchange = item.exchange();
                let mut line = exchange.lock();
                if line.closed {
                    line.capacity.closing();
                    Next::Refuse(Refusal::Closed)
                } else if line.capacity.surplus() > 0 {
                    line.capacity.closing();
                    exchange.balance(&mut line);
                    Next::Refuse(Refusal::Surplus)
                } else if line.paused.is_some() {
                    let ticket = Arc::new(Ticket::new());
                    line.kept.push(Arc::clone(&ticket));
                    Next::Keep(ticket)
                } else if let Some(waiter) = line.queue.call() {
                    exchange.balance(&mut line);
                    Next::Serve(waiter)
                } else {
                    Next::Settle
                }
            };
            // The item is laid in without the lock: the waiter was ours alone once it was called.
            match next {
                Next::Refuse(refusal) => return Err((item, refusal)),
                Next::Serve(waiter) => {
                    item.on_hand_over();
                    match waiter.serve(item) {
                        Ok(()) => return Ok(()),
                        Err(unserved) => {
                            unserved.on_left_over();
                            item = unserved;
                        }
                    }
                }
                Next::Keep(ticket) => match ticket.lay_in(item) {
                    Ok(()) => return Ok(()),
                    Err(unkept) => item = unkept,
                },
                Next::Settle => match settle(item) {
                    Settled::Idle => return Ok(()),
                    Settled::Plugged(unsettled) => item = unsettled,
                },
            }
        }
    }

    /// Joins the queue, unless something is idle after all; [`ring`](Self::ring) wakes the waiter
    /// at its alarm. Who has had a turn stands where it did, however full the queue is.
    pub(crate) fn join(
        &self,
        arrival: Arrival,
        max_waiting: Option<usize>,
        waker: &Waker,
    ) -> Joined<T> {
        // Hardly any is made in vain, and nobody waits for its memory.
        let ticket = Arc::new(Ticket::new());
        let waiter = Waiter::new(Arc::clone(&ticket), waker.clone());
        let mut line = self.lock();
        if line.closed {
            return Joined::Closed;
        }
        if line.paused == Some(WhilePaused::Fail) {
            return Joined::Paused;
        }
        if !line.plugged {
            if let Some(item) = self.shards.plug_or_take() {
                return Joined::Served(item);
            }
            line.plugged = true;
        }
        if arrival.turn.is_none() && line.capacity.is_full(line.queue.len(), max_waiting) {
            self.balance(&mut line);
            return Joined::Full;
        }
        let turn = line.queue.join(waiter, arrival);
        let waiting = line.queue.len();
        self.tell_waiting(&line);
        // Written with the lock held only.
        let peak = &self.counter.tally.peak_waiting;
        if waiting > peak.load(Relaxed) {
            peak.store(waiting, Relaxed);
        }
        line.restrain(arrival.outlook);
        let connects = line.capacity.plan(waiting);
        Joined::Waiting {
            stay: Stay { ticket, turn },
            connects,
            holds_back: line.capacity.restraint.is_some(),
        }
    }

    /// What there is for a stay in the queue; the task is woken when there is more.
    pub(crate) fn look(&self, stay: &Stay<T>, cx: &Context<'_>) -> Sight<T> {
        let Stay { ticket, turn } = stay;
        match ticket.look() {
            Sight::Nothing => {}
            seen => return seen,
        }
        let mut waker = cx.waker().clone();
        let is_queued = self.lock().queue.replace_waker(*turn, ticket, &mut waker);
        if is_queued {
            return if ticket.has_rung() {
                Sight::Rung
            } else {
                Sight::Nothing
            };
        }
        // It has been called, and whoever called it may wake the task that looked before.
        let seen = ticket.look();
        if matches!(seen, Sight::Nothing) {
            pause();
            cx.waker().wake_by_ref();
        }
        seen
    }

    /// Ends a stay in the queue, served or not; an item that was laid in unseen is passed on.
    pub(crate) fn leave(&self, stay: Stay<T>) -> Result<(), Refused<T>> {
        let Stay { ticket, turn } = stay;
        let laid_in = ticket.leave();
        let _left = {
            let mut line = self.lock();
            let left = line.queue.remove(turn, &ticket);
            if left.is_some() {
                self.balance(&mut line);
            }
            left
        };
        laid_in.map_or(Ok(()), |item| {
            item.on_left_over();
            Self::release(item)
        })
    }

    /// Closes: everybody in the queue is dismissed, everything idle is taken out and counts as
    /// closing. Nothing the second time.
    pub(crate) fn close(&self) -> Option<Vec<Box<T>>> {
        let (drained, dismissed) = {
            let mut line = self.lock();
            if line.closed {
                return None;
            }
            line.closed = true;
            self.terms.is_closed.store(true, Relaxed);
            line.plugged = true;
            let mut drained = self.shards.plug_and_drain();
            drained.extend(line.kept.drain(..).filter_map(|ticket| ticket.leave()));
            for _ in &drained {
                line.capacity.closing();
            }
            let dismissed: Vec<_> = std::iter::from_fn(|| line.queue.call()).collect();
            self.tell_waiting(&line);
            (drained, dismissed)
        };
        for waiter in dismissed {
            waiter.dismiss();
        }
        Some(drained)
    }

    /// Takes out every idle item that `wanted` picks, what is kept for a pause included. The second
    /// list is of others that are out too, and to be released.
    pub(crate) fn extract(
        &self,
        mut wanted: impl FnMut(&mut T) -> bool,
    ) -> (Vec<Box<T>>, Vec<Box<T>>) {
        let kept = std::mem::take(&mut self.lock().kept);
        let (mut picked, mut spared) = self.shards.extract(&mut wanted);
        for mut item in kept.into_iter().filter_map(|ticket| ticket.leave()) {
            let is_picked = wanted(&mut item);
            let list = if is_picked { &mut picked } else { &mut spared };
            list.push(item);
        }
        (picked, spared)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.terms.is_closed.load(Relaxed)
    }

    /// Whether no connection exists that could be returned to a waiter; of a pool that is closed, or
    /// that fails checkouts for a pause, there is that to say instead.
    pub(crate) fn is_hopeless(&self) -> bool {
        let line = self.lock();
        let is_shut = line.closed || line.paused == Some(WhilePaused::Fail);
        !is_shut && line.capacity.available() == 0
    }

    /// Dismisses everybody in the queue if no connection exists that could be returned to them.
    pub(crate) fn dismiss_hopeless(&self) {
        let dismissed: Vec<_> = {
            let mut line = self.lock();
            if line.capacity.available() > 0 {
                return;
            }
            let dismissed: Vec<_> = std::iter::from_fn(|| line.queue.call()).collect();
            self.balance(&mut line);
            dismissed
        };
        for waiter in dismissed {
            waiter.dismiss();
        }
    }

    /// Sheds those who have waited since before `since`; says how many. Nobody is shed for a pause.
    pub(crate) fn shed(&self, since: Nanos) -> usize {
        let shed = {
            let mut line = self.lock();
            if line.paused.is_some() {
                return 0;
            }
            let shed = line.queue.call_older(since);
            self.balance(&mut line);
            shed
        };
        let many = shed.len();
        for waiter in shed {
            waiter.shed();
        }
        many
    }

    /// Since when the first in the queue has waited, if anybody has.
    pub(crate) fn oldest_since(&self) -> Option<Nanos> {
        let since = self.counter.tally.oldest_since.load(Relaxed);
        (since != Nanos::MAX).then_some(since)
    }

    /// Wakes those whose alarm is due until `until`.
    pub(crate) fn ring(&self, until: Nanos) {
        let due = self.lock().queue.take_alarms(until);
        for waker in due {
            wake(waker);
        }
    }

    /// Lets everybody in the queue look again.
    pub(crate) fn wake_all(&self) {
        let all = self.lock().queue.ring_all();
        for waker in all {
            wake(waker);
        }
    }

    /// How many wait now, and how many have at most.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (
            self.counter.tally.waiting.load(Relaxed),
            self.counter.tally.peak_waiting.load(Relaxed),
        )
    }

    /// Whether anybody waits, as of now and under the lock.
    pub(crate) fn is_anybody_waiting(&self) -> bool {
        !self.lock().queue.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Line<T>> {
        lock(&self.counter.line)
    }

    fn tell_waiting(&self, line: &Line<T>) {
        self.counter.tally.waiting.store(line.queue.len(), Relaxed);
        let oldest_since = line.queue.first_since().unwrap_or(Nanos::MAX);
        self.counter.tally.oldest_since.store(oldest_since, Relaxed);
    }

    /// Restores the invariant after the queue or the capacity changed.
    fn balance(&self, line: &mut Line<T>) {
        self.tell_waiting(line);
        let surplus = line.capacity.surplus() > 0;
        let plug = line.closed || surplus || line.paused.is_some() || !line.queue.is_empty();
        if line.plugged && !plug {
            line.plugged = false;
            self.shards.unplug();
        }
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::inner::pace::Pace;

    #[test]
    fn once_connects_are_no_longer_held_back_they_are_not_until_the_queue_begins_anew() {
        let pace = Pace::new();
        pace.note_connect(Duration::from_millis(150));
        pace.note_use(Duration::from_millis(2));
        let mut line = Line {
            queue: Queue::new(),
            closed: false,
            plugged: true,
            paused: None,
            kept: Vec::new(),
            capacity: Capacity::new(0, 9, 9),
        };
        let join = |line: &mut Line<u8>| {
            let waiter = Waiter::new(Arc::new(Ticket::new()), Waker::noop().clone());
            line.queue.join(waiter, Arrival::anew());
            line.restrain(pace.outlook());
            line.capacity.restraint.is_some()
        };
        assert!(join(&mut line));
        assert!(join(&mut line));
        line.capacity.restraint = None;
        assert!(!join(&mut line));
        while line.queue.call().is_some() {}
        assert!(join(&mut line));
    }
}
