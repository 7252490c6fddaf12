//! A place for one boxed item: the hot slot of a shard and the hand-over slot of a waiter.
//!
//! ```text
//!            park / offer                 plug
//!   empty ────────────────▶ full   any ─────────▶ plugged ──unplug──▶ empty
//!     ▲                      │
//!     └─────────take─────────┘
//! ```
//!
//! A berth is one atomic pointer, and each transition is one read-modify-write on it. That one
//! location carries the whole seam between the regime in which nobody waits and the one in which
//! somebody does: whoever starts to wait *plugs* every berth, so a returning thread cannot miss
//! it (it finds the plug where it wanted to park), and a newcomer cannot overtake it. No second
//! flag has to be read in order with it, so no fence is needed.
//!
//! # Why this file has `unsafe`
//!
//! [`Berth::park`] gives an item away through a reference that the item itself keeps alive (an
//! idle connection owns a count of the pool that owns the berth). Safe Rust cannot say that, and
//! what it can say costs a counted reference around every return: 19 ns in place of 9.5 for the
//! pair of operations, see ARCHITECTURE.md. This file is the only one; the invariants are:
//!
//! 1. A pointer in `at` is null, [`plug`], or from `Box::into_raw`, and then the berth owns it.
//! 2. Whoever takes a pointer out by a successful read-modify-write owns it from then on.
//! 3. After a successful write in `park` the berth is not touched again: whoever takes the item
//!    out may free the berth with it.

#![expect(unsafe_code, reason = "see the module's documentation")]

use std::marker::PhantomData;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::sync::AtomicPtr;

/// A place for one `Box<T>`, or a plug.
pub(crate) struct Berth<T> {
    at: AtomicPtr<T>,
    /// Owned by one side at a time, as in a lock.
    owns: PhantomData<Mutex<Box<T>>>,
}

/// What became of an item that was to be parked.
pub(crate) enum Parking<T> {
    /// It is in the berth.
    Parked,
    /// It is in the berth, and this one, which was there before, is out.
    Displaced(Box<T>),
    /// The berth is plugged; the item is the caller's again.
    Plugged(Box<T>),
}

/// The plug's address: that of a static, so no box ever has it. It is never read through.
fn plug<T>() -> *mut T {
    static PLUG: u8 = 0;
    (&raw const PLUG).cast::<T>().cast_mut()
}

impl<T> Berth<T> {
    /// An empty berth.
    pub(crate) fn new() -> Self {
        const { assert!(size_of::<T>() != 0, "boxes of nothing share one address") };
        Self {
            at: AtomicPtr::new(ptr::null_mut()),
            owns: PhantomData,
        }
    }

    /// Whether there is an item, at this moment.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        let at = self.at.load(Relaxed);
        !at.is_null() && at != plug()
    }

    /// Whether the berth is plugged, at this moment.
    pub(crate) fn is_plugged(&self) -> bool {
        self.at.load(Relaxed) == plug()
    }

    /// Takes the item, if there is one.
    #[inline]
    pub(crate) fn take(&self) -> Option<Box<T>> {
        let mut at = self.at.load(Relaxed);
        while !at.is_null() && at != plug() {
            // Acquire pairs with the release in `install`: what the last holder wrote is seen.
            match self
                .at
                .compare_exchange_weak(at, ptr::null_mut(), Acquire, Relaxed)
            {
                // SAFETY: by invariant 1 a box, by invariant 2 ours now.
                Ok(_) => return Some(unsafe { Box::from_raw(at) }),
                Err(now) => at = now,
            }
        }
        None
    }

    /// Plugs the berth and takes what was in it.
    pub(crate) fn plug(&self) -> Option<Box<T>> {
        let at = self.at.swap(plug(), AcqRel);
        if at.is_null() || at == plug() {
            return None;
        }
        // SAFETY: by invariant 1 a box, by invariant 2 ours now.
        Some(unsafe { Box::from_raw(at) })
    }

    /// Plugs the berth unless there is something in it.
    pub(crate) fn plug_if_empty(&self) {
        let _ = self
            .at
            .compare_exchange(ptr::null_mut(), plug(), AcqRel, Relaxed);
    }

    /// Takes the plug out, if there is one.
    pub(crate) fn unplug(&self) {
        let _ = self
            .at
            .compare_exchange(plug(), ptr::null_mut(), Release, Relaxed);
    }

    /// Puts `item` into this berth, unless it is full or plugged.
    pub(crate) fn offer(&self, item: Box<T>) -> Result<(), Box<T>> {
        let item = Box::into_raw(item);
        match self
            .at
            .compare_exchange(ptr::null_mut(), item, AcqRel, Relaxed)
        {
            Ok(_) => Ok(()),
            // SAFETY: from `into_raw` above and not given away.
            Err(_) => Err(unsafe { Box::from_raw(item) }),
        }
    }

    /// Puts `item` into the berth that `locate` finds through it, on top of what is there.
    #[inline]
    pub(crate) fn park(item: Box<T>, locate: impl for<'a> Fn(&'a T) -> &'a Self) -> Parking<T> {
        let item = Box::into_raw(item);
        // SAFETY: from `into_raw`; nobody else has it before the write below succeeds. The
        // berth is borrowed from the item, so it lives as long as the item does.
        let berth = locate(unsafe { &*item });
        let mut at = berth.at.load(Relaxed);
        loop {
            if at == plug() {
                // SAFETY: from `into_raw` above and not given away.
                return Parking::Plugged(unsafe { Box::from_raw(item) });
            }
            // Release: the next holder sees what this one wrote. Acquire: so do we of the one
            // that is displaced. By invariant 3 nothing of `berth` is touched after success.
            match berth.at.compare_exchange_weak(at, item, AcqRel, Relaxed) {
                Ok(_) if at.is_null() => return Parking::Parked,
                // SAFETY: by invariant 1 a box, by invariant 2 ours now.
                Ok(_) => return Parking::Displaced(unsafe { Box::from_raw(at) }),
                Err(now) => at = now,
            }
        }
    }
}

impl<T> Drop for Berth<T> {
    fn drop(&mut self) {
        drop(self.plug());
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests {
    use super::{Berth, Parking};
    use std::sync::Arc;

    struct Item {
        berth: Arc<Berth<Item>>,
        value: u32,
    }

    #[expect(clippy::unnecessary_box_returns, reason = "berths take boxes")]
    fn item(berth: &Arc<Berth<Item>>, value: u32) -> Box<Item> {
        Box::new(Item {
            berth: Arc::clone(berth),
            value,
        })
    }

    #[test]
    fn an_item_parked_is_the_item_taken() {
        let berth = Arc::new(Berth::new());
        assert!(matches!(
            Berth::park(item(&berth, 7), |i| &i.berth),
            Parking::Parked
        ));
        assert!(berth.is_full());
        assert_eq!(berth.take().map(|i| i.value), Some(7));
        assert!(berth.take().is_none());
    }

    #[test]
    fn a_second_item_displaces_the_first() {
        let berth = Arc::new(Berth::new());
        assert!(matches!(
            Berth::park(item(&berth, 1), |i| &i.berth),
            Parking::Parked
        ));
        match Berth::park(item(&berth, 2), |i| &i.berth) {
            Parking::Displaced(first) => assert_eq!(first.value, 1),
            _ => panic!("the berth was full"),
        }
        assert_eq!(berth.take().map(|i| i.value), Some(2));
    }

    #[test]
    fn a_plug_gives_out_what_was_there_and_lets_nothing_in() {
        let berth = Arc::new(Berth::new());
        assert!(berth.offer(item(&berth, 1)).is_ok());
        assert_eq!(berth.plug().map(|i| i.value), Some(1));
        assert!(berth.is_plugged() && !berth.is_full());
        assert!(berth.take().is_none());
        assert!(berth.offer(item(&berth, 2)).is_err());
        assert!(matches!(
            Berth::park(item(&berth, 2), |i| &i.berth),
            Parking::Plugged(_)
        ));
        berth.unplug();
        assert!(berth.offer(item(&berth, 3)).is_ok());
        assert_eq!(berth.take().map(|i| i.value), Some(3));
    }

    #[test]
    fn what_is_left_in_a_berth_goes_with_it() {
        let item = Arc::new(5);
        let berth = Berth::new();
        berth.offer(Box::new(Arc::clone(&item))).unwrap();
        drop(berth);
        assert_eq!(Arc::strong_count(&item), 1);
    }

    #[test]
    fn the_last_item_may_free_its_own_berth() {
        let berth = Arc::new(Berth::new());
        let parked = item(&berth, 1);
        let weak = Arc::downgrade(&berth);
        drop(berth);
        assert!(matches!(Berth::park(parked, |i| &i.berth), Parking::Parked));
        let taken = weak.upgrade().and_then(|berth| berth.take());
        assert!(taken.is_some());
        drop(taken);
        assert!(weak.upgrade().is_none());
    }
}
