//! The queue of those who wait: first come, first served.
//!
//! A [`Ticket`] is one waiter: a [`Berth`] into which its connection is laid. The queue holds the
//! tickets in order, each with the waker of its task, in one ring, so that whoever joins at the end
//! and whoever calls from the front touch a line of the cache each. One who leaves is found by
//! bisection and leaves a gap, which is passed over later: 10,000 waiters that give up cost those
//! behind them nothing. Memory is given back when the last has gone.
//!
//! ```text
//!            call                 offer              claim
//!  queued ────────▶ called (popped) ────▶ served ───────────▶ gone
//!     │                 │                    │
//!     └──── leave ──────┴────────────────────┘  the berth is plugged: an offer fails and goes to
//!                                               the next; what was laid in already is passed on
//! ```

use std::collections::VecDeque;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use std::task::Waker;

use super::berth::Berth;
use super::bounded::caught_now;
use super::clock::Nanos;
use super::pace::Outlook;
use super::sync::{Arc, AtomicBool};

/// One waiter.
pub(crate) struct Ticket<T> {
    berth: Berth<T>,
    /// Whether it is to look after itself.
    has_rung: AtomicBool,
    /// Whether a dismissal is for the queue's sake.
    is_shed: AtomicBool,
}

/// What a waiter finds when it looks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sight<T> {
    /// This was laid in.
    Served(Box<T>),
    /// It will not be served.
    Dismissed,
    /// It will not be served, for it has waited too long in a queue that does not drain.
    Shed,
    /// Nothing, but somebody wants it to look after itself.
    Rung,
    /// Nothing yet.
    Nothing,
}

impl<T> Ticket<T> {
    pub(crate) fn new() -> Self {
        Self {
            berth: Berth::new(),
            has_rung: AtomicBool::new(false),
            is_shed: AtomicBool::new(false),
        }
    }

    /// Lays `item` in; gives it back when the waiter has left.
    pub(crate) fn lay_in(&self, item: Box<T>) -> Result<(), Box<T>> {
        self.berth.offer(item)
    }

    /// What there is.
    pub(crate) fn look(&self) -> Sight<T> {
        if let Some(item) = self.berth.take() {
            Sight::Served(item)
        } else if !self.berth.is_plugged() {
            Sight::Nothing
        } else if self.is_shed.load(Relaxed) {
            Sight::Shed
        } else {
            Sight::Dismissed
        }
    }

    /// Whether it was to look after itself; only once.
    pub(crate) fn has_rung(&self) -> bool {
        self.has_rung.swap(false, AcqRel)
    }

    /// Leaves for good; what was laid in meanwhile is the caller's to pass on.
    pub(crate) fn leave(&self) -> Option<Box<T>> {
        self.berth.plug()
    }
}

/// A waiter and how it is woken: in the queue, or called from it by the one who has this.
pub(crate) struct Waiter<T> {
    ticket: Arc<Ticket<T>>,
    waker: Waker,
}

impl<T> Waiter<T> {
    pub(crate) fn new(ticket: Arc<Ticket<T>>, waker: Waker) -> Self {
        Self { ticket, waker }
    }

    /// Lays `item` in and wakes the waiter; gives it back when the waiter has left.
    pub(crate) fn serve(self, item: Box<T>) -> Result<(), Box<T>> {
        self.ticket.lay_in(item)?;
        self.waker.wake();
        Ok(())
    }

    /// Tells the waiter that it will not be served.
    pub(crate) fn dismiss(self) {
        self.ticket.berth.plug_if_empty();
        wake(self.waker);
    }

    /// Tells the waiter that it will not be served so that others are.
    pub(crate) fn shed(self) {
        // The plug releases it.
        self.ticket.is_shed.store(true, Relaxed);
        self.dismiss();
    }

    /// What to wake it with so that it looks after itself.
    fn ring(&self) -> Waker {
        self.ticket.has_rung.store(true, Release);
        self.waker.clone()
    }
}

/// Wakes one of several: should its task panic at that, the others are woken all the same.
pub(crate) fn wake(waker: Waker) {
    let _its_own_affair = caught_now(|| waker.wake());
}

/// When a waiter came: who came earlier has a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn(u64);

impl Turn {
    /// Of one who found something idle, so before anybody who had to wait, but unusable.
    pub(crate) const FIRST: Self = Self(0);
}

/// Somebody who joins the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// That of an earlier stay of the same checkout.
    pub(crate) turn: Option<Turn>,
    /// When the checkout began.
    pub(crate) since: Nanos,
    /// When the waiter wants to be woken; `Nanos::MAX` for never.
    pub(crate) alarm_at: Nanos,
    /// What is to be expected of the queue.
    pub(crate) outlook: Option<Outlook>,
}

#[cfg(test)]
impl Arrival {
    /// One who comes at no particular time.
    pub(crate) fn anew() -> Self {
        Self {
            turn: None,
            since: 0,
            alarm_at: Nanos::MAX,
            outlook: None,
        }
    }
}

struct Entry<T> {
    /// `None` for one who has left.
    waiter: Option<Waiter<T>>,
    turn: Turn,
    /// When the checkout began.
    since: Nanos,
    /// When the waiter wants to be woken to see to its own deadline.
    alarm_at: Nanos,
}

impl<T> Entry<T> {
    fn is_gap(&self) -> bool {
        self.waiter.is_none()
    }
}

/// So many entries may be kept for nobody.
const KEPT: usize = 64;

/// First in, first out, with removal from anywhere; in order of the turns.
///
/// Whatever it gives back is to be dropped without the lock that guards it: with a waker may go the
/// last of a task, and with that whatever the task held.
pub(crate) struct Queue<T> {
    /// The first and the last are of somebody who waits, if anybody does.
    entries: VecDeque<Entry<T>>,
    /// How many wait.
    len: usize,
    /// How many have joined for the first time.
    turns: u64,
    /// No alarm is earlier than this.
    next_alarm: Nanos,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            len: 0,
            turns: 0,
            next_alarm: Nanos::MAX,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Joins at the end, or, with the turn of an earlier stay, where that belongs.
    pub(crate) fn join(&mut self, waiter: Waiter<T>, arrival: Arrival) -> Turn {
        let Arrival {
            turn,
            since,
            alarm_at,
            ..
        } = arrival;
        self.next_alarm = self.next_alarm.min(alarm_at);
        self.len += 1;
        let entry = |turn| Entry {
            waiter: Some(waiter),
            turn,
            since,
            alarm_at,
        };
        if let Some(turn) = turn {
            let place = self.entries.partition_point(|other| other.turn <= turn);
            self.entries.insert(place, entry(turn));
            turn
        } else {
            // Nobody has a later one, so nothing need be compared.
            self.turns += 1;
            let turn = Turn(self.turns);
            self.entries.push_back(entry(turn));
            turn
        }
    }

    /// Since when the first has waited.
    pub(crate) fn first_since(&self) -> Option<Nanos> {
        self.entries.front().map(|entry| entry.since)
    }

    /// Takes out those at the front who have waited since before `since`.
    pub(crate) fn call_older(&mut self, since: Nanos) -> Vec<Waiter<T>> {
        let next = || {
            let is_older = self.first_since().is_some_and(|first| first < since);
            is_older.then(|| self.call()).flatten()
        };
        std::iter::from_fn(next).collect()
    }

    /// Takes out the one who has waited longest.
    pub(crate) fn call(&mut self) -> Option<Waiter<T>> {
        let first = self.entries.pop_front()?;
        self.len -= 1;
        self.close_up();
        first.waiter
    }

    /// Takes out the one with this ticket and turn, if still there.
    pub(crate) fn remove(&mut self, turn: Turn, ticket: &Arc<Ticket<T>>) -> Option<Waiter<T>> {
        let left = self.find(turn, ticket)?.take();
        self.len -= 1;
        self.close_up();
        while self.entries.back().is_some_and(Entry::is_gap) {
            self.entries.pop_back();
        }
        if self.entries.len() > 2 * self.len + KEPT {
            self.entries.retain(|entry| !entry.is_gap());
        }
        left
    }

    /// Has the one with this ticket and turn woken with `waker` from now on, and gives the one back
    /// that is of no use any more; false when it is no longer there.
    pub(crate) fn replace_waker(
        &mut self,
        turn: Turn,
        ticket: &Arc<Ticket<T>>,
        waker: &mut Waker,
    ) -> bool {
        let Some(Some(waiter)) = self.find(turn, ticket) else {
            return false;
        };
        std::mem::swap(&mut waiter.waker, waker);
        true
    }

    /// Those whose alarm is due until `until`, to be woken; each is told once.
    pub(crate) fn take_alarms(&mut self, until: Nanos) -> Vec<Waker> {
        let mut due = Vec::new();
        if self.next_alarm > until {
            return due;
        }
        self.next_alarm = Nanos::MAX;
        for entry in &mut self.entries {
            let Some(waiter) = &entry.waiter else {
                continue;
            };
            if entry.alarm_at <= until {
                entry.alarm_at = Nanos::MAX;
                due.push(waiter.ring());
            }
            self.next_alarm = self.next_alarm.min(entry.alarm_at);
        }
        due
    }

    /// All who wait, to be woken in order.
    pub(crate) fn ring_all(&self) -> Vec<Waker> {
        let waiters = self
            .entries
            .iter()
            .filter_map(|entry| entry.waiter.as_ref());
        waiters.map(Waiter::ring).collect()
    }

    fn find(&mut self, turn: Turn, ticket: &Arc<Ticket<T>>) -> Option<&mut Option<Waiter<T>>> {
        let first = self.entries.partition_point(|entry| entry.turn < turn);
        let same_turn = self.entries.range_mut(first..);
        same_turn
            .take_while(|entry| entry.turn == turn)
            .map(|entry| &mut entry.waiter)
            .find(|waiter| {
                let ticket_of = |waiter: &Waiter<T>| Arc::ptr_eq(&waiter.ticket, ticket);
                waiter.as_ref().is_some_and(ticket_of)
            })
    }

    /// Passes over gaps at the front.
    fn close_up(&mut self) {
        while self.entries.front().is_some_and(Entry::is_gap) {
            self.entries.pop_front();
        }
        if self.entries.is_empty() && self.entries.capacity() > KEPT {
            self.entries = VecDeque::new();
        }
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests {
    use super::{Arrival, KEPT, Queue, Sight, Ticket, Turn, Waiter};
    use std::sync::Arc;
    use std::task::Waker;

    type Named = (Turn, Arc<Ticket<u32>>);

    fn waiter(ticket: &Arc<Ticket<u32>>) -> Waiter<u32> {
        Waiter::new(Arc::clone(ticket), Waker::noop().clone())
    }

    fn join_with(queue: &mut Queue<u32>, arrival: Arrival) -> Named {
        let ticket = Arc::new(Ticket::new());
        (queue.join(waiter(&ticket), arrival), ticket)
    }

    fn join(queue: &mut Queue<u32>) -> Named {
        join_with(queue, Arrival::anew())
    }

    fn leave(queue: &mut Queue<u32>, (turn, ticket): &Named) -> bool {
        queue.remove(*turn, ticket).is_some()
    }

    /// Calls everybody, who must be these in this order.
    #[track_caller]
    fn assert_order<'a>(queue: &mut Queue<u32>, expected: impl IntoIterator<Item = &'a Named>) {
        for (_, ticket) in expected {
            let called = queue.call();
            assert!(called.is_some_and(|called| Arc::ptr_eq(&called.ticket, ticket)));
        }
        assert!(queue.call().is_none() && queue.is_empty());
    }

    #[test]
    fn the_first_to_join_is_the_first_called() {
        let mut queue = Queue::new();
        let all: Vec<_> = (0..3).map(|_| join(&mut queue)).collect();
        assert_order(&mut queue, &all);
    }

    #[test]
    fn those_who_come_back_stand_where_they_stood() {
        let mut queue = Queue::new();
        let all: Vec<_> = (0..4).map(|_| join(&mut queue)).collect();
        for _ in 0..3 {
            queue.call();
        }
        let mut back = |turn| {
            let turn = Some(turn);
            join_with(
                &mut queue,
                Arrival {
                    turn,
                    ..Arrival::anew()
                },
            )
        };
        let [second, third, first] = [1, 2, 0].map(|number: usize| back(all[number].0));
        let [idle, other] = [Turn::FIRST; 2].map(&mut back);
        assert_order(
            &mut queue,
            [&idle, &other, &first, &second, &third, &all[3]],
        );
    }

    #[test]
    fn a_crowd_that_has_left_leaves_no_memory_behind() {
        let mut queue = Queue::new();
        let first = join(&mut queue);
        let mut crowd: Vec<_> = (0..2 * KEPT).map(|_| join(&mut queue)).collect();
        let last = join(&mut queue);
        // Between two who stay, so that no gap is at either end.
        for one in crowd.drain(..) {
            assert!(leave(&mut queue, &one));
        }
        assert!(queue.entries.len() <= 4 + KEPT, "{}", queue.entries.len());
        assert!(leave(&mut queue, &first) && leave(&mut queue, &last));
        assert!(queue.entries.capacity() <= KEPT);
        let next = join(&mut queue);
        assert!(!leave(&mut queue, &first), "who has left is not the next");
        assert_order(&mut queue, [&next]);
    }

    #[test]
    fn leaving_from_anywhere_keeps_the_order_of_the_rest() {
        for leaver in 0..3 {
            let mut queue = Queue::new();
            let mut all: Vec<_> = (0..3).map(|_| join(&mut queue)).collect();
            let left = all.remove(leaver);
            assert!(leave(&mut queue, &left));
            assert!(!leave(&mut queue, &left), "one leaves once");
            assert_eq!(queue.len(), 2);
            assert_order(&mut queue, &all);
        }
    }

    #[test]
    fn a_stay_is_not_mistaken_for_a_later_one_of_the_same_turn() {
        let mut queue = Queue::new();
        let old = join(&mut queue);
        queue.call();
        let turn = Some(old.0);
        let new = join_with(
            &mut queue,
            Arrival {
                turn,
                ..Arrival::anew()
            },
        );
        assert!(!leave(&mut queue, &old));
        assert!(leave(&mut queue, &new));
    }

    #[test]
    fn who_is_polled_by_another_task_is_woken_there() {
        let mut queue = Queue::new();
        let (turn, ticket) = join(&mut queue);
        let (sender, woken) = std::sync::mpsc::channel();
        let mut waker = Waker::from(Arc::new(Tell(sender)));
        let new = waker.clone();
        assert!(queue.replace_waker(turn, &ticket, &mut waker));
        assert_ne!(waker.data(), new.data(), "the one that was there");
        queue.call().unwrap().serve(Box::new(5)).unwrap();
        woken.try_recv().unwrap();
        assert!(!queue.replace_waker(turn, &ticket, &mut waker));
    }

    struct Tell(std::sync::mpsc::Sender<()>);

    impl std::task::Wake for Tell {
        fn wake(self: Arc<Self>) {
            let _is_heard = self.0.send(());
        }
    }

    #[test]
    fn an_alarm_rings_once_and_when_it_is_due() {
        let mut queue = Queue::new();
        for alarm_at in [30, 10, u64::MAX] {
            join_with(
                &mut queue,
                Arrival {
                    alarm_at,
                    ..Arrival::anew()
                },
            );
        }
        assert_eq!(queue.take_alarms(9).len(), 0);
        assert_eq!(queue.take_alarms(10).len(), 1);
        assert_eq!(queue.take_alarms(29).len(), 0);
        queue.call();
        assert_eq!(queue.take_alarms(30).len(), 0, "who is gone is not woken");
    }

    #[test]
    fn an_offer_to_one_who_left_comes_back() {
        let ticket = Arc::new(Ticket::new());
        assert!(ticket.leave().is_none());
        let refused = waiter(&ticket).serve(Box::new(5));
        assert_eq!(refused.unwrap_err(), Box::new(5));
    }

    #[test]
    fn one_who_leaves_after_being_served_passes_it_on() {
        let ticket = Arc::new(Ticket::new());
        waiter(&ticket).serve(Box::new(5)).unwrap();
        assert_eq!(ticket.leave(), Some(Box::new(5)));
    }

    #[test]
    fn one_dismissed_is_told_so() {
        let ticket = Arc::new(Ticket::new());
        assert_eq!(ticket.look(), Sight::Nothing);
        waiter(&ticket).dismiss();
        assert_eq!(ticket.look(), Sight::Dismissed);
    }

    #[test]
    fn one_shed_is_told_so_and_only_those_who_came_before_are_called() {
        let mut queue = Queue::new();
        for since in [10, 20, 30] {
            join_with(
                &mut queue,
                Arrival {
                    since,
                    ..Arrival::anew()
                },
            );
        }
        assert!(queue.call_older(10).is_empty());
        let mut older = queue.call_older(21);
        assert_eq!((older.len(), queue.first_since()), (2, Some(30)));
        let shed = older.remove(0);
        let ticket = Arc::clone(&shed.ticket);
        shed.shed();
        assert_eq!(ticket.look(), Sight::Shed);
    }

    #[test]
    fn all_who_wait_are_rung_once_each() {
        let mut queue = Queue::new();
        let all: Vec<_> = (0..3).map(|_| join(&mut queue)).collect();
        assert!(leave(&mut queue, &all[1]));
        assert_eq!(queue.ring_all().len(), 2);
        let rung: Vec<_> = all.iter().map(|(_, ticket)| ticket.has_rung()).collect();
        assert_eq!(rung, [true, false, true]);
        assert!(!all[0].1.has_rung(), "told once");
    }
}
