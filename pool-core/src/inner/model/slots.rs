//! Models in which items free their slots, and the capacity is checked with everything else.
//!
//! An item here ends as a connection does: it frees its slot, and whatever is planned then is
//! opened. Each model says which threads share a shard, and ends with [`Seat::settle`]: nobody
//! waits, what is idle can be taken, the numbers count what exists, and closing frees the rest.

use std::future::poll_fn;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::thread;

use super::model;
use crate::config::Reuse;
use crate::inner::capacity::Capacity;
use crate::inner::exchange::{
    Arrival, Exchange, Joined, Member, Refusal, Refused, Stay, WhilePaused,
};
use crate::inner::idle::Shards;
use crate::inner::sync::{Arc, sit_at};
use crate::inner::waiters::Sight;

/// What is exchanged; it carries its own way home and frees its slot, as a connection does.
struct Item {
    home: Arc<Exchange<Item>>,
    ledger: Ledger,
    announced: bool,
    /// What its holder works with: the checker fails when two do so without an order.
    work: UnsafeCell<()>,
}

impl Item {
    /// Its holder works with it.
    fn work(&self) {
        self.work.with_mut(|_| ());
    }
}

/// How many items exist. Not the checker's atomic, so it orders nothing.
type Ledger = std::sync::Arc<AtomicUsize>;

impl Member for Item {
    fn exchange(&self) -> &Exchange<Self> {
        &self.home
    }

    fn on_hand_over(&self) {}

    fn on_left_over(&self) {}
}

impl Drop for Item {
    fn drop(&mut self) {
        self.work();
        self.ledger.fetch_sub(1, Relaxed);
        let announced = self.announced;
        let ((), connects) = self.home.with_capacity(|c| c.gone(announced));
        Seat::open_planned(&self.home, &self.ledger, connects);
    }
}

/// One thread's handle of the exchange.
#[derive(Clone)]
struct Seat {
    home: Arc<Exchange<Item>>,
    ledger: Ledger,
}

impl Seat {
    /// An exchange for up to `max` items.
    fn new(reuse: Reuse, shards: usize, max: usize) -> Self {
        let shards = Shards::new(reuse, shards, shards);
        Self {
            home: Arc::new(Exchange::new(shards, Capacity::new(0, max, max))),
            ledger: Ledger::default(),
        }
    }

    /// An item that is out.
    fn item(&self) -> Box<Item> {
        assert_eq!(self.home.take_capacity(|_| 1), 1, "there is room");
        let item = Self::opened(&self.home, &self.ledger);
        let ((), connects) = self.home.with_capacity(Capacity::opened);
        assert_eq!(connects, 0);
        item
    }

    fn opened(home: &Arc<Exchange<Item>>, ledger: &Ledger) -> Box<Item> {
        ledger.fetch_add(1, Relaxed);
        Box::new(Item {
            home: Arc::clone(home),
            ledger: Ledger::clone(ledger),
            announced: false,
            work: UnsafeCell::new(()),
        })
    }

    /// What the opener does, without its task.
    fn open_planned(home: &Arc<Exchange<Item>>, ledger: &Ledger, connects: usize) {
        for _ in 0..connects {
            if !home.confirm_connect(false) {
                let ((), more) = home.with_capacity(Capacity::not_opened);
                Self::open_planned(home, ledger, more);
                continue;
            }
            give(Self::opened(home, ledger));
            let ((), more) = home.with_capacity(Capacity::opened);
            Self::open_planned(home, ledger, more);
        }
    }

    fn join(&self) -> Joined<Item> {
        self.home.join(Arrival::anew(), None, Waker::noop())
    }

    /// Joins an exchange in which nothing is idle.
    fn stand_in_line(&self) -> Stay<Item> {
        match self.join() {
            Joined::Waiting { stay, connects, .. } => {
                Self::open_planned(&self.home, &self.ledger, connects);
                stay
            }
            _ => panic!("nothing is idle"),
        }
    }

    /// A checkout; `None` when closed.
    fn get(&self) -> Option<Box<Item>> {
        if let Some(taken) = self.home.take() {
            taken.item.work();
            return Some(taken.item);
        }
        match self.join() {
            Joined::Served(item) => Some(item),
            Joined::Closed => None,
            Joined::Full | Joined::Paused => panic!("the queue has no limit and is open"),
            Joined::Waiting { stay, connects, .. } => {
                Self::open_planned(&self.home, &self.ledger, connects);
                self.await_turn(&stay)
            }
        }
    }

    fn await_turn(&self, stay: &Stay<Item>) -> Option<Box<Item>> {
        block_on(poll_fn(|cx| match self.home.look(stay, cx) {
            Sight::Served(item) => {
                item.work();
                Poll::Ready(Some(item))
            }
            Sight::Dismissed | Sight::Shed => Poll::Ready(None),
            Sight::Rung | Sight::Nothing => Poll::Pending,
        }))
    }

    fn leave(&self, stay: Stay<Item>) {
        drop_refused(self.home.leave(stay));
    }

    fn close(&self) {
        let drained = self.home.close().expect("closed once");
        for item in drained {
            drop_refused(Err((item, Refusal::Closed)));
        }
    }

    fn resize(&self, max: usize) {
        let (surplus, connects) = self.home.resize(|c| c.max = max);
        for item in surplus {
            drop_refused(Err((item, Refusal::Surplus)));
        }
        Self::open_planned(&self.home, &self.ledger, connects);
    }

    /// What `retain` and the keeper do.
    fn sweep(&self, wanted: bool) {
        let (picked, spared) = self.home.shards.extract(|_| wanted);
        for item in spared {
            give(item);
        }
        for mut item in picked {
            item.home.announce_closing();
            item.announced = true;
        }
    }

    fn existing(&self) -> usize {
        self.ledger.load(Relaxed)
    }

    /// Everything has come to rest with `idle` items: all are to be had, nobody waits, the
    /// capacity counts what exists, and closing frees the rest.
    fn settle(self, idle: usize) {
        assert_eq!(self.home.waiting().0, 0);
        assert_eq!(self.home.shards.count(), idle);
        assert_eq!(self.existing(), idle);
        let (numbers, _) = self
            .home
            .with_capacity(|c| (c.total(), c.live(), c.opening()));
        assert_eq!(numbers, (idle, idle, 0));
        let taken: Vec<_> = std::iter::from_fn(|| self.home.take()).collect();
        assert_eq!(taken.len(), idle, "what is idle can be taken");
        taken.into_iter().for_each(|taken| give(taken.item));
        self.close();
        self.settle_closed();
    }

    fn settle_closed(self) {
        assert_eq!(self.existing(), 0, "closing frees everything");
        let (numbers, _) = self.home.with_capacity(|c| (c.total(), c.opening()));
        assert_eq!(numbers, (0, 0));
    }
}

fn give(item: Box<Item>) {
    item.work();
    drop_refused(Exchange::release(item));
}

fn drop_refused(released: Result<(), Refused<Item>>) {
    if let Err((mut item, _)) = released {
        item.announced = true;
    }
}

fn at<R: 'static>(number: usize, work: impl FnOnce() -> R + 'static) -> thread::JoinHandle<R> {
    thread::spawn(move || {
        sit_at(number);
        work()
    })
}

/// Runs the model on both kinds of idle set.
fn model_both(run: impl Fn(Reuse) + Sync + Send + Copy + 'static) {
    model(move || run(Reuse::Lifo));
    model(move || run(Reuse::Fifo));
}

#[test]
fn model_waiters_are_served_in_the_order_they_came() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 2);
        let (one, other) = (seat.item(), seat.item());
        let (first, second) = (seat.stand_in_line(), seat.stand_in_line());
        let returning = at(1, move || give(one));
        let cx = Context::from_waker(Waker::noop());
        assert!(
            matches!(seat.home.look(&second, &cx), Sight::Nothing),
            "one return serves the first"
        );
        let served = seat.await_turn(&first).expect("it is served");
        returning.join().unwrap();
        give(served);
        give(other);
        give(seat.await_turn(&second).expect("it is served"));
        seat.settle(2);
    });
}

#[test]
fn model_one_who_leaves_while_being_served_loses_nothing() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 1);
        let item = seat.item();
        let stay = seat.stand_in_line();
        let returning = at(1, move || give(item));
        seat.leave(stay);
        returning.join().unwrap();
        seat.settle(1);
    });
}

#[test]
fn model_a_return_while_closing_is_refused_or_drained() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 2);
        let (one, idle) = (seat.item(), seat.item());
        give(idle);
        // In the same shard, so that one displaces the other.
        let returning = at(0, move || give(one));
        seat.close();
        returning.join().unwrap();
        seat.settle_closed();
    });
}

#[test]
fn model_a_checkout_while_closing_is_served_or_told() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 1);
        let item = seat.item();
        let waiter = seat.clone();
        let waiting = at(1, move || waiter.get().into_iter().for_each(give));
        let returning = at(0, move || give(item));
        seat.close();
        waiting.join().unwrap();
        returning.join().unwrap();
        seat.settle_closed();
    });
}

#[test]
fn model_leaving_while_closing_loses_nothing() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 1);
        let item = seat.item();
        let stay = seat.stand_in_line();
        let leaver = seat.clone();
        let leaving = at(1, move || leaver.leave(stay));
        let returning = at(0, move || give(item));
        seat.close();
        leaving.join().unwrap();
        returning.join().unwrap();
        seat.settle_closed();
    });
}

#[test]
fn model_taking_while_closing_gives_each_item_to_one() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 2);
        let items = [seat.item(), seat.item()];
        items.into_iter().for_each(give);
        let taker = seat.clone();
        let taking = at(1, move || {
            let taken = taker.home.take();
            taken.into_iter().for_each(|taken| give(taken.item));
        });
        seat.close();
        taking.join().unwrap();
        seat.settle_closed();
    });
}

#[test]
fn model_the_item_that_is_taken_may_free_the_berth_it_lay_in() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 1, 1);
        let item = seat.item();
        // The returning thread has no handle: once the item is away, nothing keeps the exchange.
        let returning = at(0, move || give(item));
        let taken = seat.home.take();
        if taken.is_none() {
            seat.close();
        }
        let Seat { home, ledger } = seat;
        drop(home);
        drop(taken);
        returning.join().unwrap();
        assert_eq!(ledger.load(Relaxed), 0);
    });
}

#[test]
fn model_the_waiter_may_free_everything_it_was_served_with() {
    model(|| {
        let seat = Seat::new(Reuse::Lifo, 1, 1);
        let item = seat.item();
        let stay = seat.stand_in_line();
        let returning = at(0, move || give(item));
        let served = seat.await_turn(&stay);
        let Seat { home, ledger } = seat;
        drop((stay, home));
        drop(served);
        returning.join().unwrap();
        assert_eq!(ledger.load(Relaxed), 0);
    });
}

#[test]
fn model_the_last_handle_frees_what_comes_back_later() {
    model(|| {
        let seat = Seat::new(Reuse::Lifo, 2, 2);
        let (one, idle) = (seat.item(), seat.item());
        give(idle);
        let user = seat.clone();
        let using = at(1, move || {
            let taken = user.home.take();
            drop(user);
            give(one);
            taken.into_iter().for_each(|taken| give(taken.item));
        });
        seat.close();
        let Seat { home, ledger } = seat;
        drop(home);
        using.join().unwrap();
        assert_eq!(ledger.load(Relaxed), 0);
    });
}

#[test]
fn model_a_return_while_the_maximum_falls_leaves_as_many_as_it_allows() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 2);
        let (one, idle) = (seat.item(), seat.item());
        give(idle);
        let returning = at(1, move || give(one));
        seat.resize(1);
        returning.join().unwrap();
        seat.settle(1);
    });
}

#[test]
fn model_a_waiter_is_served_though_the_maximum_falls() {
    model(|| {
        let seat = Seat::new(Reuse::Lifo, 2, 2);
        let (one, other) = (seat.item(), seat.item());
        let resizer = seat.clone();
        let resizing = at(1, move || resizer.resize(1));
        let returning = at(0, move || {
            give(one);
            give(other);
        });
        give(seat.get().expect("it is served"));
        resizing.join().unwrap();
        returning.join().unwrap();
        seat.settle(1);
    });
}

#[test]
fn model_a_maximum_that_rises_again_opens_the_shards_again() {
    model(|| {
        let seat = Seat::new(Reuse::Lifo, 2, 2);
        let (one, other) = (seat.item(), seat.item());
        let returning = at(1, move || give(one));
        seat.resize(1);
        seat.resize(2);
        returning.join().unwrap();
        give(other);
        let left = seat.existing();
        assert!((1..=2).contains(&left));
        seat.settle(left);
    });
}

#[test]
fn model_a_sweep_hides_nothing_from_a_checkout() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 1);
        give(seat.item());
        let sweeper = seat.clone();
        let sweeping = at(1, move || sweeper.sweep(false));
        let got = seat.get().expect("it is served");
        assert_eq!(seat.existing(), 1, "by the one there is");
        give(got);
        sweeping.join().unwrap();
        seat.settle(1);
    });
}

#[test]
fn model_a_sweep_that_closes_gives_a_waiter_the_slot() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 1);
        give(seat.item());
        let sweeper = seat.clone();
        let sweeping = at(1, move || sweeper.sweep(true));
        give(seat.get().expect("it is served"));
        sweeping.join().unwrap();
        let left = seat.existing();
        assert!(left <= 1);
        seat.settle(left);
    });
}

#[test]
fn model_a_sweep_and_a_return_share_a_shard() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 1, 2);
        let (one, idle) = (seat.item(), seat.item());
        give(idle);
        let returning = at(0, move || give(one));
        seat.sweep(false);
        returning.join().unwrap();
        seat.settle(2);
    });
}

#[test]
fn model_an_item_displaced_while_somebody_begins_to_wait_is_found() {
    model(|| {
        let seat = Seat::new(Reuse::Lifo, 2, 2);
        let (one, hot) = (seat.item(), seat.item());
        give(hot);
        // Into the same berth, on top of the hot one.
        let returning = at(0, move || give(one));
        let got = (seat.get(), seat.get());
        returning.join().unwrap();
        got.0.into_iter().chain(got.1).for_each(give);
        seat.settle(2);
    });
}

#[test]
fn model_what_was_pinged_reaches_a_waiter() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 1);
        let item = seat.item();
        let returning = at(1, move || drop_refused(Exchange::release_coldest(item)));
        give(seat.get().expect("it is served"));
        returning.join().unwrap();
        seat.settle(1);
    });
}

#[test]
fn model_a_pause_and_a_cancelled_wait_lose_nothing() {
    model(|| {
        let seat = Seat::new(Reuse::Lifo, 2, 1);
        let item = seat.item();
        let stay = seat.stand_in_line();
        let returning = at(0, move || give(item));
        let leaver = seat.clone();
        let leaving = at(1, move || leaver.leave(stay));
        seat.home.pause(WhilePaused::Wait);
        leaving.join().unwrap();
        returning.join().unwrap();
        let (refused, connects) = seat.home.resume();
        assert!(refused.is_empty() && connects == 0);
        seat.settle(1);
    });
}

#[test]
fn model_who_leaves_is_no_longer_in_the_queue() {
    model(|| {
        let seat = Seat::new(Reuse::Lifo, 2, 1);
        let item = seat.item();
        let (first, second) = (seat.stand_in_line(), seat.stand_in_line());
        let leaver = seat.clone();
        let leaving = at(1, move || leaver.leave(first));
        seat.leave(second);
        leaving.join().unwrap();
        assert_eq!(seat.home.waiting().0, 0);
        give(item);
        seat.settle(1);
    });
}

#[test]
fn model_a_maximum_that_falls_while_all_are_out_is_kept_when_they_return() {
    model_both(|reuse| {
        let seat = Seat::new(reuse, 2, 2);
        let (one, other) = (seat.item(), seat.item());
        let returning = at(1, move || give(one));
        seat.resize(1);
        give(other);
        returning.join().unwrap();
        seat.settle(1);
    });
}

#[test]
fn model_what_a_return_displaces_is_found_as_its_holder_left_it() {
    model(|| {
        let seat = Seat::new(Reuse::Lifo, 1, 2);
        let (one, other) = (seat.item(), seat.item());
        let returning = at(0, move || give(one));
        give(other);
        // A sweep looks at the displaced one first: taking the hot one would order the threads.
        let (_, spared) = seat.home.shards.extract(|item| {
            item.work();
            false
        });
        spared.into_iter().for_each(give);
        returning.join().unwrap();
        seat.settle(2);
    });
}
