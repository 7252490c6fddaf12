//! What a pool counts and measures.

mod buckets;
mod counters;
mod histogram;
mod history;
mod reason;
mod snapshot;
mod spread;
mod summary;
mod windows;

pub use self::buckets::Buckets;
pub(crate) use self::counters::{Counters, count, count_many};
pub(crate) use self::histogram::Histogram;
pub(crate) use self::history::{History, Sample};
pub use self::reason::{CloseReason, ClosedBy};
pub(crate) use self::snapshot::SnapshotCache;
pub use self::snapshot::{Holder, Snapshot, Stats};
use self::spread::Spread;
pub use self::summary::LatencySummary;
#[cfg(feature = "serde")]
pub(crate) use self::summary::seconds::serialize as serialize_seconds;
pub use self::windows::{Window, Windows};
