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
use std::task::{Context, Poll};

use tokio::time::{Sleep, sleep_until};

use crate::inner::Inner;
use crate::inner::clock::Nanos;
use crate::inner::entry::Entry;
use crate::inner::exchange::Stay;
use crate::manager::Manager;

/// How a wait ended.
pub(crate) enum Waited<M: Manager> {
    Served(Box<Entry<M>>),
    TimedOut,
    /// The pool was closed.
    Dismissed,
}

/// A stay in the queue; dropped, it passes on what was meant for it.
pub(crate) struct Waiting<'a, M: Manager> {
    inner: &'a Arc<Inner<M>>,
    stay: Option<Stay<Entry<M>>>,
    /// [`Nanos::MAX`] for none.
    deadline: Nanos,
    timer: Option<Pin<Box<Sleep>>>,
    was_polled: bool,
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

    /// How long before a deadline the alarm rings.
    pub(crate) fn alarm_margin(&self) -> Nanos {
        2 * self.limits.tick()
    }
}

impl<'a, M: Manager> Waiting<'a, M> {
    /// Waits until `deadline`; the alarm is the one [`Inner::alarm_for`] gave and the stay was
    /// begun with.
    pub(crate) fn new(
        inner: &'a Arc<Inner<M>>,
        stay: Stay<Entry<M>>,
        deadline: Nanos,
        alarm_at: Nanos,
    ) -> Self {
        let mut waiting = Self {
            inner,
            stay: Some(stay),
            deadline,
            timer: None,
            was_polled: false,
        };
        if alarm_at == Nanos::MAX {
            waiting.set_timer();
        }
        waiting
    }

    fn set_timer(&mut self) {
        if self.deadline != Nanos::MAX && self.timer.is_none() {
            self.timer = Some(Box::pin(sleep_until(
                self.inner.dial.clock.instant(self.deadline),
            )));
        }
    }
}

impl<M: Manager> Future for Waiting<'_, M> {
    type Output = Waited<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Waited<M>> {
        let stay = self.stay.as_ref().expect("not polled again when ready");
        if let Poll::Ready(served) = stay.poll(cx) {
            // Whoever is served or dismissed is no longer in the queue.
            self.stay = None;
            return Poll::Ready(served.map_or(Waited::Dismissed, Waited::Served));
        }
        if self.was_polled {
            // Woken without being served: the alarm has rung, or a task the pool relied on is
            // gone with its runtime.
            self.set_timer();
            self.inner.attend();
            self.inner.replenish();
        }
        self.was_polled = true;
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(cx).map(|()| Waited::TimedOut),
            None => Poll::Pending,
        }
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
