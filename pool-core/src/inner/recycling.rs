//! Whether recycling works.
//!
//! One that fails costs its connection. When it fails for one that was opened after that too, and has
//! succeeded for none in between, the connections are not to blame: each use costs a connect, and will.
//! Health says so and the log says it once. Connects are neither distrusted nor paced for it: what they
//! give serves whoever gets it, and a validation would pass.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Inner;
use super::bounded::Failure;
use super::clock::Nanos;
use super::trust::Trust;
use crate::manager::Manager;

/// Where none has failed for so long, hardly any is done any more.
const TOLD_FOR: Nanos = 60_000_000_000;

/// How the recycling of one pool's connections goes.
#[derive(Debug, Default)]
pub(crate) struct Recycling {
    trust: Trust,
    /// Why one last failed, and when.
    last_failure: Mutex<Option<(String, Nanos)>>,
}

impl Recycling {
    fn last_failure(&self) -> MutexGuard<'_, Option<(String, Nanos)>> {
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it fails whatever the connection.
    pub(crate) fn is_failing(&self) -> bool {
        self.trust.is_lost()
    }

    /// Why it fails, if it does and has of late.
    pub(crate) fn failure(&self, now: Nanos) -> Option<String> {
        let last = self.last_failure();
        let (error, at) = last.as_ref().filter(|_| self.is_failing())?;
        (now.saturating_sub(*at) < TOLD_FOR).then(|| error.clone())
    }
}

impl<M: Manager> Inner<M> {
    /// A connection that was opened then has been recycled, or not.
    pub(super) fn note_recycling(&self, opened_at: Nanos, result: &Result<(), Failure<M::Error>>) {
        let recycling = &self.recycling;
        let was_failing = recycling.is_failing();
        let Err(failure) = result else {
            recycling.trust.note_answer();
            if was_failing {
                tracing::info!(pool = %self.name, "recycling succeeds again");
            }
            return;
        };
        let (error, now) = (failure.told(), self.dial.clock.exact());
        recycling.trust.note_failure(opened_at, now);
        if recycling.is_failing() && !was_failing {
            tracing::warn!(pool = %self.name, %error, "recycling fails: each use costs a connect");
        }
        *recycling.last_failure() = Some((error, now));
    }
}
