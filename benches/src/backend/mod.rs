//! What the connections lead to: each backend is a [`Workload`], and the engine knows no more of it.

pub mod memory;
pub mod mysql;
pub mod postgres;
pub mod sqlite;

use std::error::Error;

use pool_core::Manager;

use crate::report::Server;

/// Why a question was not answered, or answered wrongly.
pub type QueryError = Box<dyn Error + Send + Sync>;

/// The connection type of a workload.
pub type ConnectionOf<W> = <<W as Workload>::Manager as Manager>::Connection;

/// A prepared database and one question to ask it.
pub trait Workload: Send + Sync + 'static {
    /// What opens the connections.
    type Manager: Manager;

    /// A manager for the pool.
    fn manager(&self) -> Self::Manager;

    /// Asks one question on the connection and checks the answer.
    fn query(
        &self,
        connection: &mut ConnectionOf<Self>,
        key: u64,
    ) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// How many connections are open now, counted by something that is not the pool; `None` where
    /// nothing else counts.
    fn open_now(&self) -> Option<usize>;

    /// Descriptors a connection takes.
    fn descriptors_per_connection(&self) -> usize;

    /// Memory of a throw-away server, in bytes; `None` where there is none to look into.
    fn server_memory(&self) -> Option<u64> {
        None
    }

    /// The throw-away server and the proxy before it, where both may be broken.
    fn breakable(&self) -> Option<(&pool_servers::Server, &pool_servers::FaultProxy)> {
        None
    }

    /// What it is, for the report.
    fn server(&self) -> Server;
}
