//! The circuit breaker in the hands of an operator.

use std::fmt;
use std::sync::Arc;

use crate::inner::Inner;
use crate::manager::Manager;
use crate::policy::breaker::{Breaker, BreakerState};

/// A pool's circuit breaker.
///
/// It guards connects only: connections that exist keep serving while it is open. Who finds none
/// idle while it is open waits for those that are held, and is told at once
/// ([`Error::CircuitOpen`](crate::Error::CircuitOpen)) when there are none.
pub struct BreakerHandle<M: Manager> {
    inner: Arc<Inner<M>>,
}

impl<M: Manager> BreakerHandle<M> {
    pub(crate) fn new(inner: Arc<Inner<M>>) -> Self {
        Self { inner }
    }

    /// What it is doing.
    pub fn state(&self) -> BreakerState {
        self.inner.connecting.breaker_state()
    }

    /// Closes it: the failures are forgotten, and what is missing is connected at once. One that
    /// is switched off by `breaker_threshold` 0 stays so.
    pub fn reset(&self) {
        self.inner.change_breaker(Breaker::reset);
    }

    /// Opens it until it is [`reset`](Self::reset): no connect begins, not even a probe.
    pub fn trip(&self) {
        self.inner.change_breaker(Breaker::trip);
    }

    /// Switches it off until it is [`reset`](Self::reset): it does not open whatever fails.
    pub fn disable(&self) {
        self.inner.change_breaker(Breaker::disable);
    }
}

impl<M: Manager> fmt::Debug for BreakerHandle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerHandle")
            .field("state", &self.state())
            .finish()
    }
}
