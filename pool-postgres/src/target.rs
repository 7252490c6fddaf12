//! One host to connect to, and the stream that leads there.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_postgres::{CancelToken, NoTls};

use crate::error::PgError;
use crate::tls::Tls;

/// A way to a server, encrypted where that is wanted.
pub(crate) type Stream = Box<dyn Socket>;

pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// One host, and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    address: Address,
    tls: Arc<Tls>,
}

#[derive(Debug, Clone)]
enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Target {
    pub(crate) fn new(host: &Host, port: u16, tls: &Arc<Tls>) -> Self {
        let address = match host {
            Host::Tcp(host) => Address::Tcp(host.clone(), port),
            Host::Unix(folder) => Address::Unix(folder.join(format!(".s.PGSQL.{port}"))),
        };
        Self {
            address,
            tls: Arc::clone(tls),
        }
    }

    pub(crate) async fn connect(&self) -> Result<Stream, PgError> {
        match &self.address {
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(|error| self.unreachable(error))?;
                stream
                    .set_nodelay(true)
                    .map_err(|error| self.unreachable(error))?;
                self.tls.begin(stream, host, self).await
            }
            // Nobody reads along on a socket of the machine itself.
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                Ok(Box::new(stream.map_err(|error| self.unreachable(error))?))
            }
        }
    }

    /// Asks the server to cancel what runs on a connection; nobody is told whether it did.
    pub(crate) async fn cancel(&self, token: &CancelToken) {
        if let Ok(stream) = self.connect().await {
            let _asked = token.cancel_query_raw(stream, NoTls).await;
        }
    }

    pub(crate) fn unreachable(&self, error: io::Error) -> PgError {
        PgError::Unreachable {
            address: self.to_string(),
            error,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}
