//! Waiting in the queue, until served or until the time is up.
//!
//! A timer of the runtime costs more than the rest of a wait, and hardly any is ever needed. So a
//! waiter whose deadline is far away has none: it leaves an alarm with the queue, and the keeper,
//! which looks at the alarms at each tick, wakes it shortly before the deadline to set a timer
//! then. Who cannot rely on a keeper (it is not running, or lives on another runtime that may not be
//! driven) sets one at once.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};

use crate::error::{Error, Stage};
use crate::inner::clock::Nanos;
use crate::inner::entry::Entry;
use crate::inner::exchange::{Arrival, Joined, Stay};
use crate::inner::sync::thread_number;
use crate::inner::waiters::{Sight, Turn};
use crate::inner::{Inner, between};
use crate::manager::Manager;
use crate::stats::count;

/// Where in the user's code a checkout was made.
pub(crate) type Site = &'static Location<'static>;

/// One checkout that waits, whatever for.
pub(crate) struct Patience<'a, M: Manager> {
    pub(crate) inner: &'a Arc<Inner<M>>,
    pub(crate) began: Nanos,
    /// One for all stages; [`Nanos::MAX`] for none.
    pub(crate) deadline: Nanos,
    pub(crate) site: Site,
}

/// What a wait in the queue ends with.
type Served<M> = Result<Box<Entry<M>>, Error<<M as Manager>::Error>>;

/// A wait in the queue, which it joins when it is first polled; dropped, it passes on what was meant
/// for it.
pub(crate) struct Waiting<'a, M: Manager> {
    patience: &'a Patience<'a, M>,
    standing: &'a mut Standing,
    /// `None` before the first poll and after the last.
    stay: Option<Stay<Entry<M>>>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What a checkout keeps from one wait to the next: what it was served may be of no use.
pub(crate) struct Standing {
    /// `None` before it was in the queue or was served.
    pub(crate) turn: Option<Turn>,
    /// When it is reported as slow; [`Nanos::MAX`] for never, or never again.
    slow_at: Nanos,
}

impl<M: Manager> Patience<'_, M> {
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            turn: None,
            slow_at: self.inner.slow_at(self.began),
        }
    }

    /// It has been served.
    pub(crate) fn record(&self, now: Nanos) {
        let waits = self.inner.counters.wait.of(thread_number());
        waits.record(between(self.began, now));
    }

    #[cold]
    pub(crate) fn timed_out(&self, stage: Stage) -> Error<M::Error> {
        timed_out(self.inner, stage, self.waited())
    }

    #[cold]
    fn shed(&self) -> Error<M::Error> {
        Error::Shed {
            waited: self.waited(),
            snapshot: self.inner.snapshot(),
        }
    }

    fn waited(&self) -> Duration {
        between(self.began, self.inner.dial.clock.exact())
    }
}

#[cold]
pub(crate) fn timed_out<M: Manager>(
    inner: &Inner<M>,
    stage: Stage,
    waited: Duration,
) -> Error<M::Error> {
    count(&inner.counters.timed_out);
    let snapshot = inner.snapshot();
    let there_was_room = snapshot.total - snapshot.opening < snapshot.max_size;
    let stage = match stage {
        Stage::Wait if there_was_room && !snapshot.is_paused => Stage::Connect,
        other => other,
    };
    tracing::debug!(pool = %inner.name, ?waited, %stage, %snapshot, "checkout timed out");
    Error::Timeout {
        stage,
        waited,
        snapshot,
    }
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
        // The keeper lets the clock run down and then looks into the queue, under its lock; this
        // stay joined it under the same. Either that sees this stay, or this sees the clock stand.
        alarm_at != Nanos::MAX && self.dial.clock.coarse().is_some()
    }

    /// How long before a deadline the alarm rings.
    pub(crate) fn alarm_margin(&self) -> Nanos {
        2 * self.limits.tick
    }
}

impl<'a, M: Manager> Waiting<'a, M> {
    pub(crate) fn new(patience: &'a Patience<'a, M>, standing: &'a mut Standing) -> Self {
        Self {
            patience,
            standing,
            stay: None,
            timer: None,
        }
    }

    /// Joins the queue, unless something is idle after all.
    fn join(&mut self, waker: &Waker) -> Result<Option<Box<Entry<M>>>, Error<M::Error>> {
        let Patience { inner, began, .. } = *self.patience;
        if let Some(refusal) = inner.refusal() {
            return Err(refusal);
        }
        // Who joins again may be near the deadline, or past it.
        let now = match self.standing.turn {
            None => began,
            Some(_) => inner.dial.clock.exact(),
        };
        let alarm_at = inner.alarm_for(self.due(), now);
        let outlook = inner.outlook();
        let arrival = Arrival {
            turn: self.standing.turn,
            since: began,
            alarm_at,
            outlook,
        };
        let max_waiting = inner.config.max_waiting;
        let (stay, connects, holds_back) = match inner.exchange.join(arrival, max_waiting, waker) {
            Joined::Served(entry) => return Ok(Some(entry)),
            Joined::Closed => return Err(Error::Closed),
            Joined::Paused => return Err(Error::Paused),
            Joined::Full => {
                count(&inner.counters.refused);
                return Err(Error::Overloaded {
                    snapshot: inner.snapshot(),
                });
            }
            Joined::Waiting {
                stay,
                connects,
                holds_back,
            } => (stay, connects, holds_back),
        };
        self.standing.turn = Some(stay.turn());
        self.stay = Some(stay);
        inner.begin_connects(connects);
        if let Some(outlook) = outlook.filter(|_| holds_back) {
            inner.look_again(outlook);
        }
        if !inner.alarm_is_set(alarm_at) {
            self.set_timer();
        }
        if inner.dial.clock.coarse().is_none() {
            inner.host.call.notify_one();
        }
        inner.note_active();
        // The last connection may have gone since this was not refused.
        inner.tell_the_hopeless();
        inner.connecting.on_demand();
        Ok(None)
    }

    /// What it comes to first.
    fn due(&self) -> Nanos {
        self.patience.deadline.min(self.standing.slow_at)
    }

    fn set_timer(&mut self) {
        let at = self.due();
        if at != Nanos::MAX && self.timer.is_none() {
            let at = self.patience.inner.dial.clock.instant(at);
            self.timer = Some(Box::pin(sleep_until(at)));
        }
    }

    /// Leaves the queue, if it is in it; what was meant for it goes to the next.
    fn leave(&mut self) {
        if let Some(stay) = self.stay.take() {
            if let Err(refused) = self.patience.inner.exchange.leave(stay) {
                Inner::close_refused(refused);
            }
        }
    }

    /// The time for which the timer was set has come; false when the wait goes on.
    fn is_over(&mut self) -> bool {
        let Patience {
            inner,
            began,
            deadline,
            site,
        } = *self.patience;
        let slow_at = self.standing.slow_at;
        if slow_at < deadline {
            inner.report_slow(began, site);
            self.standing.slow_at = Nanos::MAX;
            self.timer = None;
            self.set_timer();
        }
        deadline <= slow_at
    }
}

impl<M: Manager> Future for Waiting<'_, M> {
    type Output = Served<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Served<M>> {
        let inner = self.patience.inner;
        let sight = self.stay.as_ref().map(|stay| inner.exchange.look(stay, cx));
        if !matches!(sight, Some(Sight::Rung | Sight::Nothing)) {
            // Whoever is served or dismissed is no longer in the queue.
            self.stay = None;
        }
        match sight {
            Some(Sight::Served(entry)) => return Poll::Ready(Ok(entry)),
            Some(Sight::Shed) => return Poll::Ready(Err(self.patience.shed())),
            // Dismissed because the pool is closed or connects fail: joining again tells which, if
            // it still is so.
            None | Some(Sight::Dismissed) => {
                if let Some(served) = self.join(cx.waker()).transpose() {
                    return Poll::Ready(served);
                }
            }
            Some(Sight::Rung) => {
                // The alarm, or a task the pool relied on is gone with its runtime.
                self.set_timer();
                inner.attend();
                inner.replenish();
            }
            Some(Sight::Nothing) => {}
        }
        while let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            if self.is_over() {
                let error = self.patience.timed_out(Stage::Wait);
                self.leave();
                return Poll::Ready(Err(error));
            }
        }
        Poll::Pending
    }
}

impl<M: Manager> Drop for Waiting<'_, M> {
    fn drop(&mut self) {
        // Whoever has been told how the wait ended is no longer in the queue.
        if self.stay.is_some() {
            count(&self.patience.inner.counters.cancelled);
        }
        self.leave();
    }
}
