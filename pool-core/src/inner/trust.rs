//! Whether a connect proves anything: a server, or a proxy before one, may log in whom it does not
//! answer.
//!
//! One failed validation is a matter of the connections of that age, which are replaced. When one
//! that was opened after that fails too, and none has passed in between, new connections are no
//! better: from then on each is validated as a part of its connect, until one passes. So connects
//! fail that give nothing usable, and are paced and told of like any others. Whether recycling works
//! at all is seen the same way ([`recycling`](super::recycling)).

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::clock::Nanos;

/// None has failed since one has succeeded.
const NONE: Nanos = Nanos::MAX;

/// The trust in what is done to new connections; what two threads note at the same moment may count
/// as either.
#[derive(Debug)]
pub(crate) struct Trust {
    /// When it first failed since it has succeeded.
    failed: AtomicU64,
    is_lost: AtomicBool,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            failed: AtomicU64::new(NONE),
            is_lost: AtomicBool::new(false),
        }
    }
}

impl Trust {
    /// Whether new connections are no better than those before.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Relaxed)
    }

    /// It has failed for a connection that was opened then.
    pub(crate) fn note_failure(&self, opened_at: Nanos, now: Nanos) {
        match self.failed.load(Relaxed) {
            NONE => self.failed.store(now, Relaxed),
            before if before < opened_at => self.is_lost.store(true, Relaxed),
            _ => {}
        }
    }

    /// It has succeeded for a connection.
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
        let trust = Trust::default();
        trust.note_failure(1, 3);
        trust.note_failure(3, 4);
        assert!(!trust.is_lost(), "it was open when the first failed");
        trust.note_failure(4, 5);
        assert!(trust.is_lost());
        trust.note_answer();
        assert!(!trust.is_lost());
        trust.note_failure(4, 6);
        trust.note_answer();
        trust.note_failure(7, 8);
        assert!(!trust.is_lost(), "one has passed in between");
    }
}
