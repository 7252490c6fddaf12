//! What others ask of the capacity that the queue's lock guards: slots for connects, and the limits.

use std::sync::atomic::Ordering::Relaxed;

use super::{Exchange, Member};
use crate::inner::capacity::Capacity;

impl<T: Member> Exchange<T> {
    /// Changes the capacity; what is idle beyond it is taken out and counts as closing, and so
    /// many connects are to be begun.
    #[must_use = "the items are out, and the slots of the connects taken"]
    pub(crate) fn resize(&self, change: impl FnOnce(&mut Capacity)) -> (Vec<Box<T>>, usize) {
        let mut line = self.lock();
        change(&mut line.capacity);
        self.terms.min.store(line.capacity.min, Relaxed);
        self.terms.max.store(line.capacity.max, Relaxed);
        let mut surplus = Vec::new();
        // With the plug in, nothing is idle.
        while !line.plugged && line.capacity.surplus() > 0 {
            match self.shards.plug_or_take() {
                Some(item) => {
                    line.capacity.closing();
                    surplus.push(item);
                }
                None => line.plugged = true,
            }
        }
        while line.capacity.surplus() > 0 {
            // What is kept for a pause is idle too.
            let Some(kept) = line.kept.pop() else { break };
            if let Some(item) = kept.leave() {
                line.capacity.closing();
                surplus.push(item);
            }
        }
        self.balance(&mut line);
        let waiting = line.queue.len();
        (surplus, line.capacity.plan(waiting))
    }

    /// Runs `change` on the capacity and says how many connects are to be begun after it.
    #[must_use = "the slots of the connects are taken"]
    pub(crate) fn with_capacity<R>(&self, change: impl FnOnce(&mut Capacity) -> R) -> (R, usize) {
        let mut line = self.lock();
        let result = change(&mut line.capacity);
        if line.closed {
            return (result, 0);
        }
        self.balance(&mut line);
        let waiting = line.queue.len();
        (result, line.capacity.plan(waiting))
    }

    /// Whether no connect is to begin until this is said again.
    pub(crate) fn bar_connects(&self, barred: bool) {
        self.lock().capacity.barred = barred;
    }

    /// Takes slots for as many connects as `wanted` says, as far as the limits allow; they are to
    /// be begun.
    pub(crate) fn take_capacity(&self, wanted: impl FnOnce(&Capacity) -> usize) -> usize {
        let mut line = self.lock();
        if line.closed {
            return 0;
        }
        let wanted = wanted(&line.capacity);
        line.capacity.take(wanted)
    }

    pub(crate) fn read_capacity<R>(&self, read: impl FnOnce(&Capacity) -> R) -> R {
        read(&self.lock().capacity)
    }

    /// Connects fail: one at a time from now on.
    pub(crate) fn connects_fail(&self) {
        self.lock().capacity.failing = true;
    }

    /// No more connections than are open, if any are; see [`Capacity::make_do`].
    pub(crate) fn make_do(&self) -> bool {
        self.lock().capacity.make_do()
    }

    /// Connects succeed: as many at a time as allowed.
    pub(crate) fn connects_succeed(&self) {
        self.lock().capacity.failing = false;
    }

    /// An item that is out is going to be closed.
    pub(crate) fn announce_closing(&self) {
        let mut line = self.lock();
        line.capacity.closing();
        self.balance(&mut line);
    }

    /// The minimum and the maximum.
    pub(crate) fn limits(&self) -> (usize, usize) {
        (self.terms.min.load(Relaxed), self.terms.max.load(Relaxed))
    }

    /// Gives the slot of a connect back that came to nothing, and lets those who wait look for
    /// somebody else to connect.
    pub(crate) fn abandon_connect(&self) {
        {
            let mut line = self.lock();
            line.capacity.not_opened();
            self.balance(&mut line);
        }
        self.wake_all();
    }

    /// Whether a planned connect is still called for; if not, its slot is to be given
    /// back.
    pub(crate) fn confirm_connect(&self, whatever_the_demand: bool) -> bool {
        let line = self.lock();
        let waiting = line.queue.len();
        let is_wanted = whatever_the_demand || line.capacity.still_wanted(waiting);
        !line.closed && is_wanted && line.capacity.may_begin()
    }
}
