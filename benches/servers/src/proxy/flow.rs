//! What happens to data on their way: one fault at a time, the same for every connection.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};

/// The fault in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Forward,
    Delay(Duration),
    BlackHole,
    /// The round, from 1, tells one order from an equal one before it: each counts anew.
    DropAfter {
        bytes: u64,
        round: u64,
    },
}

/// Waits until data that came now may go on under the fault in force, whichever that becomes.
pub(super) async fn pass(flow: &mut watch::Receiver<Flow>) {
    let came = Instant::now();
    loop {
        let now = *flow.borrow_and_update();
        let change = match now {
            Flow::Forward | Flow::DropAfter { .. } => return,
            Flow::BlackHole => flow.changed().await,
            Flow::Delay(delay) => match time::timeout_at(came + delay, flow.changed()).await {
                Ok(change) => change,
                Err(_passed) => return,
            },
        };
        // The proxy is gone, and with it every relay.
        if change.is_err() {
            return;
        }
    }
}

/// How much of the answers may still pass on one connection.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    round: u64,
    left: u64,
}

impl Allowance {
    /// How many of `length` bytes may pass; fewer than `length`: the connection ends after them.
    pub(super) fn take(&mut self, flow: Flow, length: usize) -> usize {
        let Flow::DropAfter { bytes, round } = flow else {
            return length;
        };
        if self.round != round {
            *self = Self { round, left: bytes };
        }
        let taken = length.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= taken as u64;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_over_several_pieces() {
        let flow = Flow::DropAfter {
            bytes: 10,
            round: 1,
        };
        let mut allowance = Allowance::default();
        assert_eq!(
            [6, 6, 6].map(|length| allowance.take(flow, length)),
            [6, 4, 0]
        );
    }

    #[test]
    fn each_order_counts_anew() {
        let mut allowance = Allowance::default();
        assert_eq!(allowance.take(Flow::DropAfter { bytes: 3, round: 1 }, 3), 3);
        assert_eq!(allowance.take(Flow::DropAfter { bytes: 3, round: 2 }, 3), 3);
        assert_eq!(allowance.take(Flow::Forward, 100), 100);
    }
}
