//! The servers of one config, and the order in which they are tried.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::config::LoadBalanceHosts;

use crate::config::PgConfig;
use crate::target::Target;

/// How long a server that could not be reached is tried last.
const REST: Duration = Duration::from_secs(30);

/// What each of several servers may take, unless the config says: one that swallows all packets must
/// leave time for the next within the pool's `connect_timeout`.
const LIMIT: Duration = Duration::from_secs(3);

pub(crate) struct Hosts {
    targets: Vec<Target>,
    /// When each failed last.
    failed: Mutex<Vec<Option<Instant>>>,
    shuffles: bool,
    limit: Option<Duration>,
}

impl Hosts {
    pub(crate) fn new(config: &PgConfig) -> Self {
        let targets = Target::all(config);
        let limit = config.driver.get_connect_timeout().copied();
        Self {
            failed: Mutex::new(vec![None; targets.len()]),
            shuffles: config.driver.get_load_balance_hosts() == LoadBalanceHosts::Random,
            limit: limit.or((targets.len() > 1).then_some(LIMIT)),
            targets,
        }
    }

    /// How long one server may take to connect to and log in, if not as long as the pool allows.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// All, with their places: as configured, or shuffled; who failed lately comes last.
    pub(crate) fn in_order(&self) -> Vec<(usize, &Target)> {
        let mut order: Vec<_> = self.targets.iter().enumerate().collect();
        if self.shuffles {
            let chance = RandomState::new();
            order.sort_by_key(|(place, _)| chance.hash_one(place));
        }
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        order.sort_by_key(|&(place, _)| failed[place].is_some_and(|at| at.elapsed() < REST));
        order
    }

    /// Notes whether the server at `place` could be reached.
    pub(crate) fn note(&self, place: usize, reached: bool) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed[place] = (!reached).then(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(hosts: &Hosts) -> Vec<usize> {
        hosts.in_order().iter().map(|(place, _)| *place).collect()
    }

    fn hosts(text: &str) -> Hosts {
        Hosts::new(&text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn who_failed_lately_comes_last_until_it_has_rested() {
        let hosts = hosts("postgres://a,b,c/db");
        hosts.note(0, false);
        assert_eq!(places(&hosts), [1, 2, 0]);
        tokio::time::advance(REST).await;
        assert_eq!(places(&hosts), [0, 1, 2]);
        hosts.note(0, false);
        hosts.note(0, true);
        assert_eq!(places(&hosts), [0, 1, 2]);
    }

    #[test]
    fn several_servers_share_the_pools_patience_and_one_has_it_all() {
        assert_eq!(hosts("postgres://a/db").limit(), None);
        assert_eq!(hosts("postgres://a,b/db").limit(), Some(LIMIT));
        let given = hosts("postgres://a/db?connect_timeout=7");
        assert_eq!(given.limit(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn servers_are_shuffled_when_asked() {
        let hosts = hosts("postgres://a,b,c/db?load_balance_hosts=random");
        let first: std::collections::HashSet<_> = (0..200).map(|_| places(&hosts)[0]).collect();
        assert_eq!(first.len(), 3);
    }
}
