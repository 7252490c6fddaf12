//! Waiting in the queue, until served or until the time is up.
//!
//! A timer of the runtime costs more than the rest of a wait, and hardly any is ever needed. So a
//! waiter whose deadline is far away has none: it leaves an alarm with the queue, and the keeper,
//! which looks at the alarms at each tick, wakes it shortly before the deadline to set a timer
//! then. Who cannot rely on a keeper (it is not running, or shares a single thread with whatever
//! blocks it) sets one at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::fence;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep_until};

use crate::acquire::Site;
use crate::inner::Inner;
use crate::inner::clock::Nanos;
use crate::inner::entry::Entry;
use crate::inner::exchange::Stay;
use crate::inner::waiters::Sight;
use crate::manager::Manager;

/// How a wait ended.
pub(crate) enum Waited<M: Manager> {
    Served(Box<Entry<M>>),
    TimedOut,
    /// The queue does not drain.
    Shed,
    /// The pool was closed.
    Dismissed,
}

/// What a wait comes to in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    /// When it ends unserved; [`Nanos::MAX`] for never.
    pub(crate) deadline: Nanos,
    /// When it is reported as slow; [`Nanos::MAX`] for never.
    pub(crate) slow_at: Nanos,
    pub(crate) began: Nanos,
    pub(crate) site: Site,
}

impl Due {
    pub(crate) fn first(&self) -> Nanos {
        self.deadline.min(self.slow_at)
    }
}

/// A stay in the queue; dropped, it passes on what was meant for it.
pub(crate) struct Waiting<'a, M: Manager> {
    inner: &'a Arc<Inner<M>>,
    stay: Option<Stay<Entry<M>>>,
    due: Due,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<M: Manager> Inner<M> {
    /// When a waiter with this deadline is to be woken by the keeper; `Nanos::MAX` when it sets a
    /// timer by itself or has no deadline.
    pub(crate) fn alarm_for(&self, deadline: Nanos, now: Nanos) -> Nanos {
        let margin = self.alarm_margin();
        let is_ticking = |tick: Nanos| now.saturating_sub(tick) < margin;
        if deadline.saturating_sub(now) > 2 * margin
            && self.dial.clock.coarse().is_some_and(is_ticking)
            && self.host.keeper_can_be_relied_on()
        {
            deadline
        } else {
            Nanos::MAX
        }
    }

    /// Whether the alarm of a stay that has begun will ring: the keeper may have let the clock
    /// run down since it was asked for one.
    pub(crate) fn alarm_is_set(&self, alarm_at: Nanos) -> bool {
        // Pairs with the fence of the keeper, between letting the clock run down and looking
        // whether somebody waits: either it sees this stay, or this sees the clock stand.
        fence(SeqCst);
        alarm_at != Nanos::MAX && self.dial.clock.coarse().is_some()
    }

    /// How long before a deadline the alarm rings.
    pub(crate) fn alarm_margin(&self) -> Nanos {
        2 * self.limits.tick()
    }
}

impl<'a, M: Manager> Waiting<'a, M> {
    /// Waits until the deadline, with a timer unless the alarm is set.
    pub(crate) fn new(
        inner: &'a Arc<Inner<M>>,
        stay: Stay<Entry<M>>,
        due: Due,
        alarm_is_set: bool,
    ) -> Self {
        let mut waiting = Self {
            inner,
            stay: Some(stay),
            due,
            timer: None,
        };
        if !alarm_is_set {
            waiting.set_timer();
        }
        waiting
    }

    fn set_timer(&mut self) {
        let at = self.due.first();
        if at != Nanos::MAX && self.timer.is_none() {
            let at = self.inner.dial.clock.instant(at);
            self.timer = Some(Box::pin(sleep_until(at)));
        }
    }

    /// The time for which the timer was set has come; false when the wait goes on.
    fn is_over(&mut self) -> bool {
        let Due {
            deadline,
            slow_at,
            began,
            site,
        } = self.due;
        if slow_at < deadline {
            self.inner.report_slow(began, site);
            self.due.slow_at = Nanos::MAX;
            self.timer = None;
            self.set_timer();
        }
        deadline <= slow_at
    }
}

impl<M: Manager> Future for Waiting<'_, M> {
    type Output = Waited<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Waited<M>> {
        let stay = self.stay.as_ref().expect("not polled again when ready");
        // Whoever is served or dismissed is no longer in the queue.
        match stay.poll(cx) {
            Sight::Served(entry) => {
                self.stay = None;
                return Poll::Ready(Waited::Served(entry));
            }
            Sight::Dismissed => {
                self.stay = None;
                return Poll::Ready(Waited::Dismissed);
            }
            Sight::Shed => {
                self.stay = None;
                return Poll::Ready(Waited::Shed);
            }
            Sight::Rung => {
                // The alarm, or a task the pool relied on is gone with its runtime.
                self.set_timer();
                self.inner.attend();
                self.inner.replenish();
            }
            Sight::Nothing => {}
        }
        while let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            if self.is_over() {
                return Poll::Ready(Waited::TimedOut);
            }
        }
        Poll::Pending
    }
}

impl<M: Manager> Drop for Waiting<'_, M> {
    fn drop(&mut self) {
        if let Some(stay) = self.stay.take() {
            if let Err(refused) = self.inner.exchange.leave(stay) {
                Inner::close_refused(refused);
            }
        }
    }
}
