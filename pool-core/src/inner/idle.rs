//! The idle set: one shard for each few threads, so that threads do not meet.
//!
//! A shard is a stack whose top, the *hot* berth, is taken and put back by one compare-and-swap
//! each; what is below, the *rest*, is behind the shard's own lock. A thread always returns to
//! its own shard and looks there first, so what it used last it gets again while it is warm, and
//! what nobody needs sinks to the bottom and grows old there.
//!
//! First in, first out ([`Reuse::Fifo`]) is an order across all threads, so it needs one shared
//! queue: one shard, no hot berth. That is its price.
//!
//! While somebody waits, the pool is closed or paused, or has too many connections, every shard is
//! *plugged*: nothing is idle and nothing can become idle unnoticed. Plugging and unplugging happen
//! under the lock of the queue ([`super::exchange`]).

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_utils::CachePadded;

use super::berth::{Berth, Parking};
use super::sync::{Arc, AtomicUsize, Mutex, lock, thread_number};
use crate::config::Reuse;

/// An idle item that knows its way back to its shards.
pub(crate) trait Homing: Sized {
    /// The shards this item returns to; kept alive by the item.
    fn shards(&self) -> &Shards<Self>;
}

/// All shards of one pool.
pub(crate) struct Shards<T> {
    all: Box<[Arc<CachePadded<Shard<T>>>]>,
    mask: usize,
    reuse: Reuse,
}

struct Shard<T> {
    hot: Berth<T>,
    /// How many are in the rest, for readers without the lock.
    depth: AtomicUsize,
    rest: Mutex<Rest<T>>,
}

struct Rest<T> {
    /// Oldest return first.
    items: VecDeque<Box<T>>,
    plugged: bool,
    /// The fewest items there have been: a new low may mean a new peak of active connections.
    low: usize,
}

/// What became of an item that was to become idle.
pub(crate) enum Settled<T> {
    /// It is idle.
    Idle,
    /// The shard is plugged: somebody waits, or the pool is closed.
    Plugged(Box<T>),
}

/// An item taken from the idle set.
pub(crate) struct Taken<T> {
    /// The item.
    pub(crate) item: Box<T>,
    /// Whether its shard's rest has never been so small: worth counting the active ones.
    pub(crate) new_low: bool,
}

impl<T: Homing> Shards<T> {
    /// Shards for `parallelism` threads and at most `max_size` items.
    pub(crate) fn new(reuse: Reuse, parallelism: usize, max_size: usize) -> Self {
        let count = match reuse {
            Reuse::Fifo => 1,
            // Twice as many as cores: threads are dealt to shards by number, and a few more
            // shards make it rare that two busy ones share.
            Reuse::Lifo => (2 * parallelism).min(max_size).next_power_of_two(),
        };
        let all = (0..count)
            .map(|_| {
                Arc::new(CachePadded::new(Shard {
                    hot: Berth::new(),
                    depth: AtomicUsize::new(0),
                    rest: Mutex::new(Rest {
                        items: VecDeque::new(),
                        plugged: false,
                        low: usize::MAX,
                    }),
                }))
            })
            .collect();
        Self {
            all,
            mask: count - 1,
            reuse,
        }
    }

    #[inline]
    fn here(&self) -> usize {
        thread_number() & self.mask
    }

    /// Takes an idle item, the calling thread's most recent if there is one.
    #[inline]
    pub(crate) fn take(&self) -> Option<Taken<T>> {
        if self.reuse == Reuse::Lifo {
            if let Some(item) = self.all[self.here()].hot.take() {
                return Some(Taken {
                    item,
                    new_low: false,
                });
            }
        }
        self.take_elsewhere()
    }

    #[inline(never)]
    fn take_elsewhere(&self) -> Option<Taken<T>> {
        let here = self.here();
        let own = self.all[here].take_from_rest(self.reuse);
        own.or_else(|| {
            (1..self.all.len()).find_map(|step| {
                let other = &self.all[(here + step) & self.mask];
                let hot = other.hot.take().map(|item| Taken {
                    item,
                    new_low: false,
                });
                hot.or_else(|| other.take_from_rest(self.reuse))
            })
        })
    }

    /// Makes `item` idle, in the shard of the calling thread.
    #[inline]
    pub(crate) fn put(item: Box<T>) -> Settled<T> {
        if item.shards().reuse == Reuse::Fifo {
            return Self::put_on_rest(item);
        }
        match Berth::park(item, |item| {
            let shards = item.shards();
            &shards.all[shards.here()].hot
        }) {
            Parking::Parked => Settled::Idle,
            Parking::Displaced(older) => Self::put_on_rest(older),
            Parking::Plugged(item) => Settled::Plugged(item),
        }
    }

    #[inline(never)]
    fn put_on_rest(item: Box<T>) -> Settled<T> {
        // The count of the shard is its own: cloning it touches no line all threads share.
        let shard = {
            let shards = item.shards();
            Arc::clone(&shards.all[shards.here()])
        };
        shard.put_on_rest(item, false)
    }

    /// Makes `item` idle again as what has been so longest: a connection that was only pinged.
    pub(crate) fn put_coldest(item: Box<T>) -> Settled<T> {
        let shard = Arc::clone(&item.shards().all[0]);
        shard.put_on_rest(item, true)
    }

    /// Plugs every shard, or, when an idle item turns up, takes that and plugs none.
    pub(crate) fn plug_or_take(&self) -> Option<Box<T>> {
        let here = self.here();
        for step in 0..self.all.len() {
            let shard = &self.all[(here + step) & self.mask];
            let found = shard.hot.plug().or_else(|| {
                let mut rest = lock(&shard.rest);
                let found = rest.pop(self.reuse);
                rest.plugged = found.is_none();
                shard.depth.store(rest.items.len(), Relaxed);
                found
            });
            if found.is_some() {
                self.unplug();
                return found;
            }
        }
        None
    }

    /// Plugs every shard and takes everything out, of each the coldest first.
    pub(crate) fn plug_and_drain(&self) -> Vec<Box<T>> {
        let mut drained = Vec::new();
        for shard in &self.all {
            let hot = shard.hot.plug();
            let mut rest = lock(&shard.rest);
            rest.plugged = true;
            drained.extend(rest.items.drain(..).chain(hot));
            shard.depth.store(0, Relaxed);
        }
        drained
    }

    /// Takes every plug out.
    pub(crate) fn unplug(&self) {
        for shard in &self.all {
            shard.hot.unplug();
            lock(&shard.rest).plugged = false;
        }
    }

    /// Takes out every idle item that `wanted` picks, the coldest first. What it does not pick
    /// stays idle, but for the hot ones, which come back in the second list to be put again.
    pub(crate) fn extract(
        &self,
        mut wanted: impl FnMut(&mut T) -> bool,
    ) -> (Vec<Box<T>>, Vec<Box<T>>) {
        let (mut picked, mut spared) = (Vec::new(), Vec::new());
        for shard in &self.all {
            {
                let mut rest = lock(&shard.rest);
                let mut kept = VecDeque::with_capacity(rest.items.len());
                for mut item in rest.items.drain(..) {
                    if wanted(&mut item) {
                        picked.push(item);
                    } else {
                        kept.push_back(item);
                    }
                }
                rest.items = kept;
                shard.depth.store(rest.items.len(), Relaxed);
            }
            if let Some(mut item) = shard.hot.take() {
                if wanted(&mut item) {
                    picked.push(item);
                } else {
                    spared.push(item);
                }
            }
        }
        (picked, spared)
    }

    /// How many are idle, roughly: the shards are read one after another, without their locks.
    pub(crate) fn count(&self) -> usize {
        self.all
            .iter()
            .map(|shard| shard.depth.load(Relaxed) + usize::from(shard.hot.is_full()))
            .sum()
    }
}

impl<T: Homing> Shard<T> {
    fn take_from_rest(&self, reuse: Reuse) -> Option<Taken<T>> {
        // An item that is being put there right now is missed; whoever puts it finds the plug of
        // the one who waits for it.
        if self.depth.load(Relaxed) == 0 {
            return None;
        }
        let mut rest = lock(&self.rest);
        let item = rest.pop(reuse)?;
        let left = rest.items.len();
        self.depth.store(left, Relaxed);
        let new_low = left < rest.low;
        if new_low {
            rest.low = left;
        }
        Some(Taken { item, new_low })
    }

    fn put_on_rest(&self, item: Box<T>, coldest: bool) -> Settled<T> {
        let mut rest = lock(&self.rest);
        if rest.plugged {
            return Settled::Plugged(item);
        }
        if coldest {
            rest.items.push_front(item);
        } else {
            rest.items.push_back(item);
        }
        self.depth.store(rest.items.len(), Relaxed);
        Settled::Idle
    }
}

impl<T> Rest<T> {
    fn pop(&mut self, reuse: Reuse) -> Option<Box<T>> {
        match reuse {
            Reuse::Lifo => self.items.pop_back(),
            Reuse::Fifo => self.items.pop_front(),
        }
    }
}
