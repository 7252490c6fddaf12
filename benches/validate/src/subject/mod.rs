//! A real database that can be asked, stopped and started.

pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::any::Any;
use std::time::Duration;

use pool_core::{Manager, Pool, PoolBuilder};
use pool_servers::FaultProxy;

use crate::Failure;

/// The connection of a subject.
pub(crate) type ConnectionOf<S> = <<S as Subject>::Manager as Manager>::Connection;

/// One kind of database, and what is done to it.
pub(crate) trait Subject: Send + Sync + 'static {
    type Manager: Manager;

    /// Product and version.
    fn server(&self) -> String;

    fn manager(&self) -> Self::Manager;

    /// A connection by the driver alone, as a program without a pool would open it.
    fn bare(&self) -> impl Future<Output = Result<Box<dyn Any + Send>, Failure>> + Send {
        async { Err("the driver has no connections of its own".into()) }
    }

    /// `SELECT 1`.
    fn query(
        &self,
        conn: &mut ConnectionOf<Self>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// A query that takes that long.
    fn slow_query(
        &self,
        conn: &mut ConnectionOf<Self>,
        time: Duration,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Whether there is a network between here and the database.
    fn has_network(&self) -> bool {
        true
    }

    /// A proxy before the server, and a manager whose connections go through it; `None` where there is
    /// no network in between.
    fn proxy(&self) -> Option<Result<(FaultProxy, Self::Manager), Failure>> {
        None
    }

    /// Takes the server away, as its death would.
    fn stop(&self) -> Result<(), Failure>;

    /// Brings it back.
    fn start(&self) -> Result<(), Failure>;

    /// Connections the server itself counts.
    fn open_now(&self) -> Result<usize, Failure>;

    /// Ends a connection that the pool has, from outside or, where there is no outside, from
    /// within.
    fn kill(
        &self,
        conn: &mut ConnectionOf<Self>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// What a URL that is not for this database is answered with, if it is refused.
    fn refuses_url(&self, url: &str) -> Option<String>;

    /// Holds `connections` at once and works them: the extreme scenario of the load bench.
    fn extreme(
        connections: usize,
    ) -> impl Future<Output = Result<pool_benches::report::Report, Failure>> + Send;

    fn builder(&self) -> PoolBuilder<Self::Manager> {
        Pool::builder(self.manager())
    }
}

/// Where the process runs other things meanwhile: servers are handled by calls that block.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// The extreme scenario on a prepared workload.
pub(crate) async fn hold_and_work<W: pool_benches::backend::Workload>(
    workload: W,
    backend: pool_benches::options::Backend,
    connections: usize,
) -> Result<pool_benches::report::Report, Failure> {
    use pool_benches::{engine, limits, options::Scenario, plan::Plan};

    limits::make_room(connections, workload.descriptors_per_connection())?;
    let plan = Plan {
        scenario: Scenario::Extreme,
        backend,
        connections,
        max_size: connections,
        workers: connections * 2,
        duration: Duration::from_secs(5),
        hold: Duration::ZERO,
        url: None,
        chaos: None,
    };
    Ok(engine::run(&plan, &std::sync::Arc::new(workload)).await?)
}
