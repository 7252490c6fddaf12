//! One request: a checkout, a question, an answer; timed and counted.

use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use pool_core::{Error, Manager, Pool, PooledConnection};

use crate::backend::Workload;
use crate::latency::Recorder;

/// What became of requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Requests that were answered.
    pub(super) answered: u64,
    /// Requests that failed otherwise than by a timeout of the checkout.
    pub(super) errors: u64,
    /// Checkouts that timed out.
    pub(super) timeouts: u64,
    /// What the first failure said.
    pub(super) first_failure: Option<String>,
}

impl Tally {
    /// Adds what another task counted.
    pub(super) fn merge(&mut self, other: Self) {
        self.answered += other.answered;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    /// A task ended by a panic: its request failed.
    pub(super) fn panicked(&mut self, panic: &tokio::task::JoinError) {
        self.failed(false, panic);
    }

    /// What was to be broken could not be mended.
    pub(super) fn broken(&mut self, error: &dyn std::fmt::Display) {
        self.failed(false, &format_args!("the chaos ended early: {error}"));
    }

    fn failed(&mut self, timeout: bool, message: &dyn std::fmt::Display) {
        *(if timeout {
            &mut self.timeouts
        } else {
            &mut self.errors
        }) += 1;
        self.first_failure
            .get_or_insert_with(|| message.to_string());
    }
}

/// Takes a connection and asks it a question, which is given up after `patience`. The connection is returned, still held, when it has
/// answered.
pub(super) async fn request<W: Workload>(
    pool: &Pool<W::Manager>,
    workload: &W,
    key: u64,
    patience: Option<Duration>,
    recorder: &Recorder,
    tally: &mut Tally,
) -> Option<PooledConnection<W::Manager>> {
    let (result, checkout, waited) = checkout(pool).await;
    let mut connection = match result {
        Ok(connection) => connection,
        Err(error) => {
            tally.failed(error.is_timeout(), &error);
            return None;
        }
    };
    let asked = Instant::now();
    let query = workload.query(&mut connection, key);
    let answer = match patience {
        Some(patience) => tokio::time::timeout(patience, query).await,
        None => Ok(query.await),
    };
    match answer {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tally.failed(false, &error);
            return None;
        }
        Err(too_long) => {
            tally.failed(false, &too_long);
            return None;
        }
    }
    recorder.record(checkout, waited, asked.elapsed());
    tally.answered += 1;
    Some(connection)
}

/// A checkout, how long it took, and whether it waited: whether its first poll found nothing.
async fn checkout<M: Manager>(
    pool: &Pool<M>,
) -> (Result<PooledConnection<M>, Error<M::Error>>, Duration, bool) {
    let mut waited = false;
    let began = Instant::now();
    let mut get = pin!(pool.get());
    let result = poll_fn(|context| {
        let found = get.as_mut().poll(context);
        waited |= found.is_pending();
        found
    })
    .await;
    (result, began.elapsed(), waited)
}
