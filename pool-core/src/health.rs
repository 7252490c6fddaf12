//! Whether a pool can do its work, and if not, why: from what is known, without asking the server.
//!
//! | reason | status |
//! | --- | --- |
//! | the pool is closed | unhealthy |
//! | the pool is paused, and checkouts fail meanwhile | unhealthy |
//! | the pool is paused, and checkouts wait meanwhile | degraded |
//! | connects fail or the breaker is open, and no connection is left | unhealthy |
//! | the same, and for 20 s none was tried because nobody asks (`min_size` is 0) | degraded |
//! | connects fail, or the breaker is open | degraded |
//! | recycling fails, also of connections opened since it began to | degraded |
//! | checkouts wait while every connection is in use | degraded |
//! | a checkout has waited for longer than `slow_acquire_threshold`: connects hang, say | degraded |
//! | the queue does not drain ([`Shedding`](crate::Shedding)) | degraded |
//! | a connection is held past `leak_threshold`, and longer than its holder has said | degraded |

use std::fmt;
use std::time::Duration;

use crate::inner::exchange::WhilePaused;
use crate::policy::backoff;
use crate::policy::breaker::BreakerState;
use crate::stats::{Holder, Stats};

/// Longer than any pause between two attempts: a pool that has made none for so long leaves it to the next
/// checkout.
const LONGEST_PAUSE: Duration = Duration::from_secs(backoff::CAP.as_secs() + 4);

/// How a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum HealthStatus {
    /// It works.
    #[default]
    Healthy,
    /// It works, and somebody should look at it.
    Degraded,
    /// It cannot serve.
    Unhealthy,
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// The health of a pool: a status, why, and the figures it was judged by.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Health {
    /// The worst that the reasons say.
    pub status: HealthStatus,
    /// Why it is not healthy, each in a sentence; empty when it is.
    pub reasons: Vec<String>,
    /// The figures.
    pub stats: Stats,
    /// Why a connect last failed, and how long ago; also if others have succeeded since.
    pub last_connect_error: Option<ConnectFailure>,
}

impl Health {
    /// Whether a request can be served: anything but unhealthy. For readiness probes; a process
    /// whose pool is not ready need not be restarted.
    pub fn is_ready(&self) -> bool {
        self.status != HealthStatus::Unhealthy
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for (number, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if number == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

/// A connect that failed.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConnectFailure {
    /// Why, in the words of the manager's error.
    pub error: String,
    /// How long ago.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::stats::serialize_seconds")
    )]
    pub ago: Duration,
}

/// What health is judged by.
pub(crate) struct Signs {
    pub(crate) stats: Stats,
    pub(crate) is_closed: bool,
    pub(crate) paused: Option<WhilePaused>,
    pub(crate) breaker: BreakerState,
    /// Whether connects fail, or the pool makes do with less than those need who wait.
    pub(crate) is_failing: bool,
    pub(crate) last_connect_error: Option<ConnectFailure>,
    /// Why recycling fails, if it does whatever the connection.
    pub(crate) recycle_error: Option<String>,
    /// How long a checkout may wait before that is worth a word.
    pub(crate) slow_after: Option<Duration>,
    /// Who has held a connection past the threshold, and longer than was said.
    pub(crate) overdue: Vec<Holder>,
}

/// Judges.
pub(crate) fn judge(signs: Signs) -> Health {
    let Signs {
        stats,
        is_closed,
        paused,
        breaker,
        is_failing,
        last_connect_error,
        recycle_error,
        slow_after,
        overdue,
    } = signs;
    let mut health = Health {
        status: HealthStatus::Healthy,
        reasons: Vec::new(),
        stats,
        last_connect_error,
    };
    let mut found = |status: HealthStatus, reason: String| {
        health.status = health.status.max(status);
        health.reasons.push(reason);
    };
    if is_closed {
        found(HealthStatus::Unhealthy, "the pool is closed".to_owned());
    }
    if let Some(meanwhile) = paused {
        let status = match meanwhile {
            WhilePaused::Wait => HealthStatus::Degraded,
            WhilePaused::Fail => HealthStatus::Unhealthy,
        };
        found(status, "the pool is paused".to_owned());
    }
    // Who is not ready gets no requests. Where only a request makes the pool try again, it would stay so.
    let last = health.last_connect_error.as_ref();
    let is_trying = stats.opening > 0
        || last.is_some_and(|failure| failure.ago < LONGEST_PAUSE)
        || breaker == BreakerState::ForcedOpen;
    let cannot_connect = if stats.idle + stats.active == 0 && is_trying {
        HealthStatus::Unhealthy
    } else {
        HealthStatus::Degraded
    };
    if breaker.is_open() {
        found(cannot_connect, format!("the circuit breaker is {breaker}"));
    }
    let failure = health.last_connect_error.as_ref().filter(|_| is_failing);
    if let Some(ConnectFailure { error, .. }) = failure {
        found(cannot_connect, format!("connects fail: {error}"));
    }
    if let Some(error) = recycle_error {
        found(
            HealthStatus::Degraded,
            format!("recycling fails, so each use costs a connect: {error}"),
        );
    }
    if stats.waiting > 0 && stats.active >= stats.max_size {
        let Stats {
            waiting, max_size, ..
        } = stats;
        found(
            HealthStatus::Degraded,
            format!("all {max_size} connections are in use and {waiting} checkouts wait"),
        );
    } else if slow_after.is_some_and(|limit| stats.oldest_waiter > limit) {
        let Stats {
            waiting,
            oldest_waiter,
            opening,
            ..
        } = stats;
        found(
            HealthStatus::Degraded,
            format!(
                "{waiting} checkouts wait, the oldest for {oldest_waiter:.1?}, and {opening} \
                 connections are being opened"
            ),
        );
    }
    if stats.overloaded {
        found(
            HealthStatus::Degraded,
            format!(
                "overloaded: the queue does not drain, {} checkouts were shed",
                stats.shed
            ),
        );
    }
    for holder in overdue {
        found(
            HealthStatus::Degraded,
            format!("a connection is held for long by {holder}"),
        );
    }
    health
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ConnectFailure, HealthStatus, Signs, judge};
    use crate::policy::breaker::BreakerState;
    use crate::stats::Stats;

    fn signs() -> Signs {
        Signs {
            stats: Stats {
                max_size: 2,
                idle: 1,
                total: 1,
                ..Stats::default()
            },
            is_closed: false,
            paused: None,
            breaker: BreakerState::Closed,
            is_failing: false,
            last_connect_error: None,
            recycle_error: None,
            slow_after: None,
            overdue: Vec::new(),
        }
    }

    #[test]
    fn a_pool_without_a_reason_is_healthy() {
        let health = judge(signs());
        assert_eq!(
            (health.status, health.reasons.len()),
            (HealthStatus::Healthy, 0)
        );
    }

    #[test]
    fn failing_connects_degrade_a_pool_that_still_has_a_connection() {
        let failing = Signs {
            is_failing: true,
            last_connect_error: Some(ConnectFailure {
                error: "refused".into(),
                ago: Duration::ZERO,
            }),
            ..signs()
        };
        let health = judge(failing);
        assert!(health.is_ready());
        assert_eq!(health.to_string(), "degraded: connects fail: refused");
    }

    #[test]
    fn a_pool_without_connections_whose_breaker_is_open_is_unhealthy() {
        let mut open = Signs {
            breaker: BreakerState::Open,
            ..signs()
        };
        (open.stats.idle, open.stats.opening) = (0, 1);
        let health = judge(open);
        assert!(!health.is_ready());
        assert_eq!(health.to_string(), "unhealthy: the circuit breaker is open");
    }

    #[test]
    fn an_exhausted_pool_with_waiters_is_degraded() {
        let mut exhausted = signs();
        (exhausted.stats.active, exhausted.stats.waiting) = (2, 7);
        let health = judge(exhausted);
        assert_eq!(health.status, HealthStatus::Degraded);
        assert!(health.reasons[0].contains("7 checkouts wait"));
    }

    #[test]
    fn a_closed_pool_is_unhealthy() {
        let health = judge(Signs {
            is_closed: true,
            ..signs()
        });
        assert_eq!(health.status, HealthStatus::Unhealthy);
    }
}
