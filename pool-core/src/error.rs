//! What can go wrong with a checkout.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::config::ConfigError;
use crate::stats::{Holder, Snapshot};

/// Why there is no connection; `E` is the manager's error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error<E: StdError + 'static> {
    /// No connection could be had in time.
    #[error(
        "timed out after {waited:.1?} {stage} in pool \"{}\": {snapshot}",
        snapshot.name
    )]
    #[non_exhaustive]
    Timeout {
        /// What was under way when the time was up.
        stage: Stage,
        /// How long the checkout took in all.
        waited: Duration,
        /// What the pool looked like.
        snapshot: Arc<Snapshot>,
    },
    /// As many checkouts wait as `max_waiting` allows.
    #[error("pool \"{}\" is overloaded: max_waiting reached: {snapshot}", snapshot.name)]
    #[non_exhaustive]
    Overloaded {
        /// What the pool looked like.
        snapshot: Arc<Snapshot>,
    },
    /// It waited for twice `shedding_target` in a queue that does not drain.
    #[error(
        "shed after {waited:.1?} of waiting: pool \"{}\" is overloaded: {snapshot}",
        snapshot.name
    )]
    #[non_exhaustive]
    Shed {
        /// How long the checkout waited.
        waited: Duration,
        /// What the pool looked like.
        snapshot: Arc<Snapshot>,
    },
    /// The task that asks holds a connection already: it could wait for itself (`nested_acquire`).
    #[error("the task that waits for a connection holds one already: {held}")]
    #[non_exhaustive]
    Nested {
        /// What it holds.
        held: Holder,
    },
    /// Connects fail, or the breaker was opened by hand, and no connection is left that could come
    /// back.
    #[error(
        "connects of pool \"{pool}\" fail (circuit breaker open, next attempt in {retry_after:.1?}): \
         {last_error}"
    )]
    #[non_exhaustive]
    CircuitOpen {
        /// The pool's name.
        pool: Arc<str>,
        /// When the pool tries the next connect, at the latest.
        ///
        /// After [`trip`](crate::BreakerHandle::trip) nothing is tried before a reset; it is then
        /// `breaker_open_time`, or 1 s without one.
        retry_after: Duration,
        /// Why the last one failed.
        last_error: Arc<str>,
    },
    /// The pool is paused, and checkouts are not to wait for its end.
    #[error("the pool is paused")]
    Paused,
    /// A connection could not be opened.
    #[error("cannot connect: {0}")]
    Connect(#[source] E),
    /// A connection was broken as soon as it was open: [`Condition::Broken`](crate::Condition).
    #[error("cannot connect: the connection was broken as soon as it was open")]
    Broken,
    /// One connection after another failed validation, more than the pool can have.
    #[error("no connection passes validation: {0}")]
    Validate(#[source] E),
    /// One connection after another could not be recycled, more than the pool can have.
    #[error("no connection can be recycled: {0}")]
    Recycle(#[source] E),
    /// One connection after another did not answer in time, more than the pool can have.
    #[error("no answer within {limit:.1?} {stage}")]
    #[non_exhaustive]
    Unanswered {
        /// What was asked.
        stage: Stage,
        /// The time limit for it.
        limit: Duration,
    },
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
    /// The settings break a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The manager panicked where an answer of its was needed.
    #[error("the manager panicked while {0}")]
    Panicked(Stage),
}

impl<E: StdError + 'static> Error<E> {
    /// Whether the time was up.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether the same call may succeed later: true for time-outs, overload and connections that
    /// failed, false for a closed pool, wrong settings and a task that could wait for itself.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Closed | Self::Config(_) | Self::Nested { .. })
    }
}

/// What a checkout was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// All connections were in use, or the pool was paused.
    Wait,
    /// A connection was being opened for it.
    Connect,
    /// A connection was being validated for it.
    Validate,
    /// A connection was being recycled for it.
    Recycle,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wait => "waiting for a connection",
            Self::Connect => "connecting",
            Self::Validate => "validating a connection",
            Self::Recycle => "recycling a connection",
        })
    }
}
