//! Connections that lead nowhere: what is measured is the pool alone.
//!
//! A question yields to the runtime once, as a question to a real server does at least. Without that
//! a task that finds a connection idle would never let another one run.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pool_core::Manager;

use super::{QueryError, Workload};
use crate::report::Server;

/// Counts the connections that exist.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    open: Arc<AtomicUsize>,
}

/// A connection to nothing, counted while it exists.
#[derive(Debug)]
pub struct Nothing(Arc<AtomicUsize>);

impl Drop for Nothing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Manager for Memory {
    type Connection = Nothing;
    type Error = Infallible;

    async fn connect(&self) -> Result<Nothing, Infallible> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Nothing(Arc::clone(&self.open)))
    }

    async fn validate(&self, _: &mut Nothing) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Workload for Memory {
    type Manager = Self;

    fn manager(&self) -> Self {
        self.clone()
    }

    async fn query(&self, _: &mut Nothing, _: u64) -> Result<(), QueryError> {
        tokio::task::yield_now().await;
        Ok(())
    }

    fn open_now(&self) -> Option<usize> {
        Some(self.open.load(Ordering::Relaxed))
    }

    fn descriptors_per_connection(&self) -> usize {
        0
    }

    fn server(&self) -> Server {
        Server {
            name: "none".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            setup: "connections do nothing; a query yields to the runtime once".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_counted_while_they_exist() {
        let memory = Memory::default();
        let manager = memory.manager();
        let (one, two) = (manager.connect().await, manager.connect().await);
        assert_eq!(memory.open_now(), Some(2));
        drop((one, two));
        assert_eq!(memory.open_now(), Some(0));
    }
}
