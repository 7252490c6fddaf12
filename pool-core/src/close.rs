//! Closing a pool: what it waits for, and what it says in the end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::inner::Inner;
use crate::inner::record::Phase;
use crate::manager::Manager;
use crate::stats::Holder;

/// How closing a pool went.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CloseReport {
    /// How long it took.
    pub took: Duration,
    /// Who still held a connection when the time was up, the longest first; their connections are
    /// closed when they come back.
    pub still_held: Vec<Holder>,
    /// How many holders were interrupted because their time was up.
    pub interrupted: usize,
    /// Connections that were not yet closed at the end, those still held included.
    pub not_closed: usize,
}

impl CloseReport {
    /// Whether every connection is closed.
    pub fn is_complete(&self) -> bool {
        self.not_closed == 0
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "closed in {:.1?}", self.took)?;
        if self.interrupted > 0 {
            write!(f, ", {} holders interrupted", self.interrupted)?;
        }
        if self.not_closed > 0 {
            write!(f, ", {} connections left", self.not_closed)?;
        }
        for holder in &self.still_held {
            write!(f, "; still held by {holder}")?;
        }
        Ok(())
    }
}

impl<M: Manager> Inner<M> {
    pub(crate) async fn close(self: &Arc<Self>, patience: Option<Duration>) -> CloseReport {
        let began = Instant::now();
        self.begin_shutdown();
        let mut interrupted = 0;
        if !self
            .drained_until(patience.and_then(|p| began.checked_add(p)))
            .await
        {
            interrupted = self.interrupt_holders();
            if interrupted > 0 {
                let grace = self
                    .config
                    .close_timeout
                    .and_then(|g| Instant::now().checked_add(g));
                self.drained_until(grace).await;
            }
        }
        // Counted first: a connection that comes back in between is counted, and has no holder.
        let not_closed = self.registry().all().count();
        let report = CloseReport {
            took: began.elapsed(),
            still_held: self.last_holders(),
            interrupted,
            not_closed,
        };
        for holder in &report.still_held {
            tracing::warn!(
                pool = %self.name,
                connection = holder.connection,
                site = %holder.site,
                held_for = ?holder.held_for,
                "connection still held after the pool was closed"
            );
        }
        tracing::info!(pool = %self.name, %report, "pool shut down");
        report
    }

    /// Waits until no connection is left; false when `deadline` came first.
    async fn drained_until(&self, deadline: Option<Instant>) -> bool {
        let drained = async {
            loop {
                let mut gone = std::pin::pin!(self.gone.notified());
                gone.as_mut().enable();
                if self.registry().all().next().is_none() {
                    return;
                }
                gone.await;
            }
        };
        match deadline {
            None => {
                drained.await;
                true
            }
            Some(deadline) => timeout_at(deadline, drained).await.is_ok(),
        }
    }

    /// Interrupts what runs on connections that are held; says how many.
    fn interrupt_holders(&self) -> usize {
        let interrupters: Vec<_> = self
            .registry()
            .all()
            .filter(|record| record.phase().0 == Phase::Held)
            .filter_map(|record| record.interrupter().cloned())
            .collect();
        let count = interrupters.len();
        for interrupter in interrupters {
            let limit = self.config.close_timeout.unwrap_or(Duration::MAX);
            self.host.spawn(async move {
                let _too_slow = timeout(limit, interrupter.interrupt()).await;
            });
        }
        count
    }
}
