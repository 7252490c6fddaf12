//! What a pool counts and measures.

mod buckets;
mod counters;
mod histogram;
mod reason;
mod snapshot;
mod summary;

pub use self::buckets::Buckets;
pub(crate) use self::counters::{Counters, count, count_many};
pub(crate) use self::histogram::Histogram;
pub use self::reason::{CloseReason, ClosedBy};
pub(crate) use self::snapshot::SnapshotCache;
pub use self::snapshot::{Holder, Snapshot, Stats};
pub use self::summary::LatencySummary;
