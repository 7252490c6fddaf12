//! One server to connect to, and the stream that leads there.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_postgres::CancelToken;
use tokio_postgres::config::Host;

use crate::config::PgConfig;
use crate::error::PgError;
use crate::tls::{Begun, Tls};

/// How long cancelling a statement may take, the connect for it included.
const CANCEL_PATIENCE: Duration = Duration::from_secs(2);

/// A way to a server, encrypted where that is wanted.
pub(crate) type Stream = Box<dyn Socket>;

pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// The hash of the server's certificate, or why there is none.
    fn end_point(&self) -> Result<Vec<u8>, &'static str> {
        Err("the connection is not encrypted")
    }
}

impl Socket for TcpStream {}
impl Socket for UnixStream {}

/// One server, and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    address: Address,
    link: Arc<Link>,
}

#[derive(Debug, Clone)]
enum Address {
    Tcp {
        /// What it is called, and what its certificate must be for.
        host: String,
        /// Where it is; looked up where that is not known.
        ip: Option<IpAddr>,
        port: u16,
    },
    Unix(PathBuf),
}

/// What the ways to all servers of a config have in common.
#[derive(Debug)]
struct Link {
    tls: Tls,
    keepalive: Option<TcpKeepalive>,
    /// After how long without an answer to a packet the connection is given up.
    #[cfg(target_os = "linux")]
    user_timeout: Option<Duration>,
}

impl Target {
    /// The servers of a config, in its order.
    pub(crate) fn all(config: &PgConfig) -> Vec<Self> {
        let driver = &config.driver;
        let keepalive = driver.get_keepalives().then(|| {
            let idle = TcpKeepalive::new().with_time(driver.get_keepalives_idle());
            let with_interval = match driver.get_keepalives_interval() {
                Some(interval) => idle.with_interval(interval),
                None => idle,
            };
            match driver.get_keepalives_retries() {
                Some(retries) => with_interval.with_retries(retries),
                None => with_interval,
            }
        });
        let link = Arc::new(Link {
            tls: config.tls.clone(),
            keepalive,
            #[cfg(target_os = "linux")]
            user_timeout: driver.get_tcp_user_timeout().copied(),
        });
        let (hosts, ips, ports) = (
            driver.get_hosts(),
            driver.get_hostaddrs(),
            driver.get_ports(),
        );
        let target = |place: usize| {
            let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
            let ip = ips.get(place).copied();
            let address = match (hosts.get(place), ip) {
                (Some(Host::Unix(folder)), None) => {
                    Address::Unix(folder.join(format!(".s.PGSQL.{port}")))
                }
                (Some(Host::Tcp(host)), ip) => Address::Tcp {
                    host: host.clone(),
                    ip,
                    port,
                },
                (_, ip) => Address::Tcp {
                    host: ip.map(|ip| ip.to_string()).unwrap_or_default(),
                    ip,
                    port,
                },
            };
            Self {
                address,
                link: Arc::clone(&link),
            }
        };
        (0..hosts.len().max(ips.len())).map(target).collect()
    }

    /// A stream to the server, and where exactly that was reached: of several behind one name,
    /// whoever wants to cancel a query must reach the one that runs it.
    pub(crate) async fn connect(&self) -> Result<(Stream, Self), PgError> {
        match &self.address {
            Address::Tcp { host, ip, port } => {
                let (stream, reached) = self.reach(host, *ip, *port).await?;
                let address = Address::Tcp {
                    host: host.clone(),
                    ip: Some(reached),
                    port: *port,
                };
                let stream = self.link.tls.begin(stream, host, self).await?;
                let link = Arc::clone(&self.link);
                Ok((stream, Self { address, link }))
            }
            // Nobody reads along on a socket of the machine itself.
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| self.unreachable(error))?;
                Ok((Box::new(stream), self.clone()))
            }
        }
    }

    /// The first of the host's addresses that answers.
    async fn reach(
        &self,
        host: &str,
        ip: Option<IpAddr>,
        port: u16,
    ) -> Result<(TcpStream, IpAddr), PgError> {
        let addresses: Vec<SocketAddr> = match ip {
            Some(ip) => vec![(ip, port).into()],
            None => match lookup_host((host, port)).await {
                Ok(addresses) => addresses.collect(),
                Err(error) => {
                    return Err(PgError::Dns {
                        address: self.to_string(),
                        error,
                    });
                }
            },
        };
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            let stream = TcpStream::connect(address).await;
            match stream.and_then(|stream| self.link.adapt(&stream).map(|()| stream)) {
                Ok(stream) => return Ok((stream, address.ip())),
                Err(error) => failed = error,
            }
        }
        Err(self.unreachable(failed))
    }

    /// Asks the server to cancel what runs on a connection, and waits until the signal is sent: then
    /// the server closes the connection it was asked on. A request that were still on its way would hit
    /// whatever runs next. False where that cannot be excluded.
    pub(crate) async fn cancel(&self, token: &CancelToken) -> bool {
        // In a box of its own: it is large, and hardly ever needed.
        let cancel = Box::pin(async {
            let (mut stream, _) = self.connect().await?;
            token.cancel_query_raw(&mut stream, Begun).await?;
            // Nothing comes but the end, and an error is one.
            while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            Ok::<_, PgError>(())
        });
        matches!(timeout(CANCEL_PATIENCE, cancel).await, Ok(Ok(())))
    }

    pub(crate) fn unreachable(&self, error: io::Error) -> PgError {
        PgError::Unreachable {
            address: self.to_string(),
            error,
        }
    }
}

impl Link {
    fn adapt(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        if let Some(keepalive) = &self.keepalive {
            socket.set_tcp_keepalive(keepalive)?;
        }
        #[cfg(target_os = "linux")]
        if self.user_timeout.is_some() {
            socket.set_tcp_user_timeout(self.user_timeout)?;
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}
