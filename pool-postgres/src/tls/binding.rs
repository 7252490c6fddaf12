//! Ties a login to the encryption below it, so that nobody can sit in between
//! (SCRAM-SHA-256-PLUS).
//!
//! The driver asks its stream for what to bind to only if it takes that stream for an encrypted one.
//! So it is told to begin encryption without asking the server, and what begins it hands on the
//! stream as it is: not a byte is written.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::{Ready, ready};

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres::tls::{self, TlsConnect, TlsStream};

use crate::error::PgError;
use crate::target::{Socket, Stream, Target};

/// The driver's settings for a login to `target` over `stream`.
///
/// # Errors
///
/// When the login must be bound, and there is nothing to bind it to.
pub(crate) fn settings<'a>(
    startup: &'a Config,
    stream: &Stream,
    target: &Target,
) -> Result<Cow<'a, Config>, PgError> {
    match (startup.get_channel_binding(), stream.end_point()) {
        (ChannelBinding::Require, Err(reason)) => Err(PgError::ChannelBinding {
            address: target.to_string(),
            reason,
        }),
        (ChannelBinding::Disable, _) | (_, Err(_)) => Ok(Cow::Borrowed(startup)),
        (_, Ok(_)) => {
            let mut startup = startup.clone();
            startup.ssl_mode(SslMode::Require);
            startup.ssl_negotiation(SslNegotiation::Direct);
            Ok(Cow::Owned(startup))
        }
    }
}

/// Begins the encryption of a stream whose encryption has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun;

impl<S: TlsStream + Unpin> TlsConnect<S> for Begun {
    type Stream = S;
    type Error = Infallible;
    type Future = Ready<Result<S, Infallible>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(stream))
    }
}

/// On the way of a cancel request, which authenticates nobody.
impl TlsStream for &mut Box<dyn Socket + '_> {
    fn channel_binding(&self) -> tls::ChannelBinding {
        tls::ChannelBinding::none()
    }
}

impl TlsStream for Box<dyn Socket + '_> {
    fn channel_binding(&self) -> tls::ChannelBinding {
        match self.end_point() {
            Ok(hash) => tls::ChannelBinding::tls_server_end_point(hash),
            Err(_) => tls::ChannelBinding::none(),
        }
    }
}
