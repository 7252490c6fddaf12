//! What is done about a connection that is held for too long.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Inner;
use super::between;
use super::clock::Nanos;
use super::record::{Phase, Record};
use crate::manager::Manager;
use crate::stats::count;

/// Between condemning a connection and taking its slot: a holder that returns it at that very
/// moment has then done so.
const GRACE: Nanos = 10_000_000;

impl<M: Manager> Inner<M> {
    /// Warns of a holder, once.
    pub(crate) fn report_leak(&self, record: &Record, now: Nanos) {
        // It may have come back since it was looked at.
        let Some(holder) = self.holder(record, now) else {
            return;
        };
        record.note_report();
        count(&self.counters.leaked);
        let backtrace = holder.backtrace.as_deref().map(tracing::field::display);
        tracing::warn!(
            pool = %self.name,
            connection = record.id,
            site = %holder.site,
            held_for = ?holder.held_for,
            held_in = holder.span,
            backtrace,
            "connection held for longer than leak_threshold: is it ever returned?"
        );
    }

    /// A connection comes back; if its holder was reported, that is taken back.
    #[cold]
    pub(crate) fn note_return(&self, record: &Record, held_for: Duration) {
        if record.is_reported() {
            let site = record.site().map(tracing::field::display);
            let connection = record.id;
            tracing::info!(
                pool = %self.name,
                connection,
                site,
                ?held_for,
                "connection that was held for long came back"
            );
        }
    }

    /// Takes the slot of a connection back from its holder; says when to look again.
    ///
    /// It is condemned first, so that it is closed if it comes back from then on, and only
    /// later, if it has not, stops being counted. A connection has one holder at any time: this
    /// one keeps it.
    pub(crate) fn reclaim(self: &Arc<Self>, record: &Record, now: Nanos) -> Nanos {
        if !record.is_condemned() {
            record.condemn();
            return now + GRACE;
        }
        let was_taken = {
            let mut registry = self.registry();
            record.phase().0 == Phase::Held && registry.reclaim(record)
        };
        if !was_taken {
            return Nanos::MAX;
        }
        self.open.fetch_sub(1, Relaxed);
        count(&self.counters.reclaimed);
        tracing::warn!(
            pool = %self.name,
            connection = record.id,
            site = record.site().map(tracing::field::display),
            held_for = ?between(record.phase().1, now),
            "connection held for longer than reclaim_threshold: its slot is used for another"
        );
        if let Some(interrupter) = record.interrupter().cloned() {
            let limit = self.config.close_timeout.unwrap_or(Duration::MAX);
            self.host.spawn(async move {
                let _too_slow = tokio::time::timeout(limit, interrupter.interrupt()).await;
            });
        }
        let ((), connects) = self.exchange.with_capacity(|c| c.gone(false));
        self.begin_connects(connects);
        Nanos::MAX
    }
}
