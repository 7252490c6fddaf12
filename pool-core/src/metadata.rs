//! What is known of one pooled connection.

use std::time::Duration;

use crate::inner::entry::Entry;
use crate::inner::{Inner, between};
use crate::manager::Manager;

/// What the pool knows of a connection, as it was when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Its number within the pool, counted from 1 and never used again.
    pub id: u64,
    /// How long ago it was opened.
    pub age: Duration,
    /// How many checkouts it has served, the present one included.
    pub uses: u64,
    /// How long it has been idle; zero while it is held.
    pub idle_for: Duration,
    /// The pool's generation ([`Stats::generation`](crate::Stats)) when its connect began.
    pub generation: u64,
}

impl Metadata {
    pub(crate) fn of<M: Manager>(entry: &Entry<M>, inner: &Inner<M>) -> Self {
        use crate::inner::record::Phase;

        let record = &entry.slot.record;
        let now = inner.dial.clock.exact();
        let idle_for = match record.phase() {
            (Phase::Idle, since) => between(since, now),
            _ => Duration::ZERO,
        };
        Self {
            id: record.id,
            age: between(record.opened_at(), now),
            uses: record.uses(),
            idle_for,
            generation: record.generation.into(),
        }
    }
}
