//! The book of connects: who came when, got through when, and left when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One connect that reached the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connect {
    /// When it came.
    pub attempted: Instant,
    /// When the server took it; `None`: not, or not yet.
    pub accepted: Option<Instant>,
    /// When it ended, on either side or by a fault.
    pub closed: Option<Instant>,
}

impl Connect {
    /// Whether it goes through to the server now.
    pub fn is_open(&self) -> bool {
        self.accepted.is_some() && self.closed.is_none()
    }
}

/// All connects. The relay of a connect is the only one to write to its entry.
#[derive(Debug, Default)]
pub(super) struct Connects {
    entries: Mutex<Vec<Connect>>,
}

impl Connects {
    /// Enters a connect; its number.
    pub(super) fn attempted(&self) -> usize {
        let mut entries = self.entries();
        entries.push(Connect {
            attempted: Instant::now(),
            accepted: None,
            closed: None,
        });
        entries.len() - 1
    }

    pub(super) fn accepted(&self, number: usize) {
        if let Some(entry) = self.entries().get_mut(number) {
            entry.accepted = Some(Instant::now());
        }
    }

    pub(super) fn closed(&self, number: usize) {
        if let Some(entry) = self.entries().get_mut(number) {
            entry.closed = Some(Instant::now());
        }
    }

    pub(super) fn all(&self) -> Vec<Connect> {
        self.entries().clone()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Connect>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
