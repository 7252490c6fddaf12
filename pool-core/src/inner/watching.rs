//! Figures of the last seconds, kept while somebody asks for them.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{MutexGuard, PoisonError};

use super::Inner;
use super::clock::Nanos;
use crate::manager::Manager;
use crate::stats::{History, Sample, Windows};

impl<M: Manager> Inner<M> {
    pub(crate) fn windows(&self) -> Windows {
        let mut history = self.history();
        // Taken under the lock, samples are in the order of their times.
        let sample = self.sample();
        if history.is_asleep() {
            self.host.call.notify_one();
        }
        history.windows(sample)
    }

    /// Takes a sample if one is due, and says when the next is.
    pub(crate) fn take_sample(&self, now: Nanos) -> Nanos {
        let mut history = self.history();
        match history.next_at(now) {
            Some(at) if at <= now => {
                history.note(self.sample());
                now + 1_000_000_000
            }
            next_at => next_at.unwrap_or(Nanos::MAX),
        }
    }

    fn sample(&self) -> Sample {
        let at = self.dial.clock.exact();
        let counters = &self.counters;
        let census = self.registry().census();
        let turned_away = [&counters.refused, &counters.shed, &counters.rejected];
        Sample {
            at,
            acquired: census.uses,
            released: census.released,
            timed_out: counters.timed_out.load(Relaxed),
            turned_away: turned_away.iter().map(|count| count.load(Relaxed)).sum(),
            connects: counters.connects.load(Relaxed),
            connect_failures: counters.connect_failures.load(Relaxed),
            closed: counters.closed_by().iter().map(|(_, count)| count).sum(),
            wait: counters.wait.tally(),
            connect: counters.connect.tally(),
            usage: counters.usage.tally(),
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
