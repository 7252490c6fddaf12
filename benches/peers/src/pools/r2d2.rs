//! `r2d2`: its own threads connect, and who waits blocks a thread.
//!
//! An idle connection is taken on the spot, for which r2d2 only locks. Who has to wait does so by
//! `spawn_blocking`, so that the runtime's two workers go on: `block_in_place` would put a new thread
//! in the worker's place for each caller that waits, and would take from the caller what else its
//! task does at the same time. A wait in a thread cannot be given up, and what it takes
//! is a thread's stack and not on the heap: scenarios about either leave r2d2 out.

use r2d2::{ManageConnection, Pool, PooledConnection};
use tokio::task::spawn_blocking;

use crate::peer::{Connection, Connects, Peer, Refused};
use crate::scenarios::Scenario;

#[derive(Clone)]
pub(crate) struct R2d2(Pool<Connects>);

impl ManageConnection for Connects {
    type Connection = Connection;
    type Error = Refused;

    fn connect(&self) -> Result<Connection, Refused> {
        self.connect_blocking()
    }

    fn is_valid(&self, _: &mut Connection) -> Result<(), Refused> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}

impl Peer for R2d2 {
    const NAME: &'static str = "r2d2";
    const VERSION: &'static str = "0.8.10";

    type Guard<'a> = PooledConnection<Connects>;

    fn takes_part(scenario: Scenario) -> bool {
        !matches!(
            scenario,
            Scenario::Impatient | Scenario::Storm | Scenario::Held10000
        )
    }

    fn new(max_size: usize, connects: Connects) -> Self {
        let max_size = u32::try_from(max_size).unwrap_or(u32::MAX);
        let builder = Pool::builder()
            .max_size(max_size)
            .min_idle(Some(0))
            .test_on_check_out(false);
        Self(builder.build_unchecked(connects))
    }

    async fn get(&self) -> Result<PooledConnection<Connects>, Refused> {
        if let Some(idle) = self.0.try_get() {
            return Ok(idle);
        }
        let pool = self.0.clone();
        let waited = spawn_blocking(move || pool.get()).await;
        waited
            .expect("r2d2 does not panic")
            .map_err(|_timeout| Refused)
    }
}
