//! What every pool is asked to do, and the connection they all pool.
//!
//! An adapter is a thin file: it builds the pool at its fastest (no validation by a round trip, no
//! timeout where the pool can do without) and forwards `get`.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::scenarios::Scenario;

/// A pool over connections that do nothing.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;

    /// What `get` gives: the connection, until it is dropped.
    type Guard<'a>: Send;

    /// Whether the pool can do what `scenario` asks for.
    fn takes_part(_scenario: Scenario) -> bool {
        true
    }

    /// A pool of at most `max_size` connections. Called inside a runtime.
    fn new(max_size: usize, connects: Connects) -> Self;

    /// Checks out a connection, or says that there is none.
    fn get(&self) -> impl Future<Output = Result<Self::Guard<'_>, Refused>> + Send;

    /// Checks out a connection of a server that refuses nobody.
    fn served(&self) -> impl Future<Output = Self::Guard<'_>> + Send {
        async { self.get().await.expect("the server refuses nobody") }
    }
}

/// Opens connections that do nothing, as slowly as it is told or not at all, and counts them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connects(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    delay_ms: AtomicU64,
    refuses: AtomicBool,
    begun: AtomicU64,
    alive: AtomicU64,
}

impl Connects {
    /// From now on a connect takes this long.
    pub(crate) fn take(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.0.delay_ms.store(delay, Ordering::SeqCst);
    }

    /// From now on connects fail, or no longer.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.0.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Opens one.
    pub(crate) async fn connect(&self) -> Result<Connection, Refused> {
        let delay = self.begin();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        self.end()
    }

    /// The same for a pool that connects on threads of its own.
    pub(crate) fn connect_blocking(&self) -> Result<Connection, Refused> {
        let delay = self.begin();
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        self.end()
    }

    /// Counts the connect and says how long it takes.
    fn begin(&self) -> Duration {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        Duration::from_millis(self.0.delay_ms.load(Ordering::SeqCst))
    }

    fn end(&self) -> Result<Connection, Refused> {
        if self.0.refuses.load(Ordering::SeqCst) {
            return Err(Refused);
        }
        self.0.alive.fetch_add(1, Ordering::SeqCst);
        Ok(Connection(self.clone()))
    }

    /// Connects begun so far.
    pub(crate) fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::SeqCst)
    }

    /// Connects that led to nothing: given up on the way, or their connection dropped.
    pub(crate) fn thrown_away(&self) -> u64 {
        self.0.begun.load(Ordering::SeqCst) - self.0.alive.load(Ordering::SeqCst)
    }
}

/// A connection that does nothing.
#[derive(Debug)]
pub(crate) struct Connection(Connects);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// There is no connection to be had: the server refused, and the pool says so.
#[derive(Debug)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server refuses connections")
    }
}

impl Error for Refused {}
