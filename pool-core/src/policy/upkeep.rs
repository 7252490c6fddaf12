//! How long a connection lives, and what an idle one is due for.

use crate::config::{PoolConfig, Shedding, Validation};
use crate::inner::clock::{Nanos, nanos};
use crate::inner::record::{CONDEMNED, Record};
use crate::stats::CloseReason;

/// The limits of one connection's life, as a pool's settings give them.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    max_lifetime: Nanos,
    lifetime_jitter: f64,
    idle_timeout: Nanos,
    max_uses: u64,
    keepalive: Nanos,
    /// A connection idle for this long is validated before it is handed out.
    pub(crate) trusted_for: Nanos,
    leak_threshold: Nanos,
    pub(crate) reclaim_threshold: Nanos,
    /// One of so many uses is timed in any case.
    pub(crate) sampled_every: u32,
    /// How fine the coarse time is: a tenth of the shortest period or half the target of shedding,
    /// from 1 to 100 ms.
    pub(crate) tick: Nanos,
}

/// What an idle connection is due for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    /// To be closed, though the pool then has fewer than it should.
    Retire(CloseReason),
    /// To be closed if the pool has more than it needs.
    RetireIfSpare,
}

const NEVER: Nanos = Nanos::MAX;

impl Limits {
    pub(crate) fn new(config: &PoolConfig) -> Self {
        let limit = |setting: Option<std::time::Duration>| setting.map_or(NEVER, nanos);
        let shedding_pause = match config.shedding {
            Shedding::Off => NEVER,
            Shedding::Observe | Shedding::On => nanos(config.shedding_target) / 2,
        };
        let mut limits = Self {
            max_lifetime: limit(config.max_lifetime),
            lifetime_jitter: config.lifetime_jitter,
            idle_timeout: limit(config.idle_timeout),
            max_uses: config.max_uses.unwrap_or(u64::MAX),
            keepalive: limit(config.keepalive),
            trusted_for: match config.validation {
                Validation::Always => 0,
                Validation::WhenIdleFor(window) => nanos(window),
                Validation::Never => NEVER,
            },
            leak_threshold: limit(config.leak_threshold),
            reclaim_threshold: limit(config.reclaim_threshold),
            sampled_every: if config.leak_backtraces > 0.0 { 1 } else { 64 },
            tick: 0,
        };
        let tenth = limits.shortest().min(limits.trusted_for.max(1)) / 10;
        limits.tick = tenth.min(shedding_pause).clamp(1_000_000, 100_000_000);
        limits
    }

    /// When a connection opened `now` is too old; `unit` is the jitter, from 0 to 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a time; years are exact to the microsecond"
    )]
    pub(crate) fn expiry(&self, now: Nanos, unit: f64) -> Nanos {
        if self.max_lifetime == NEVER {
            return NEVER;
        }
        let earlier = self.max_lifetime as f64 * self.lifetime_jitter * unit;
        now.saturating_add(self.max_lifetime - (earlier as Nanos).min(self.max_lifetime))
    }

    /// Why a connection must not be used again, if so.
    #[inline]
    pub(crate) fn worn(&self, record: &Record, generation: u32, now: Nanos) -> Option<CloseReason> {
        if record.generation != generation {
            Some(CloseReason::Generation)
        } else if record.expires_at() <= now {
            Some(CloseReason::MaxLifetime)
        } else if record.uses() >= self.max_uses {
            Some(CloseReason::MaxUses)
        } else {
            None
        }
    }

    /// What a connection is due for that is idle since `idle_since`.
    pub(crate) fn due(
        &self,
        record: &Record,
        generation: u32,
        idle_since: Nanos,
        now: Nanos,
    ) -> Due {
        if let Some(reason) = self.worn(record, generation, now) {
            Due::Retire(reason)
        } else if idle_since.saturating_add(self.idle_timeout) <= now {
            Due::RetireIfSpare
        } else if self.next_ping(record) <= now {
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    /// Until when an idle connection may stay silent.
    pub(crate) fn next_ping(&self, record: &Record) -> Nanos {
        record.unproved_since().saturating_add(self.keepalive)
    }

    /// When that connection is due for something next, after `now`.
    pub(crate) fn next_due(&self, record: &Record, idle_since: Nanos, now: Nanos) -> Nanos {
        let times = [
            record.expires_at(),
            idle_since.saturating_add(self.idle_timeout),
            self.next_ping(record),
        ];
        times
            .into_iter()
            .filter(|at| *at > now)
            .min()
            .unwrap_or(NEVER)
    }

    /// When a connection that is held since `since` counts as leaked.
    pub(crate) fn leaked_at(&self, record: &Record, since: Nanos) -> Nanos {
        since
            .saturating_add(self.leak_threshold)
            .max(record.allowed_until())
    }

    /// From when on a connection needs a successor, if the pool cannot do without it.
    pub(crate) fn succession_at(&self, record: &Record) -> Nanos {
        match record.expires_at() {
            // One that was condemned gives its slot to another anyway.
            NEVER | CONDEMNED => NEVER,
            expires_at => expires_at.saturating_sub(self.lead()),
        }
    }

    /// How long before its end a connection is replaced, when the pool cannot do without it.
    fn lead(&self) -> Nanos {
        const LONGEST: Nanos = 30_000_000_000;
        (self.max_lifetime / 20).min(LONGEST)
    }

    /// The shortest time after which a connection may be due for something.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a time; years are exact to the microsecond"
    )]
    pub(crate) fn shortest(&self) -> Nanos {
        let lifetime = match self.max_lifetime {
            NEVER => NEVER,
            // With all the jitter there can be, that is nothing; a look for each hundredth is enough.
            longest => ((longest as f64 * (1.0 - self.lifetime_jitter)) as Nanos)
                .saturating_sub(self.lead())
                .max(longest / 100),
        };
        [
            self.idle_timeout,
            self.keepalive,
            self.leak_threshold,
            self.reclaim_threshold,
        ]
        .into_iter()
        .fold(lifetime, Nanos::min)
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, Limits};
    use crate::config::PoolConfig;
    use crate::inner::record::{Phase, Record};
    use crate::stats::CloseReason;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn limits() -> Limits {
        Limits::new(&PoolConfig {
            max_lifetime: Some(Duration::from_secs(1000)),
            idle_timeout: Some(Duration::from_secs(100)),
            keepalive: Some(Duration::from_secs(10)),
            ..PoolConfig::default()
        })
    }

    fn idle(since: u64, limits: &Limits) -> Record {
        let record = Record::new(1, 0, 0);
        record.open(0, limits.expiry(0, 0.0));
        record.enter(Phase::Idle, since);
        record
    }

    #[test]
    fn the_jitter_shortens_a_lifetime_by_at_most_its_share() {
        let limits = limits();
        assert_eq!(limits.expiry(5, 0.0), 5 + 1000 * SECOND);
        assert_eq!(limits.expiry(0, 0.5), 950 * SECOND);
        assert!(limits.expiry(0, 0.999) >= 900 * SECOND);
    }

    #[test]
    fn a_connection_is_due_for_what_its_settings_say() {
        let limits = limits();
        let record = idle(0, &limits);
        assert_eq!(limits.due(&record, 0, 0, 9 * SECOND), Due::Nothing);
        assert_eq!(limits.next_due(&record, 0, 9 * SECOND), 10 * SECOND);
        assert_eq!(limits.due(&record, 0, 0, 10 * SECOND), Due::Ping);
        record.prove(10 * SECOND);
        assert_eq!(limits.due(&record, 0, 0, 19 * SECOND), Due::Nothing);
        assert_eq!(limits.due(&record, 0, 0, 100 * SECOND), Due::RetireIfSpare);
        let due = limits.due(&record, 0, 0, 1000 * SECOND);
        assert_eq!(due, Due::Retire(CloseReason::MaxLifetime));
        assert_eq!(
            limits.due(&record, 1, 0, 0),
            Due::Retire(CloseReason::Generation)
        );
    }

    #[test]
    fn a_successor_is_due_a_twentieth_of_the_lifetime_before_its_end_or_30_seconds() {
        let limits = limits();
        assert_eq!(limits.succession_at(&idle(0, &limits)), 970 * SECOND);
        let limits = Limits::new(&PoolConfig {
            max_lifetime: Some(Duration::from_secs(100)),
            ..PoolConfig::default()
        });
        assert_eq!(limits.succession_at(&idle(0, &limits)), 95 * SECOND);
    }

    #[test]
    fn a_lifetime_that_may_be_nothing_is_looked_at_a_hundred_times_and_no_more() {
        let limits = Limits::new(&PoolConfig {
            max_lifetime: Some(Duration::from_secs(1000)),
            lifetime_jitter: 1.0,
            ..PoolConfig::default()
        });
        assert_eq!(limits.shortest(), 10 * SECOND);
    }

    #[test]
    fn limits_that_are_off_are_never_reached() {
        let limits = Limits::new(&PoolConfig {
            max_lifetime: None,
            idle_timeout: None,
            keepalive: None,
            max_uses: None,
            leak_threshold: None,
            ..PoolConfig::default()
        });
        let record = idle(0, &limits);
        assert_eq!(limits.due(&record, 0, 0, u64::MAX - 2), Due::Nothing);
        assert_eq!(limits.next_due(&record, 0, 0), u64::MAX);
        assert_eq!(
            (limits.shortest(), limits.succession_at(&record)),
            (u64::MAX, u64::MAX)
        );
    }
}
