//! The records of all connections of a pool, and what the closed ones left behind.
//!
//! Its lock is taken when a connection begins to open and when it is gone, and by readers of
//! statistics; never by a checkout. A snapshot is one pass over the records under it, so each
//! connection is counted once and the parts add up to the whole.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::clock::Nanos;
use super::record::{Phase, Record};

/// The index of a record that has been removed.
const REMOVED: u32 = u32::MAX;

/// All records of a pool.
#[derive(Default)]
pub(crate) struct Registry {
    records: Vec<Arc<Record>>,
    /// Those that count no more, though somebody holds them.
    reclaimed: Vec<Arc<Record>>,
    next_id: u64,
    /// Checkouts served by connections that are gone.
    past_uses: u64,
    /// The most uses that were seen to have ended.
    most_released: u64,
}

/// The sums of one pass over the records.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) opening: usize,
    pub(crate) idle: usize,
    pub(crate) held: usize,
    pub(crate) busy: usize,
    pub(crate) uses: u64,
    /// Uses that have ended; never fewer than in an earlier pass, though a checkout that goes on
    /// during a pass may be seen as held before its use is.
    pub(crate) released: u64,
}

fn index(position: usize) -> u32 {
    u32::try_from(position).expect("a million connections are the most a pool may have")
}

impl Registry {
    pub(crate) fn register(&mut self, generation: u32, now: Nanos) -> Arc<Record> {
        self.next_id += 1;
        let record = Arc::new(Record::new(self.next_id, generation, now));
        record.index.store(index(self.records.len()), Relaxed);
        self.records.push(Arc::clone(&record));
        record
    }

    /// Counts a record no more whose holder keeps its connection; false when it was removed before.
    pub(crate) fn reclaim(&mut self, record: &Record) -> bool {
        let index = record.index.load(Relaxed) as usize;
        let Some(reclaimed) = self.records.get(index).map(Arc::clone) else {
            return false;
        };
        self.remove(record);
        self.reclaimed.push(reclaimed);
        true
    }

    /// Removes a record; false when it was removed or reclaimed before.
    pub(crate) fn remove(&mut self, record: &Record) -> bool {
        let removed = record.index.swap(REMOVED, Relaxed);
        if removed == REMOVED {
            self.reclaimed.retain(|reclaimed| reclaimed.id != record.id);
            return false;
        }
        let index = removed as usize;
        self.past_uses += record.uses();
        self.records.swap_remove(index);
        if let Some(moved) = self.records.get(index) {
            moved.index.store(removed, Relaxed);
        }
        // A pool that has shrunk gives the memory back.
        if self.records.len() * 4 < self.records.capacity() {
            self.records.shrink_to(self.records.len() * 2);
        }
        true
    }

    /// Whether a record has not been removed.
    #[expect(
        clippy::unused_self,
        reason = "the index is guarded by the registry's lock"
    )]
    pub(crate) fn contains(&self, record: &Record) -> bool {
        record.index.load(Relaxed) != REMOVED
    }

    /// Those that count.
    pub(crate) fn records(&self) -> &[Arc<Record>] {
        &self.records
    }

    /// All of connections that are not closed.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter().chain(&self.reclaimed)
    }

    pub(crate) fn census(&mut self) -> Census {
        let mut census = Census {
            uses: self.past_uses,
            ..Census::default()
        };
        for record in &self.records {
            let (uses, phase) = record.uses_and_phase();
            census.uses += uses;
            match phase {
                Phase::Opening => census.opening += 1,
                Phase::Idle => census.idle += 1,
                Phase::Held => census.held += 1,
                Phase::Busy => census.busy += 1,
            }
        }
        let released = census.uses.saturating_sub(census.held as u64);
        self.most_released = self.most_released.max(released);
        census.released = self.most_released;
        census
    }
}

#[cfg(test)]
mod tests {
    use super::{Census, Registry};
    use crate::inner::record::Phase;
    use std::panic::Location;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::SeqCst;

    #[test]
    fn each_connection_is_counted_in_one_phase() {
        let mut registry = Registry::default();
        let records: Vec<_> = (0..4).map(|_| registry.register(0, 0)).collect();
        records[1].enter(Phase::Idle, 1);
        records[2].check_out(1, Location::caller());
        records[3].enter(Phase::Busy, 1);
        let expected = Census {
            opening: 1,
            idle: 1,
            held: 1,
            busy: 1,
            uses: 1,
            released: 0,
        };
        assert_eq!(registry.census(), expected);
    }

    #[test]
    fn what_is_reclaimed_counts_no_more_and_is_there_until_it_is_removed() {
        let mut registry = Registry::default();
        let records: Vec<_> = (0..3).map(|_| registry.register(0, 0)).collect();
        assert!(registry.reclaim(&records[1]));
        assert!(!registry.reclaim(&records[1]), "it was before");
        assert_eq!((registry.records().len(), registry.all().count()), (2, 3));
        assert!(!registry.remove(&records[1]));
        assert!(registry.remove(&records[2]));
        let left: Vec<_> = registry.all().map(|record| record.id).collect();
        assert_eq!(left, [records[0].id]);
    }

    #[test]
    fn uses_outlive_the_connection_and_removal_finds_the_right_one() {
        let mut registry = Registry::default();
        let records: Vec<_> = (0..3).map(|_| registry.register(0, 0)).collect();
        records[0].check_out(1, Location::caller());
        registry.remove(&records[0]);
        registry.remove(&records[2]);
        assert_eq!(registry.records().len(), 1);
        assert_eq!(registry.records()[0].id, records[1].id);
        assert_eq!(registry.census().uses, 1);
    }

    #[test]
    fn what_is_released_never_goes_down_and_is_never_seen_before_it_is() {
        const USES: u64 = if cfg!(miri) { 100 } else { 300_000 };
        let mut registry = Registry::default();
        let record = registry.register(0, 0);
        let returns = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..USES {
                    record.check_out(1, Location::caller());
                    returns.fetch_add(1, SeqCst);
                    record.enter(Phase::Idle, 1);
                }
            });
            let mut last = 0;
            while last < USES {
                let released = registry.census().released;
                assert!(released >= last, "{released} after {last}");
                assert!(released <= returns.load(SeqCst), "{released} too early");
                last = released;
            }
        });
    }
}
