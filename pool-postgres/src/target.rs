//! One server to connect to, and the stream that leads there.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_postgres::CancelToken;

use crate::config::PgConfig;
use crate::error::PgError;
use crate::host::Address;
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
#[cfg(unix)]
impl Socket for UnixStream {}

/// One server, and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    address: Address,
    link: Arc<Link>,
    /// How long the server may leave the first packet without an answer, where others could be tried.
    reach_limit: Option<Duration>,
}

/// What the ways to all servers of a config have in common.
#[derive(Debug)]
pub(crate) struct Link {
    tls: Tls,
    keepalive: Option<TcpKeepalive>,
    /// After how long without an answer to a packet the connection is given up.
    #[cfg(target_os = "linux")]
    user_timeout: Option<Duration>,
}

impl Target {
    pub(crate) fn new(address: Address, link: &Arc<Link>, reach_limit: Option<Duration>) -> Self {
        Self {
            address,
            link: Arc::clone(link),
            reach_limit,
        }
    }

    /// A stream to the server.
    pub(crate) async fn connect(&self) -> Result<Stream, PgError> {
        match &self.address {
            Address::Tcp { host, at } => {
                let reached = async {
                    let stream = TcpStream::connect(at).await;
                    stream
                        .and_then(|stream| self.link.adapt(&stream).map(|()| stream))
                        .map_err(|error| self.unreachable(error))
                };
                let stream = within(self.reach_limit, self, reached).await?;
                self.link.tls.begin(stream, host, self).await
            }
            // Nobody reads along on a socket of the machine itself.
            #[cfg(unix)]
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| self.unreachable(error))?;
                Ok(Box::new(stream))
            }
        }
    }

    /// Asks the server to cancel what runs on a connection, and waits until the signal is sent: then
    /// the server closes the connection it was asked on. A request that were still on its way would hit
    /// whatever runs next. False where that cannot be excluded.
    pub(crate) async fn cancel(&self, token: &CancelToken) -> bool {
        // In a box of its own: it is large, and hardly ever needed.
        let cancel = Box::pin(async {
            let mut stream = self.connect().await?;
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
    pub(crate) fn new(config: &PgConfig) -> Self {
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
        Self {
            tls: config.tls.clone(),
            keepalive,
            #[cfg(target_os = "linux")]
            user_timeout: driver.get_tcp_user_timeout().copied(),
        }
    }

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
        f.write_str(&self.address.host())?;
        match &self.address {
            Address::Tcp { host, at } if host.parse() != Ok(at.ip()) => write!(f, " ({})", at.ip()),
            Address::Tcp { .. } => Ok(()),
            #[cfg(unix)]
            Address::Unix(_) => Ok(()),
        }
    }
}

/// What `future` gives, unless `limit` passes before; `address` is who kept us waiting.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    address: &impl fmt::Display,
    future: impl Future<Output = Result<T, PgError>>,
) -> Result<T, PgError> {
    // In a box of its own: a login is large, and would be in here twice.
    let future = Box::pin(future);
    let Some(after) = limit else {
        return future.await;
    };
    timeout(after, future).await.unwrap_or_else(|_| {
        Err(PgError::TimedOut {
            address: address.to_string(),
            after,
        })
    })
}
