//! Waiting in tests for what happens by itself: look again and again, and give up with words.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a machine that does much else; a test that passes never waits so
/// long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks every millisecond until `condition` holds, and leaves the runtime free in between.
///
/// # Panics
///
/// When it does not hold within `patience`.
pub async fn until(patience: Duration, mut condition: impl FnMut() -> bool) {
    let holds = tokio::time::timeout(patience, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(holds.await.is_ok(), "not within {patience:?}");
}

/// Looks every millisecond until `happened`, for at most ten seconds.
///
/// # Panics
///
/// When it has not happened by then; the message names `what`.
#[track_caller]
pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
