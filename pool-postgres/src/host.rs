//! The servers that a config names, and what they are called.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;

use pool_core::url::authority;
use tokio_postgres::config::Host as Given;

/// Where a server is.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Tcp {
        /// What it is called, and what its certificate must be for.
        host: String,
        /// Where it is: of several addresses behind one name, whoever wants to cancel a query must
        /// reach the one that runs it.
        at: SocketAddr,
    },
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Address {
    pub(crate) fn tcp(host: &str, at: SocketAddr) -> Self {
        let host = host.to_owned();
        Self::Tcp { host, at }
    }

    /// What the config calls it.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Tcp { host, at } => authority(host, at.port()),
            #[cfg(unix)]
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

/// A server as the config names it.
pub(crate) enum Host {
    /// To be looked up at each connect: where it leads to may change.
    Named {
        name: String,
        port: u16,
    },
    Placed(Address),
}

impl Host {
    /// All that `driver` names, in its order.
    pub(crate) fn all_of(driver: &tokio_postgres::Config) -> Vec<Self> {
        let (given, ips) = (driver.get_hosts(), driver.get_hostaddrs());
        let ports = driver.get_ports();
        let host = |place: usize| {
            let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
            Self::new(given.get(place), ips.get(place).copied(), port)
        };
        let places = 0..given.len().max(ips.len());
        places.filter_map(host).collect()
    }

    fn new(given: Option<&Given>, ip: Option<IpAddr>, port: u16) -> Option<Self> {
        let address = match (given, ip) {
            (Some(Given::Tcp(name)), None) => {
                let name = name.clone();
                return Some(Self::Named { name, port });
            }
            #[cfg(unix)]
            (Some(Given::Unix(folder)), None) => {
                Address::Unix(folder.join(format!(".s.PGSQL.{port}")))
            }
            (Some(Given::Tcp(name)), Some(ip)) => Address::tcp(name, (ip, port).into()),
            (_, ip) => Address::tcp(&ip?.to_string(), (ip?, port).into()),
        };
        Some(Self::Placed(address))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { name, port } => f.write_str(&authority(name, *port)),
            Self::Placed(address) => f.write_str(&address.host()),
        }
    }
}
