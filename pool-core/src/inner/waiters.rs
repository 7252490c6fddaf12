//! The queue of those who wait: first come, first served, and leaving it costs the same at any
//! place in it.
//!
//! A [`Ticket`] is one waiter: a [`Berth`] into which its connection is laid, and a waker. The
//! queue is a doubly linked list in a slab, so neither joining nor leaving allocates once it has
//! grown, and 10,000 waiters that give up cost those behind them nothing. When the last has left,
//! a slab that has grown large is given back.
//!
//! ```text
//!            call                 offer              claim
//!  queued ────────▶ called (popped) ────▶ served ───────────▶ gone
//!     │                 │                    │
//!     └──── leave ──────┴────────────────────┘  the berth is plugged: an offer fails and goes to
//!                                               the next; what was laid in already is passed on
//! ```

use std::task::{Context, Waker};

use super::berth::Berth;
use super::clock::Nanos;
use super::pace::Outlook;
use super::sync::{Arc, Mutex, lock};

/// One waiter.
pub(crate) struct Ticket<T> {
    berth: Berth<T>,
    bell: Mutex<Bell>,
}

/// How a waiter is woken.
struct Bell {
    waker: Option<Waker>,
    /// Whether it has rung since the last poll, which may be before the first.
    has_rung: bool,
    /// Whether a dismissal was for the queue's sake.
    is_shed: bool,
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
            bell: Mutex::new(Bell {
                waker: None,
                has_rung: false,
                is_shed: false,
            }),
        }
    }

    /// Lays `item` in and wakes the waiter; gives it back when the waiter has left.
    pub(crate) fn serve(&self, item: Box<T>) -> Result<(), Box<T>> {
        self.berth.offer(item)?;
        self.wake();
        Ok(())
    }

    /// Tells the waiter that it will not be served.
    pub(crate) fn dismiss(&self) {
        self.berth.plug_if_empty();
        self.wake();
    }

    /// Tells the waiter that it will not be served so that others are.
    pub(crate) fn shed(&self) {
        lock(&self.bell).is_shed = true;
        self.dismiss();
    }

    /// Lets the waiter look again.
    pub(crate) fn wake(&self) {
        let waker = {
            let mut bell = lock(&self.bell);
            bell.has_rung = true;
            bell.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Looks, and is woken when there is more to see.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Sight<T> {
        if let Some(item) = self.berth.take() {
            return Sight::Served(item);
        }
        let (has_rung, is_shed) = {
            let mut bell = lock(&self.bell);
            if !bell
                .waker
                .as_ref()
                .is_some_and(|known| known.will_wake(cx.waker()))
            {
                bell.waker = Some(cx.waker().clone());
            }
            (std::mem::take(&mut bell.has_rung), bell.is_shed)
        };
        // The lock of the bell orders this look after the one by `serve`: either that found the
        // waker, or this finds the item.
        match self.berth.take() {
            Some(item) => Sight::Served(item),
            None if self.berth.is_plugged() && is_shed => Sight::Shed,
            None if self.berth.is_plugged() => Sight::Dismissed,
            None if has_rung => Sight::Rung,
            None => Sight::Nothing,
        }
    }

    /// Leaves for good; what was laid in meanwhile is the caller's to pass on.
    pub(crate) fn leave(&self) -> Option<Box<T>> {
        self.berth.plug()
    }
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

/// A waiter's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    index: u32,
    /// Links are reused; the number tells this stay from an earlier one.
    stay: u64,
    pub(crate) turn: Turn,
}

struct Link<T> {
    /// `None` in a free link.
    ticket: Option<Arc<Ticket<T>>>,
    stay: u64,
    turn: Turn,
    before: u32,
    after: u32,
    /// When the checkout began.
    since: Nanos,
    /// When the waiter wants to be woken to see to its own deadline.
    alarm_at: Nanos,
}

const END: u32 = u32::MAX;
/// Links that are kept when the queue is empty.
const KEPT: usize = 64;

/// First in, first out, with removal from anywhere; in order of the turns.
pub(crate) struct Queue<T> {
    links: Vec<Link<T>>,
    first: u32,
    last: u32,
    /// Head of the list of free links, chained by `after`.
    free: u32,
    len: usize,
    /// How many have joined.
    stays: u64,
    /// No alarm is earlier than this.
    next_alarm: Nanos,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            links: Vec::new(),
            first: END,
            last: END,
            free: END,
            len: 0,
            stays: 0,
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
    pub(crate) fn join(&mut self, ticket: Arc<Ticket<T>>, arrival: Arrival) -> Place {
        let Arrival {
            turn,
            since,
            alarm_at,
            ..
        } = arrival;
        self.next_alarm = self.next_alarm.min(alarm_at);
        self.stays += 1;
        let stay = self.stays;
        let turn = turn.unwrap_or(Turn(stay));
        let before = self.last_until(turn);
        let after = match self.links.get(before as usize) {
            Some(link) => link.after,
            None => self.first,
        };
        let index = self.free_link();
        let link = &mut self.links[index as usize];
        link.ticket = Some(ticket);
        (link.since, link.alarm_at) = (since, alarm_at);
        (link.stay, link.turn) = (stay, turn);
        (link.before, link.after) = (before, after);
        self.set_after(before, index);
        self.set_before(after, index);
        self.len += 1;
        Place { index, stay, turn }
    }

    /// The last of those whose turn is not after `turn`: the very last, or one of the few at the
    /// front who have come back too.
    fn last_until(&self, turn: Turn) -> u32 {
        let is_later = |index: u32| {
            self.links
                .get(index as usize)
                .is_none_or(|link| link.turn > turn)
        };
        if self.last != END && !is_later(self.last) {
            return self.last;
        }
        let (mut before, mut after) = (END, self.first);
        while !is_later(after) {
            before = after;
            after = self.links[after as usize].after;
        }
        before
    }

    /// Since when the first has waited.
    pub(crate) fn first_since(&self) -> Option<Nanos> {
        self.links.get(self.first as usize).map(|link| link.since)
    }

    /// Takes out those at the front who have waited since before `since`.
    pub(crate) fn call_older(&mut self, since: Nanos) -> Vec<Arc<Ticket<T>>> {
        let next = || {
            let is_older = self.first_since().is_some_and(|first| first < since);
            is_older.then(|| self.call()).flatten()
        };
        std::iter::from_fn(next).collect()
    }

    /// Takes out the one who has waited longest.
    pub(crate) fn call(&mut self) -> Option<Arc<Ticket<T>>> {
        if self.first == END {
            None
        } else {
            self.unlink(self.first)
        }
    }

    /// Takes out the one at `place`, if still there.
    pub(crate) fn remove(&mut self, place: Place) -> bool {
        let there = self
            .links
            .get(place.index as usize)
            .is_some_and(|link| link.stay == place.stay && link.ticket.is_some());
        there && self.unlink(place.index).is_some()
    }

    /// All who wait, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Ticket<T>>> {
        let mut index = self.first;
        std::iter::from_fn(move || {
            let link = self.links.get(index as usize)?;
            index = link.after;
            link.ticket.as_ref()
        })
    }

    /// Those whose alarm is due until `until`; each is told once.
    pub(crate) fn take_alarms(&mut self, until: Nanos) -> Vec<Arc<Ticket<T>>> {
        let mut due = Vec::new();
        if self.next_alarm > until {
            return due;
        }
        self.next_alarm = Nanos::MAX;
        for link in &mut self.links {
            let Some(ticket) = &link.ticket else { continue };
            if link.alarm_at <= until {
                link.alarm_at = Nanos::MAX;
                due.push(Arc::clone(ticket));
            }
            self.next_alarm = self.next_alarm.min(link.alarm_at);
        }
        due
    }

    fn free_link(&mut self) -> u32 {
        if self.free == END {
            self.links.push(Link {
                ticket: None,
                stay: 0,
                turn: Turn::FIRST,
                before: END,
                after: END,
                since: 0,
                alarm_at: Nanos::MAX,
            });
            u32::try_from(self.links.len() - 1).expect("fewer than 2^32 - 1 waiters fit in memory")
        } else {
            let index = self.free;
            self.free = self.links[index as usize].after;
            index
        }
    }

    fn unlink(&mut self, index: u32) -> Option<Arc<Ticket<T>>> {
        let free = self.free;
        let link = &mut self.links[index as usize];
        let ticket = link.ticket.take();
        let (before, after) = (link.before, link.after);
        link.after = free;
        self.free = index;
        self.set_after(before, after);
        self.set_before(after, before);
        self.len -= 1;
        if self.len == 0 && self.links.len() > KEPT {
            self.links = Vec::new();
            self.free = END;
        }
        ticket
    }

    fn set_after(&mut self, index: u32, after: u32) {
        match self.links.get_mut(index as usize) {
            Some(link) => link.after = after,
            None => self.first = after,
        }
    }

    fn set_before(&mut self, index: u32, before: u32) {
        match self.links.get_mut(index as usize) {
            Some(link) => link.before = before,
            None => self.last = before,
        }
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests {
    use super::{Arrival, KEPT, Queue, Sight, Ticket, Turn};
    use std::sync::Arc;
    use std::task::{Context, Waker};

    fn ticket() -> Arc<Ticket<u32>> {
        Arc::new(Ticket::new())
    }

    fn at_turn(turn: Option<Turn>) -> Arrival {
        Arrival {
            turn,
            ..Arrival::anew()
        }
    }

    #[test]
    fn the_first_to_join_is_the_first_called() {
        let mut queue = Queue::new();
        let tickets: Vec<_> = (0..3).map(|_| ticket()).collect();
        for t in &tickets {
            queue.join(Arc::clone(t), Arrival::anew());
        }
        for t in &tickets {
            assert!(Arc::ptr_eq(&queue.call().unwrap(), t));
        }
        assert!(queue.call().is_none() && queue.is_empty());
    }

    #[test]
    fn those_who_come_back_stand_where_they_stood() {
        let mut queue = Queue::new();
        let tickets: Vec<_> = (0..5).map(|_| ticket()).collect();
        let turns: Vec<_> = tickets[1..]
            .iter()
            .map(|t| queue.join(Arc::clone(t), Arrival::anew()).turn)
            .collect();
        for _ in 0..3 {
            queue.call();
        }
        for number in [2, 3, 1] {
            let turn = Some(turns[number - 1]);
            queue.join(Arc::clone(&tickets[number]), at_turn(turn));
        }
        let first = Some(Turn::FIRST);
        queue.join(Arc::clone(&tickets[0]), at_turn(first));
        for t in &tickets {
            assert!(Arc::ptr_eq(&queue.call().unwrap(), t));
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn a_crowd_that_has_left_leaves_no_memory_behind() {
        let mut queue = Queue::new();
        let first = queue.join(ticket(), Arrival::anew());
        let places: Vec<_> = (0..10 * KEPT)
            .map(|_| queue.join(ticket(), Arrival::anew()))
            .collect();
        for place in &places {
            assert!(queue.remove(*place));
        }
        assert!(queue.remove(first));
        assert!(queue.links.capacity() <= KEPT);
        let next = queue.join(ticket(), Arrival::anew());
        assert!(!queue.remove(first), "an old place is not a new one");
        assert!(queue.remove(next));
    }

    #[test]
    fn leaving_from_anywhere_keeps_the_order_of_the_rest() {
        for leaver in 0..3 {
            let mut queue = Queue::new();
            let tickets: Vec<_> = (0..3).map(|_| ticket()).collect();
            let places: Vec<_> = tickets
                .iter()
                .map(|t| queue.join(Arc::clone(t), Arrival::anew()))
                .collect();
            assert!(queue.remove(places[leaver]));
            assert!(!queue.remove(places[leaver]), "one leaves once");
            let called: Vec<_> = std::iter::from_fn(|| queue.call()).collect();
            let expected: Vec<_> = (0..3).filter(|i| *i != leaver).collect();
            assert_eq!(called.len(), expected.len());
            for (c, e) in called.iter().zip(expected) {
                assert!(Arc::ptr_eq(c, &tickets[e]));
            }
        }
    }

    #[test]
    fn a_place_is_not_mistaken_for_a_later_one_in_the_same_link() {
        let mut queue = Queue::new();
        let old = queue.join(ticket(), Arrival::anew());
        queue.call();
        let new = queue.join(ticket(), Arrival::anew());
        assert!(!queue.remove(old));
        assert!(queue.remove(new));
    }

    #[test]
    fn an_alarm_rings_once_and_when_it_is_due() {
        let mut queue = Queue::new();
        for alarm_at in [30, 10, u64::MAX] {
            queue.join(
                ticket(),
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
        let t = ticket();
        assert!(t.leave().is_none());
        assert_eq!(t.serve(Box::new(5)).unwrap_err(), Box::new(5));
    }

    #[test]
    fn one_who_leaves_after_being_served_passes_it_on() {
        let t = ticket();
        t.serve(Box::new(5)).unwrap();
        assert_eq!(t.leave(), Some(Box::new(5)));
    }

    #[test]
    fn one_dismissed_is_told_so() {
        let t = ticket();
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(t.poll(&mut cx), Sight::Nothing);
        t.dismiss();
        assert_eq!(t.poll(&mut cx), Sight::Dismissed);
    }

    #[test]
    fn one_shed_is_told_so_and_only_those_who_came_before_are_called() {
        let mut queue = Queue::new();
        for since in [10, 20, 30] {
            queue.join(
                ticket(),
                Arrival {
                    since,
                    ..Arrival::anew()
                },
            );
        }
        assert!(queue.call_older(10).is_empty());
        let older = queue.call_older(21);
        assert_eq!((older.len(), queue.first_since()), (2, Some(30)));
        let mut cx = Context::from_waker(Waker::noop());
        older[0].shed();
        assert_eq!(older[0].poll(&mut cx), Sight::Shed);
    }

    #[test]
    fn one_woken_before_it_looked_is_told_so_once() {
        let t = ticket();
        let mut cx = Context::from_waker(Waker::noop());
        t.wake();
        assert_eq!(t.poll(&mut cx), Sight::Rung);
        assert_eq!(t.poll(&mut cx), Sight::Nothing);
    }
}
