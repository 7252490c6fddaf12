//! The servers of one config, and the order in which they are tried.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::Instant;
use tokio_postgres::config::LoadBalanceHosts;

use crate::config::PgConfig;
use crate::error::PgError;
use crate::host::{Address, Host};
use crate::target::{Link, Target};

/// How long a server that could not be reached is tried last.
const REST: Duration = Duration::from_secs(30);

/// What each of several servers may take, unless the config says: one that swallows all packets must
/// leave time for the next within the pool's `connect_timeout`.
const LIMIT: Duration = Duration::from_secs(3);

/// All servers of a config.
pub(crate) struct Hosts {
    all: Vec<Host>,
    link: Arc<Link>,
    /// Who failed lately, and when: hosts, and each of several addresses.
    failed: Mutex<HashMap<String, Instant>>,
    shuffles: bool,
    limit: Option<Duration>,
}

impl Hosts {
    pub(crate) fn new(config: &PgConfig) -> Self {
        let driver = &config.driver;
        let all = Host::all_of(driver);
        let limit = driver.get_connect_timeout().copied();
        Self {
            link: Arc::new(Link::new(config)),
            failed: Mutex::default(),
            shuffles: driver.get_load_balance_hosts() == LoadBalanceHosts::Random,
            limit: limit.or((all.len() > 1).then_some(LIMIT)),
            all,
        }
    }

    /// How long one server may take to connect to and log in, if not as long as the pool allows.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// All, in the order to be tried.
    pub(crate) fn in_order(&self) -> Vec<&Host> {
        self.ordered(self.all.iter().collect())
    }

    /// Where `host` is now, in the order to be tried.
    ///
    /// # Errors
    ///
    /// When its name cannot be resolved.
    pub(crate) async fn targets(&self, host: &Host) -> Result<Vec<Target>, PgError> {
        match host {
            Host::Placed(address) => Ok(self.at([address.clone()])),
            Host::Named { name, port } => match lookup_host((name.as_str(), *port)).await {
                Ok(found) => Ok(self.at(found.map(|at| Address::tcp(name, at)))),
                Err(error) => Err(PgError::Dns {
                    address: host.to_string(),
                    error,
                }),
            },
        }
    }

    /// The servers at the addresses of one host.
    fn at(&self, addresses: impl IntoIterator<Item = Address>) -> Vec<Target> {
        let addresses: Vec<_> = addresses.into_iter().collect();
        let limit = (addresses.len() > 1).then_some(LIMIT);
        let target = |address| Target::new(address, &self.link, limit);
        self.ordered(addresses.into_iter().map(target).collect())
    }

    /// Begins a try of `server`, a host or one of its addresses.
    pub(crate) fn begin(&self, server: &impl fmt::Display) -> Try<'_> {
        Try {
            hosts: self,
            server: server.to_string(),
            reached: false,
        }
    }

    /// As they are, or shuffled; who failed lately comes last, of several the one that failed last. Were
    /// it the order that is given, one that hangs could use up the time of all others again and again.
    fn ordered<T: fmt::Display>(&self, mut servers: Vec<T>) -> Vec<T> {
        if servers.len() < 2 {
            return servers;
        }
        if self.shuffles {
            let chance = RandomState::new();
            servers.sort_by_cached_key(|server| chance.hash_one(server.to_string()));
        }
        let failed = self.failed();
        servers.sort_by_cached_key(|server| {
            let at = failed.get(&server.to_string());
            at.copied().filter(|at| at.elapsed() < REST)
        });
        servers
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A try of a server. However it ends, by itself or because nobody waits for it any more, the server
/// is noted as failed, unless it was reached.
pub(crate) struct Try<'a> {
    hosts: &'a Hosts,
    server: String,
    reached: bool,
}

impl Try<'_> {
    /// The server was reached.
    pub(crate) fn succeed(mut self) {
        self.reached = true;
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let server = std::mem::take(&mut self.server);
        let mut failed = self.hosts.failed();
        failed.retain(|_, at| at.elapsed() < REST);
        if self.reached {
            failed.remove(&server);
        } else {
            failed.insert(server, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use socket2::{Domain, Socket, Type};

    use super::*;

    fn order(hosts: &Hosts) -> Vec<String> {
        hosts.in_order().iter().map(ToString::to_string).collect()
    }

    fn hosts(text: &str) -> Hosts {
        Hosts::new(&text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn who_failed_lately_comes_last_until_it_has_rested() {
        let hosts = hosts("postgres://a,b,c/db");
        let [a, b, c] = ["a:5432", "b:5432", "c:5432"];
        drop(hosts.begin(&a));
        assert_eq!(order(&hosts), [b, c, a]);
        tokio::time::advance(REST).await;
        assert_eq!(order(&hosts), [a, b, c]);
        drop(hosts.begin(&a));
        hosts.begin(&a).succeed();
        assert_eq!(order(&hosts), [a, b, c]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_failed_lately_the_one_comes_first_that_has_rested_longest() {
        let hosts = hosts("postgres://a,b/db");
        let [a, b] = ["a:5432", "b:5432"];
        for (failing, then) in [(b, [a, b]), (a, [b, a]), (b, [a, b])] {
            drop(hosts.begin(&failing));
            assert_eq!(order(&hosts), then);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
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
        let first: std::collections::HashSet<_> =
            (0..200).map(|_| order(&hosts).swap_remove(0)).collect();
        assert_eq!(first.len(), 3);
    }

    #[test]
    fn a_server_is_called_what_the_config_calls_it_and_by_its_address() {
        let hosts = hosts("postgres://a,b/db?hostaddr=10.0.0.1,::1");
        assert_eq!(order(&hosts), ["a:5432", "b:5432"]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_the_addresses_of_one_host_one_that_swallows_packets_is_left_for_the_next() {
        let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        full.bind(&anywhere.into()).unwrap();
        full.listen(0).unwrap();
        let at = full.local_addr().unwrap().as_socket().unwrap();
        let _fills_it = std::net::TcpStream::connect(at).unwrap();
        let other = std::net::TcpListener::bind(anywhere).unwrap();
        let addresses = [at, other.local_addr().unwrap()].map(|at| Address::tcp("db", at));

        let hosts = hosts("postgres://db/db?sslmode=disable");
        let targets = hosts.at(addresses.clone());
        let Err(error) = targets[0].connect().await else {
            panic!("it swallows packets");
        };
        let limit = matches!(error, PgError::TimedOut { after: LIMIT, .. });
        assert!(limit, "{error}");
        drop(hosts.begin(&targets[0]));
        let targets = hosts.at(addresses);
        assert!(targets[0].connect().await.is_ok());
        assert!(targets[0].to_string().ends_with(" (127.0.0.1)"));
    }
}
