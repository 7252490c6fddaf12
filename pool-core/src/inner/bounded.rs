//! Runs code of a manager so that it can do no harm: a time limit, and panics caught.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Why code of a manager came to nothing.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// It returned this error.
    Failed(E),
    /// It took longer than this.
    TimedOut(Duration),
    /// It panicked.
    Panicked,
    /// What it made was broken at once.
    Broken,
    /// What it made did not pass its validation, for this reason.
    Rejected(Box<Failure<E>>),
    /// The pool was closed meanwhile.
    Closed,
}

impl<E: std::fmt::Display> std::fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "no answer within {limit:.1?}"),
            Self::Panicked => f.write_str("the manager panicked"),
            Self::Broken => f.write_str("the connection was broken as soon as it was open"),
            Self::Rejected(why) => write!(f, "the new connection failed its validation: {why}"),
            Self::Closed => f.write_str("the pool is closed"),
        }
    }
}

impl<E: std::fmt::Display> Failure<E> {
    /// What it says of itself, even if the manager's error cannot.
    pub(crate) fn told(&self) -> String {
        caught_now(|| self.to_string()).unwrap_or_else(|| "an error that panics".to_owned())
    }
}

/// Runs `work` to its end, for at most `limit`; it may panic, also when it is given up.
pub(crate) async fn bounded<T, E>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure<E>> {
    let mut work = pin!(Some(work));
    let running = caught(work.as_mut().as_pin_mut().expect("it was put there"));
    let outcome = match limit {
        None => running.await.ok_or(Failure::Panicked),
        Some(limit) => match tokio::time::timeout(limit, running).await {
            Ok(outcome) => outcome.ok_or(Failure::Panicked),
            Err(_) => Err(Failure::TimedOut(limit)),
        },
    };
    let _its_end = caught_now(|| work.set(None));
    outcome?.map_err(Failure::Failed)
}

/// Runs `work`; `None` if it panics.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Some(done)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// Calls `work`; `None` if it panics.
#[inline]
pub(crate) fn caught_now<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
