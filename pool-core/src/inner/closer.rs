//! Closing one connection, without letting anybody wait for it.
//!
//! Most managers close by dropping, so the close is begun at once where it was decided; only what
//! does not end there goes on in a task, for at most `close_timeout`. The slot is free when it is
//! over, however it ends, so the server never has more connections than the pool may.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::runtime::Handle;

use super::Inner;
use super::bounded::caught;
use super::entry::{Entry, Slot};
use super::exchange::{Refusal, Refused};
use super::record::Phase;
use crate::manager::Manager;
use crate::stats::CloseReason;

impl<M: Manager> Inner<M> {
    /// Closes the connection for `reason`.
    #[cold]
    #[expect(clippy::boxed_local, reason = "it is a box everywhere")]
    pub(crate) fn close_entry(mut entry: Box<Entry<M>>, reason: CloseReason) {
        entry.count_untimed();
        let Entry { conn, mut slot, .. } = *entry;
        let inner = Arc::clone(&slot.inner);
        inner.say_goodbye(&mut slot, reason);
        let manager = Arc::clone(&inner);
        let mut close = Box::pin(async move {
            caught(async { manager.manager.close(conn).await }).await;
            drop(slot);
        });
        // While a panic unwinds or the thread ends, code of others must not run here: a panic would
        // abort, and a thread that ends can enter no runtime.
        let is_ending = Handle::try_current().is_err_and(|e| e.is_thread_local_destroyed());
        if !std::thread::panicking() && !is_ending {
            let runtime = inner.host.handle();
            let _entered = runtime.as_ref().map(Handle::enter);
            let polled = Pin::new(&mut close).poll(&mut Context::from_waker(Waker::noop()));
            if polled.is_ready() {
                return;
            }
        }
        let limit = inner.config.close_timeout;
        inner.host.spawn(async move {
            match limit {
                None => close.await,
                Some(limit) => {
                    let _too_slow = tokio::time::timeout(limit, close).await;
                }
            }
        });
    }

    /// Closes what the exchange did not take back.
    pub(crate) fn close_refused((mut entry, refusal): Refused<Entry<M>>) {
        entry.slot.announced = true;
        let reason = match refusal {
            Refusal::Closed => CloseReason::PoolClosed,
            Refusal::Surplus => CloseReason::Surplus,
        };
        Self::close_entry(entry, reason);
    }

    fn say_goodbye(&self, slot: &mut Slot<M>, reason: CloseReason) {
        let record = &slot.record;
        let now = self.dial.clock.exact_anywhere();
        record.enter(Phase::Busy, now);
        // From here on it cannot be reclaimed: that is done to held ones, under the same lock.
        let is_counted = self.registry().contains(record);
        let reason = if is_counted {
            reason
        } else {
            CloseReason::Reclaimed
        };
        if is_counted && !slot.announced {
            slot.announced = true;
            self.exchange.announce_closing();
        }
        slot.accounted = true;
        self.counters.closed(reason);
        tracing::debug!(
            pool = %self.name,
            connection = record.id,
            %reason,
            age = ?std::time::Duration::from_nanos(now.saturating_sub(record.opened_at())),
            uses = record.uses(),
            "connection closed"
        );
    }
}
