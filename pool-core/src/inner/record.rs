//! What everybody may know of a connection while one owns it: its record.
//!
//! A record has one writer at a time, whoever owns the connection, and many readers: statistics,
//! the keeper, the report of a shutdown. So its fields are atomics that are loaded and stored,
//! never modified in place, and cost a checkout no more than plain memory. Readers see each field
//! as it was at some recent moment; no field guards another, but that a use is counted after it is
//! held.

use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

use crossbeam_utils::atomic::AtomicCell;
use tokio::task;

use super::clock::Nanos;
use crate::manager::Interrupter;

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is being connected.
    Opening = 0,
    /// It waits in the pool.
    Idle = 1,
    /// A caller holds it.
    Held = 2,
    /// The pool is busy with it: validates, recycles or closes it.
    Busy = 3,
}

/// The record of one connection.
pub(crate) struct Record {
    pub(crate) id: u64,
    /// The pool's generation when its connect began.
    pub(crate) generation: u32,
    /// Where the record is in the registry; guarded by the registry's lock.
    pub(crate) index: AtomicU32,
    /// When it entered its phase, in nanoseconds, shifted by two, and the phase below.
    since: AtomicU64,
    opened_at: AtomicU64,
    /// When its lifetime ends; [`Nanos::MAX`] for never.
    expires_at: AtomicU64,
    /// When it last proved to work while idle.
    proved_at: AtomicU64,
    /// How many checkouts it has served.
    uses: AtomicU64,
    /// Where it was last checked out.
    site: AtomicCell<Option<&'static Location<'static>>>,
    /// The task that checked it out last, if it was one.
    task: AtomicCell<Option<task::Id>>,
    /// The use that has been reported as a leak; of its number the low half, as below.
    reported_use: AtomicU32,
    /// The use whose holder has said how long it takes, and until when.
    allowed_use: AtomicU32,
    allowed_until: AtomicU64,
    interrupter: OnceLock<Box<Interrupter>>,
}

/// The end of the lifetime of a connection that is not to be used again in any case.
pub(crate) const CONDEMNED: Nanos = 0;

impl Record {
    pub(crate) fn new(id: u64, generation: u32, now: Nanos) -> Self {
        Self {
            id,
            generation,
            index: AtomicU32::new(0),
            since: AtomicU64::new(now << 2),
            opened_at: AtomicU64::new(0),
            expires_at: AtomicU64::new(Nanos::MAX),
            proved_at: AtomicU64::new(0),
            uses: AtomicU64::new(0),
            site: AtomicCell::new(None),
            task: AtomicCell::new(None),
            reported_use: AtomicU32::new(0),
            allowed_use: AtomicU32::new(0),
            allowed_until: AtomicU64::new(0),
            interrupter: OnceLock::new(),
        }
    }

    /// The connection is open.
    pub(crate) fn open(&self, now: Nanos, expires_at: Nanos) {
        self.opened_at.store(now, Relaxed);
        self.expires_at.store(expires_at, Relaxed);
        self.enter(Phase::Busy, now);
    }

    #[inline]
    pub(crate) fn enter(&self, phase: Phase, now: Nanos) {
        self.since.store(now << 2 | phase as u64, Relaxed);
    }

    /// A caller gets it: its phase, its use, the place of the checkout and its task.
    #[inline]
    pub(crate) fn check_out(&self, now: Nanos, site: &'static Location<'static>) {
        self.site.store(Some(site));
        self.task.store(task::try_id());
        self.enter(Phase::Held, now);
        // Pairs with `uses_and_phase`: a use that is counted is seen to be held, or to have ended.
        self.uses.store(self.uses.load(Relaxed) + 1, Release);
    }

    /// How many checkouts it has served, and its phase then or later: no use is taken for one that
    /// has ended before it has.
    pub(crate) fn uses_and_phase(&self) -> (u64, Phase) {
        // Pairs with `check_out`.
        let uses = self.uses.load(Acquire);
        (uses, self.phase().0)
    }

    /// The phase and since when.
    #[inline]
    pub(crate) fn phase(&self) -> (Phase, Nanos) {
        let since = self.since.load(Relaxed);
        let phase = match since & 3 {
            0 => Phase::Opening,
            1 => Phase::Idle,
            2 => Phase::Held,
            _ => Phase::Busy,
        };
        (phase, since >> 2)
    }

    /// Whether it goes from its connect to its first user, without having been idle for long.
    pub(crate) fn is_brand_new(&self, now: Nanos) -> bool {
        const NEW_FOR: Nanos = 1_000_000_000;
        self.uses() == 0
            && self.phase().0 == Phase::Busy
            && now.saturating_sub(self.opened_at()) < NEW_FOR
    }

    /// It has just answered.
    pub(crate) fn prove(&self, now: Nanos) {
        self.proved_at.store(now, Relaxed);
    }

    /// Since when an idle connection has not been seen to work.
    #[inline]
    pub(crate) fn unproved_since(&self) -> Nanos {
        self.phase().1.max(self.proved_at.load(Relaxed))
    }

    /// From now on it is too old, whoever holds it.
    pub(crate) fn condemn(&self) {
        self.expires_at.store(CONDEMNED, Relaxed);
    }

    pub(crate) fn is_condemned(&self) -> bool {
        self.expires_at.load(Relaxed) == CONDEMNED
    }

    /// Its holder has said that this use takes until then.
    pub(crate) fn allow_until(&self, at: Nanos) {
        self.allowed_until.store(at, Relaxed);
        self.allowed_use.store(self.this_use(), Relaxed);
    }

    /// Until when its holder has said that this use takes.
    pub(crate) fn allowed_until(&self) -> Nanos {
        if self.allowed_use.load(Relaxed) == self.this_use() {
            self.allowed_until.load(Relaxed)
        } else {
            0
        }
    }

    pub(crate) fn opened_at(&self) -> Nanos {
        self.opened_at.load(Relaxed)
    }

    #[inline]
    pub(crate) fn expires_at(&self) -> Nanos {
        self.expires_at.load(Relaxed)
    }

    #[inline]
    pub(crate) fn uses(&self) -> u64 {
        self.uses.load(Relaxed)
    }

    /// The low half of `uses`, to tell this use from the last.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only compared for equality"
    )]
    fn this_use(&self) -> u32 {
        self.uses() as u32
    }

    /// This use has been reported as a leak.
    pub(crate) fn note_report(&self) {
        self.reported_use.store(self.this_use(), Relaxed);
    }

    /// Whether this use has been reported as a leak.
    pub(crate) fn is_reported(&self) -> bool {
        self.reported_use.load(Relaxed) == self.this_use()
    }

    /// Whether the task that is running now holds it.
    pub(crate) fn is_held_by(&self, task: task::Id) -> bool {
        self.phase().0 == Phase::Held && self.task.load() == Some(task)
    }

    /// The connection can be interrupted so.
    pub(crate) fn set_interrupter(&self, interrupter: Interrupter) {
        let _first = self.interrupter.set(Box::new(interrupter));
    }

    pub(crate) fn interrupter(&self) -> Option<&Interrupter> {
        self.interrupter.get().map(Box::as_ref)
    }

    pub(crate) fn site(&self) -> Option<&'static Location<'static>> {
        self.site.load()
    }
}
