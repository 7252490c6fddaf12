//! Whether and how the way to the server is encrypted.
//!
//! The request for encryption is made here rather than by the driver, so that what the driver
//! writes and reads is plain, and can be read along ([`wire`](crate::wire)), whether or not it is
//! encrypted below.
//!
//! [`Tls`] asks, and decides what a handshake insists on ([`Terms`](terms::Terms)). The handshake itself
//! is that of one implementation, `rustls` or else `native`, each with the same `handshake` and the
//! same [`Socket`](crate::target::Socket).

mod binding;
#[cfg(feature = "rustls")]
mod end_point;
#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
mod native;
#[cfg(feature = "rustls")]
mod rustls;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod terms;
#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
mod way;

#[cfg(any(feature = "rustls", feature = "native-tls"))]
use std::io;
use std::path::PathBuf;

use tokio::net::TcpStream;

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
use self::native as implementation;
#[cfg(feature = "rustls")]
use self::rustls as implementation;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
use self::terms::{PROTOCOL, Problem};
use crate::error::PgError;
use crate::target::{Stream, Target};

pub(crate) use self::binding::{Begun, settings};

/// What is asked of the encryption, in libpq's words.
///
/// As text: `disable`, `prefer`, `require`, `verify-ca`, `verify-full`. On a unix socket nothing is
/// ever encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum SslMode {
    /// None.
    Disable,
    /// If the server can; whoever sits in between can prevent it. The default, as libpq's.
    #[default]
    Prefer,
    /// Encrypted, whoever is at the other end; with a root certificate the same as `VerifyCa`.
    Require,
    /// The server's certificate is signed by one that is trusted.
    VerifyCa,
    /// And is that of the host that was connected to: what a network calls for that is not yours.
    VerifyFull,
}

impl SslMode {
    /// The modes by their names; libpq's `allow` would try without first, `prefer` is at least as safe.
    pub(crate) const NAMED: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Prefer),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];
}

/// The settings of the encryption. Files are read at each connect, so a certificate that is renewed
/// takes effect with the next connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) mode: SslMode,
    /// Who is trusted, as PEM; without it whom Mozilla trusts (`rustls`) or the system (`native-tls`).
    pub(crate) root: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// Whether the handshake comes first, without asking the server for it.
    pub(crate) is_direct: bool,
}

/// Why a login over an encrypted connection cannot be bound to it.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
const NO_HASH: &str = "the signature of the server's certificate names no hash to bind to";

impl Tls {
    /// Asks the server to encrypt, if that is wanted, and goes on as it answers.
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    pub(crate) async fn begin(
        &self,
        mut stream: TcpStream,
        host: &str,
        target: &Target,
    ) -> Result<Stream, PgError> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        /// The length, and a number no version of the protocol has (manual, `SSLRequest`).
        const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

        if self.mode == SslMode::Disable {
            return Ok(Box::new(stream));
        }
        if self.is_direct {
            return self.encrypt(stream, host, target).await;
        }
        let asked = async {
            stream.write_all(&SSL_REQUEST).await?;
            stream.read_u8().await
        };
        // One byte is read and no more: what a third party may have put after it is taken for the
        // beginning of the handshake, and fails it (CVE-2021-23222).
        match asked.await.map_err(|error| target.unreachable(error))? {
            b'S' => self.encrypt(stream, host, target).await,
            b'N' if self.mode == SslMode::Prefer => Ok(Box::new(stream)),
            b'N' => Err(PgError::TlsRefused {
                address: target.to_string(),
            }),
            // An error in words: the server cannot even ask what is wanted.
            _ => Err(target.unreachable(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    async fn encrypt(
        &self,
        stream: TcpStream,
        host: &str,
        target: &Target,
    ) -> Result<Stream, PgError> {
        let failed = |error: Problem| match error.downcast::<io::Error>() {
            Ok(error) if self.is_direct => {
                target.unreachable(io::Error::new(error.kind(), format!("{error} ({DIRECT})")))
            }
            Ok(error) => target.unreachable(*error),
            Err(error) => PgError::Tls {
                address: target.to_string(),
                error,
            },
        };
        let terms = self.terms().await.map_err(failed)?;
        let made = implementation::handshake(terms, stream, host).await;
        let (stream, protocol) = made.map_err(failed)?;
        // Who speaks another protocol must not be taken for a PostgreSQL (ALPACA).
        if self.is_direct && protocol.as_deref() != Some(PROTOCOL.as_bytes()) {
            return Err(failed(
                format!("the server agrees on no protocol ({DIRECT})").into(),
            ));
        }
        Ok(stream)
    }

    /// Goes on without encryption, or says that there is none.
    #[cfg(not(any(feature = "rustls", feature = "native-tls")))]
    #[expect(clippy::unused_async, reason = "with encryption it waits")]
    pub(crate) async fn begin(
        &self,
        stream: TcpStream,
        _: &str,
        _: &Target,
    ) -> Result<Stream, PgError> {
        if self.mode > SslMode::Prefer {
            return Err(PgError::TlsUnsupported);
        }
        Ok(Box::new(stream))
    }
}

/// What a server has to be to answer a handshake that it did not agree to.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
const DIRECT: &str = "sslnegotiation=direct needs PostgreSQL 17";
