//! The handshake by the system's library: OpenSSL, or what macOS and Windows have.

use std::io;

use native_tls::{Certificate, TlsConnector};
use tokio::net::TcpStream;
use tokio_native_tls::TlsStream;

use super::NO_HASH;
use super::terms::{PROTOCOL, Problem, Terms, Trust};
use super::way::Way;
use crate::target::{Socket, Stream};

impl Socket for TlsStream<Way> {
    fn end_point(&self) -> Result<Vec<u8>, &'static str> {
        let hash = self.get_ref().tls_server_end_point().ok().flatten();
        hash.ok_or(NO_HASH)
    }
}

/// The encrypted stream, and the protocol that was agreed on.
///
/// # Errors
///
/// An [`io::Error`] where the way to the server failed, and anything else where the encryption did.
pub(super) async fn handshake(
    terms: Terms,
    stream: TcpStream,
    host: &str,
) -> Result<(Stream, Option<Vec<u8>>), Problem> {
    let (stream, failure) = Way::new(stream);
    let connector = tokio_native_tls::TlsConnector::from(connector(&terms)?);
    match connector.connect(host, stream).await {
        Ok(stream) => {
            let protocol = stream.get_ref().negotiated_alpn()?;
            Ok((Box::new(stream), protocol))
        }
        Err(error) => Err(match failure.get() {
            Some(kind) => io::Error::new(*kind, error).into(),
            None => error.into(),
        }),
    }
}

fn connector(terms: &Terms) -> Result<TlsConnector, Problem> {
    let mut connector = TlsConnector::builder();
    connector
        .danger_accept_invalid_certs(terms.trust == Trust::Anybody)
        .danger_accept_invalid_hostnames(terms.trust != Trust::Host);
    if let Some(pem) = &terms.roots {
        connector.disable_built_in_roots(true);
        for certificate in pem.certificates(Certificate::stack_from_pem)? {
            connector.add_root_certificate(certificate);
        }
    }
    if let Some(identity) = &terms.identity {
        let (certificates, key) = (&identity.certificates, &identity.key);
        let read = native_tls::Identity::from_pkcs8(&certificates.text, &key.text);
        let refused = |error| key.problem(format!("no key in PKCS#8 for the certificate: {error}"));
        connector.identity(read.map_err(refused)?);
    }
    if terms.is_direct {
        connector.request_alpns(&[PROTOCOL]);
    }
    Ok(connector.build()?)
}
