//! What a pool of database connections is asked to do.

use std::error::Error;
use std::future::Future;

/// Why there is no answer.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// A pool and how `SELECT 1` is asked through it.
pub(super) trait Client: Clone + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
    /// What it does between a use and the next one, for people.
    const AT_RETURN: &'static str;

    /// A pool of at most `connections` to the database at `address`. Called inside a runtime.
    ///
    /// # Errors
    ///
    /// When the pool cannot be built.
    fn open(address: &str, connections: usize) -> Result<Self, Failure>;

    /// Checks out a connection, asks `SELECT 1`, and returns it.
    ///
    /// # Errors
    ///
    /// What the pool, the driver or the database says.
    fn select_one(&self) -> impl Future<Output = Result<i64, Failure>> + Send;
}
