//! After the work: whether everything came back, and whether anything is open after the close.
//!
//! Three count: the pool itself, the backend, and the kernel, which knows the descriptors of the
//! process. The pool's own word would not do, since what it lost it does not count either.

use std::time::{Duration, Instant};

use pool_core::Pool;

use crate::backend::Workload;
use crate::footprint;
use crate::report::Audit;

/// How long the pool may take to tidy up after the last return, and after its close.
const PATIENCE: Duration = Duration::from_secs(10);

const STEP: Duration = Duration::from_millis(10);

impl Audit {
    /// Counts what is held and who waits when nobody should. What the pool still recycles gets a
    /// moment.
    pub(super) async fn after_work<W: Workload>(&mut self, pool: &Pool<W::Manager>) {
        let began = Instant::now();
        loop {
            let stats = pool.stats();
            (self.active_after_work, self.waiting_after_work) = (stats.active, stats.waiting);
            let quiet = stats.active == 0 && stats.waiting == 0;
            if quiet || began.elapsed() > PATIENCE {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// Counts the pool's connections beside those of the server, which takes a moment to end what was
    /// broken off.
    pub(super) async fn server_agrees<W: Workload>(
        &mut self,
        pool: &Pool<W::Manager>,
        workload: &W,
    ) {
        let began = Instant::now();
        loop {
            self.pool_total_after_work = Some(pool.stats().total);
            self.backend_open_after_work = workload.open_now();
            let agree = self.backend_open_after_work == self.pool_total_after_work;
            if agree || self.backend_open_after_work.is_none() || began.elapsed() > PATIENCE {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// Closes the pool and counts what is open. Returns how long the close took.
    pub(super) async fn after_close<W: Workload>(
        &mut self,
        pool: Pool<W::Manager>,
        workload: &W,
    ) -> Duration {
        let began = Instant::now();
        pool.close().await;
        let elapsed = began.elapsed();
        self.pool_total_after_close = pool.stats().total;
        drop(pool);
        loop {
            self.backend_open_after_close = workload.open_now();
            self.descriptors_after_close = footprint::open_descriptors();
            let closed = self.backend_open_after_close.is_none_or(|open| open == 0)
                && self.descriptors_after_close <= self.descriptors_before;
            if closed || began.elapsed() > PATIENCE {
                return elapsed;
            }
            tokio::time::sleep(STEP).await;
        }
    }
}
