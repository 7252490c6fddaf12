//! Whether a connect proves anything: a server, or a proxy before one, may log in whom it does not
//! answer.
//!
//! One failed validation is a matter of the connections of that age, which are replaced. When one
//! that was opened after that fails too, and none has passed in between, new connections are no
//! better: from then on each is validated as a part of its connect, until one passes. So connects
//! fail that give nothing usable, and are paced and told of like any others.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// No validation has failed since one has passed.
const NONE: u64 = u64::MAX;

/// The trust in new connections; what two threads note at the same moment may count as either.
#[derive(Debug)]
pub(crate) struct Trust {
    /// The generation of the first connection whose validation has failed since one has passed.
    failed: AtomicU64,
    is_lost: AtomicBool,
}

impl Trust {
    pub(crate) fn new() -> Self {
        Self {
            failed: AtomicU64::new(NONE),
            is_lost: AtomicBool::new(false),
        }
    }

    /// Whether new connections are to be validated.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Relaxed)
    }

    /// A connection of this generation has failed its validation.
    pub(crate) fn note_failure(&self, generation: u32) {
        let generation = u64::from(generation);
        match self.failed.load(Relaxed) {
            NONE => self.failed.store(generation, Relaxed),
            before if before < generation => self.is_lost.store(true, Relaxed),
            _ => {}
        }
    }

    /// A connection has passed its validation.
    pub(crate) fn note_answer(&self) {
        // Hardly ever is there anything to write where all cores read.
        if self.failed.load(Relaxed) != NONE {
            self.failed.store(NONE, Relaxed);
            self.is_lost.store(false, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trust;

    #[test]
    fn trust_is_lost_when_a_younger_connection_fails_too_and_regained_when_one_passes() {
        let trust = Trust::new();
        trust.note_failure(3);
        trust.note_failure(3);
        assert!(!trust.is_lost(), "of the same age");
        trust.note_failure(4);
        assert!(trust.is_lost());
        trust.note_answer();
        assert!(!trust.is_lost());
        trust.note_failure(4);
        trust.note_answer();
        trust.note_failure(5);
        assert!(!trust.is_lost(), "one has passed in between");
    }
}
