//! Carries out what the scaler decides.

use super::Inner;
use super::clock::Nanos;
use super::record::Phase;
use crate::manager::Manager;
use crate::policy::scaler::{Observed, Scaler, Step};
use crate::stats::{CloseReason, count};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl<M: Manager> Inner<M> {
    /// Lets the scaler look at the pool, of which `pings` connections are only pinged, does what it
    /// says, and says when it wants to look again.
    pub(crate) fn scale(self: &Arc<Self>, scaler: &mut Scaler, now: Nanos, pings: usize) -> Nanos {
        if !self.config.auto_scaling || self.exchange.is_paused() {
            return Nanos::MAX;
        }
        let pool = self.observed(pings);
        if let Some(step) = scaler.observe(now, pool) {
            self.take_step(step);
        }
        scaler.next_at(pool)
    }

    fn observed(&self, pings: usize) -> Observed {
        let (size, room) = self.exchange.read_capacity(|c| (c.live(), c.room()));
        let (min, _) = self.exchange.limits();
        let open = self.open.load(Relaxed);
        Observed {
            size,
            active: open.saturating_sub(self.exchange.shards.count() + pings),
            waiting: self.exchange.waiting().0,
            min,
            max: room,
        }
    }

    fn take_step(self: &Arc<Self>, step: Step) {
        let Step {
            from,
            to,
            reason,
            utilisation,
        } = step;
        let percent = (utilisation * 100.0).round();
        tracing::info!(pool = %self.name, from, to, %reason, utilisation = %format_args!("{percent} %"), "scaled");
        let ((), connects) = self.exchange.with_capacity(|c| c.kept_open = to);
        self.begin_connects(connects);
        if to < from {
            count(&self.counters.scaled_down);
            self.close_longest_idle(from - to);
        } else {
            count(&self.counters.scaled_up);
        }
    }

    fn close_longest_idle(&self, number: usize) {
        let mut idle_since: Vec<_> = self
            .registry()
            .records()
            .iter()
            .map(|record| record.phase())
            .filter(|(phase, _)| *phase == Phase::Idle)
            .map(|(_, since)| since)
            .collect();
        idle_since.sort_unstable();
        let Some(&last) = idle_since.get(..number).unwrap_or(&idle_since).last() else {
            return;
        };
        let mut left = number;
        self.close_idle(CloseReason::ScaledDown, |entry| {
            let closes = left > 0 && entry.slot.record.phase().1 <= last;
            left -= usize::from(closes);
            closes
        });
    }
}
