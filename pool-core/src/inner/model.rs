//! Models of the seam, run under the model checker: every interleaving of a few threads, up to
//! three preemptions (`LOOM_MAX_PREEMPTIONS=3`).
//!
//! The exchange here is the one that ships; its items are small, carry their own way home as real
//! entries do, and are counted while they exist. Each model ends by taking everything apart and
//! counting: no item may be lost, doubled or leaked, and no waiter forgotten.
//!
//! ```sh
//! RUSTFLAGS="--cfg pool_loom" LOOM_MAX_PREEMPTIONS=3 \
//!     cargo test -p pool-core --lib --release model_
//! ```

mod slots;

use std::task::{Poll, Waker};

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize as Count;
use loom::sync::atomic::Ordering::SeqCst;
use loom::thread;

use super::capacity::Capacity;
use super::exchange::{Arrival, Exchange, Joined, Member, Refusal, Stay, WhilePaused};
use super::idle::Shards;
use super::sync::Arc;
use super::waiters::Sight;
use crate::config::Reuse;

/// An item that keeps its exchange alive.
struct Item {
    home: Arc<Home>,
}

struct Home {
    exchange: Exchange<Item>,
    /// Items that exist.
    alive: Count,
}

impl Item {
    fn new(home: &Arc<Home>) -> Box<Self> {
        home.alive.fetch_add(1, SeqCst);
        Box::new(Self {
            home: Arc::clone(home),
        })
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.home.alive.fetch_sub(1, SeqCst);
    }
}

impl Member for Item {
    fn exchange(&self) -> &Exchange<Self> {
        &self.home.exchange
    }

    fn on_hand_over(&self) {}

    fn on_left_over(&self) {}
}

/// A home with room for `max` items, of which `open` are open and out.
fn home(open: usize, max: usize) -> (Arc<Home>, Vec<Box<Item>>) {
    home_with(Reuse::Lifo, open, max)
}

fn home_with(reuse: Reuse, open: usize, max: usize) -> (Arc<Home>, Vec<Box<Item>>) {
    let mut capacity = Capacity::new(0, max, max);
    assert_eq!(capacity.take(open), open);
    (0..open).for_each(|_| capacity.opened());
    // Two shards, so that threads meet across them.
    let shards = Shards::new(reuse, 1, 2);
    let exchange = Exchange::new(shards, capacity);
    let home = Arc::new(Home {
        exchange,
        alive: Count::new(0),
    });
    let items = (0..open).map(|_| Item::new(&home)).collect();
    (home, items)
}

fn release(item: Box<Item>) {
    if let Err((item, refusal)) = Exchange::release(item) {
        end(item, refusal);
    }
}

/// A refused item is closed.
fn end(item: Box<Item>, _: Refusal) {
    let home = Arc::clone(&item.home);
    drop(item);
    let ((), _connects) = home.exchange.with_capacity(|c| c.gone(true));
}

fn join(home: &Home) -> Joined<Item> {
    home.exchange.join(Arrival::anew(), None, Waker::noop())
}

/// Takes or waits; `None` when closed or shed.
fn get(home: &Home) -> Option<Box<Item>> {
    if let Some(taken) = home.exchange.take() {
        return Some(taken.item);
    }
    match join(home) {
        Joined::Served(item) => Some(item),
        Joined::Waiting { stay, .. } => wait(home, &stay),
        Joined::Full | Joined::Closed | Joined::Paused => None,
    }
}

fn wait(home: &Home, stay: &Stay<Item>) -> Option<Box<Item>> {
    block_on(std::future::poll_fn(|cx| {
        match home.exchange.look(stay, cx) {
            Sight::Served(item) => Poll::Ready(Some(item)),
            Sight::Dismissed | Sight::Shed => Poll::Ready(None),
            Sight::Rung | Sight::Nothing => Poll::Pending,
        }
    }))
}

fn live(home: &Home) -> usize {
    home.exchange.read_capacity(Capacity::live)
}

/// Closes, and checks that nothing is left.
fn take_apart(home: Arc<Home>) {
    for item in home.exchange.close().into_iter().flatten() {
        end(item, Refusal::Closed);
    }
    assert_eq!(home.alive.load(SeqCst), 0, "an item was lost");
    assert_eq!(live(&home), 0, "a slot was lost");
}

fn model(check: impl Fn() + Send + Sync + 'static) {
    loom::model(move || {
        super::sync::renumber_threads();
        check();
    });
}

#[test]
fn model_a_waiter_never_misses_a_return() {
    model(|| {
        let (home, mut items) = home(1, 1);
        let item = items.pop().unwrap();
        let returner = thread::spawn(move || release(item));
        let got = get(&home).expect("served by the return");
        returner.join().unwrap();
        release(got);
        take_apart(home);
    });
}

#[test]
fn model_two_who_want_share_one_that_returns() {
    model(|| {
        let (home, mut items) = home(1, 1);
        release(items.pop().unwrap());
        let other = thread::spawn({
            let home = Arc::clone(&home);
            move || release(get(&home).expect("served"))
        });
        release(get(&home).expect("served"));
        other.join().unwrap();
        take_apart(home);
    });
}

#[test]
fn model_two_returns_serve_two_who_want() {
    model(|| {
        let (home, mut items) = home(2, 2);
        let (one, two) = (items.pop().unwrap(), items.pop().unwrap());
        let returner = thread::spawn(move || release(one));
        let wanter = thread::spawn({
            let home = Arc::clone(&home);
            move || release(get(&home).expect("served"))
        });
        release(two);
        returner.join().unwrap();
        wanter.join().unwrap();
        take_apart(home);
    });
}

#[test]
fn model_one_who_leaves_passes_on_what_was_meant_for_it() {
    model(|| {
        let (home, mut items) = home(1, 1);
        let item = items.pop().unwrap();
        let Joined::Waiting { stay, .. } = join(&home) else {
            panic!("nothing is idle");
        };
        let returner = thread::spawn(move || release(item));
        if let Err((item, refusal)) = home.exchange.leave(stay) {
            end(item, refusal);
        }
        let got = get(&home).expect("not lost with the one who left");
        returner.join().unwrap();
        release(got);
        take_apart(home);
    });
}

#[test]
fn model_what_comes_while_one_is_shed_goes_to_one_who_is_not() {
    model(|| {
        let (home, mut items) = home(1, 1);
        let item = items.pop().unwrap();
        let Joined::Waiting { stay: old, .. } = join(&home) else {
            panic!("nothing is idle");
        };
        let late = Arrival {
            since: 10,
            ..Arrival::anew()
        };
        let Joined::Waiting { stay: young, .. } = home.exchange.join(late, None, Waker::noop())
        else {
            panic!("nothing is idle");
        };
        let shedder = thread::spawn({
            let home = Arc::clone(&home);
            move || home.exchange.shed(5)
        });
        let returner = thread::spawn(move || release(item));
        if let Some(item) = wait(&home, &old) {
            release(item);
        }
        let got = wait(&home, &young).expect("nobody sheds the one who came late");
        shedder.join().unwrap();
        returner.join().unwrap();
        release(got);
        take_apart(home);
    });
}

#[test]
fn model_one_who_leaves_loses_nothing_for_the_next_in_line() {
    model(|| {
        let (home, mut items) = home(1, 1);
        let item = items.pop().unwrap();
        let Joined::Waiting { stay: first, .. } = join(&home) else {
            panic!("nothing is idle");
        };
        let Joined::Waiting { stay: second, .. } = join(&home) else {
            panic!("nothing is idle");
        };
        let leaver = thread::spawn({
            let home = Arc::clone(&home);
            move || {
                if let Err((item, refusal)) = home.exchange.leave(first) {
                    end(item, refusal);
                }
            }
        });
        let returner = thread::spawn(move || release(item));
        let got = wait(&home, &second).expect("served");
        leaver.join().unwrap();
        returner.join().unwrap();
        release(got);
        take_apart(home);
    });
}

#[test]
fn model_a_newcomer_never_overtakes_a_waiter() {
    model(|| {
        let (home, mut items) = home(1, 1);
        let item = items.pop().unwrap();
        let Joined::Waiting { stay, .. } = join(&home) else {
            panic!("nothing is idle");
        };
        let newcomer = thread::spawn({
            let home = Arc::clone(&home);
            move || home.exchange.take().map(|taken| taken.item)
        });
        release(item);
        let early = newcomer.join().unwrap();
        assert!(early.is_none(), "the waiter came first");
        release(wait(&home, &stay).expect("served"));
        take_apart(home);
    });
}

#[test]
fn model_closing_loses_no_return_and_forgets_no_waiter() {
    model(|| {
        let (home, mut items) = home(1, 1);
        let item = items.pop().unwrap();
        let returner = thread::spawn(move || release(item));
        let wanter = thread::spawn({
            let home = Arc::clone(&home);
            move || {
                if let Some(item) = get(&home) {
                    release(item);
                }
            }
        });
        for item in home.exchange.close().into_iter().flatten() {
            end(item, Refusal::Closed);
        }
        returner.join().unwrap();
        wanter.join().unwrap();
        take_apart(home);
    });
}

#[test]
fn model_the_last_item_may_free_its_own_home() {
    model(|| {
        let (home, mut items) = home(1, 1);
        let item = items.pop().unwrap();
        let returner = thread::spawn(move || release(item));
        // The last handle: whatever it finds idle is closed, and the home goes with the last.
        for item in home.exchange.close().into_iter().flatten() {
            end(item, Refusal::Closed);
        }
        drop(home);
        returner.join().unwrap();
    });
}

#[test]
fn model_a_sweep_disturbs_neither_a_take_nor_a_waiter() {
    model(|| {
        let (home, mut items) = home(1, 1);
        release(items.pop().unwrap());
        let sweeper = thread::spawn({
            let home = Arc::clone(&home);
            move || {
                let (picked, spared) = home.exchange.shards.extract(|_| false);
                assert!(picked.is_empty());
                spared.into_iter().for_each(release);
            }
        });
        release(get(&home).expect("served, idle or swept"));
        sweeper.join().unwrap();
        take_apart(home);
    });
}

#[test]
fn model_a_lowered_maximum_is_kept_by_returns_in_flight() {
    model(|| {
        let (home, mut items) = home(2, 2);
        let (one, two) = (items.pop().unwrap(), items.pop().unwrap());
        release(one);
        let returner = thread::spawn(move || release(two));
        let (surplus, _connects) = home.exchange.resize(|c| c.max = 1);
        for item in surplus {
            end(item, Refusal::Surplus);
        }
        returner.join().unwrap();
        assert_eq!(live(&home), 1);
        assert!(
            home.exchange
                .take()
                .map(|taken| release(taken.item))
                .is_some()
        );
        take_apart(home);
    });
}

#[test]
fn model_a_pause_keeps_what_returns_and_gives_it_back() {
    model(|| {
        let (home, mut items) = home(1, 1);
        let item = items.pop().unwrap();
        let returner = thread::spawn(move || release(item));
        home.exchange.pause(WhilePaused::Wait);
        let (refused, _connects) = home.exchange.resume();
        assert!(refused.is_empty());
        release(get(&home).expect("kept or returned later"));
        returner.join().unwrap();
        take_apart(home);
    });
}

#[test]
fn model_a_poll_never_misses_what_is_laid_in() {
    model(|| {
        let (home, mut items) = home(1, 1);
        let item = items.pop().unwrap();
        let Joined::Waiting { stay, .. } = join(&home) else {
            panic!("nothing is idle");
        };
        let returner = thread::spawn(move || release(item));
        // Polled by another task before: its waker is replaced while the item comes.
        let noop = std::task::Context::from_waker(Waker::noop());
        let got = match home.exchange.look(&stay, &noop) {
            Sight::Served(got) => Some(got),
            _ => wait(&home, &stay),
        };
        returner.join().unwrap();
        release(got.expect("served"));
        take_apart(home);
    });
}

#[test]
fn model_a_waiter_never_misses_a_return_to_the_shared_queue() {
    model(|| {
        let (home, mut items) = home_with(Reuse::Fifo, 1, 1);
        let item = items.pop().unwrap();
        let returner = thread::spawn(move || release(item));
        let got = get(&home).expect("served by the return");
        returner.join().unwrap();
        release(got);
        take_apart(home);
    });
}

#[test]
fn model_what_a_return_displaces_is_not_missed() {
    model(|| {
        let (home, mut items) = home(2, 2);
        let (one, two) = (items.pop().unwrap(), items.pop().unwrap());
        let returner = thread::spawn(move || {
            release(one);
            release(two);
        });
        let (first, second) = (get(&home).expect("served"), get(&home).expect("served"));
        returner.join().unwrap();
        release(first);
        release(second);
        take_apart(home);
    });
}

#[test]
fn model_closing_a_paused_pool_finds_what_is_kept_and_what_comes() {
    model(|| {
        let (home, mut items) = home(2, 2);
        let (one, two) = (items.pop().unwrap(), items.pop().unwrap());
        home.exchange.pause(WhilePaused::Wait);
        release(one);
        let returner = thread::spawn(move || release(two));
        for item in home.exchange.close().into_iter().flatten() {
            end(item, Refusal::Closed);
        }
        returner.join().unwrap();
        take_apart(home);
    });
}
