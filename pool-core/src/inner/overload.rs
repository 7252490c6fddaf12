//! What is done about a queue that does not drain: said, and its oldest shed.

use std::sync::atomic::Ordering::Relaxed;

use super::clock::Nanos;
use super::{Inner, between};
use crate::config::Shedding;
use crate::manager::Manager;
use crate::policy::codel::Codel;
use crate::stats::count_many;

impl<M: Manager> Inner<M> {
    /// Looks at the queue, and says when to look again.
    pub(crate) fn watch_queue(&self, codel: &mut Codel, now: Nanos) -> Nanos {
        let shedding = self.config.shedding;
        if shedding == Shedding::Off {
            return Nanos::MAX;
        }
        let since = self
            .exchange
            .oldest_since()
            .filter(|_| !self.exchange.is_paused());
        let delay = since.map_or(0, |since| now.saturating_sub(since));
        let is_overloaded = codel.observe(delay, now);
        if is_overloaded != self.is_overloaded.swap(is_overloaded, Relaxed) {
            self.tell_overload(is_overloaded, between(0, delay));
        }
        if is_overloaded && shedding == Shedding::On {
            let shed = self.exchange.shed(now.saturating_sub(codel.sheds_after()));
            count_many(&self.counters.shed, shed as u64);
        }
        if is_overloaded || since.is_some() {
            now + codel.pause()
        } else {
            Nanos::MAX
        }
    }

    #[cold]
    fn tell_overload(&self, is_overloaded: bool, oldest: std::time::Duration) {
        let waiting = self.exchange.waiting().0;
        if is_overloaded {
            tracing::warn!(
                pool = %self.name, waiting, ?oldest, shedding = %self.config.shedding,
                "overloaded: for shedding_interval nobody was served within shedding_target"
            );
        } else {
            let shed = self.counters.shed.load(Relaxed);
            tracing::info!(pool = %self.name, waiting, shed, "no longer overloaded");
        }
    }
}
