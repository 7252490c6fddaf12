//! The handshake by rustls, with the provider `ring`.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::terms::{Identity, PROTOCOL, Problem, Terms, Trust};
use super::{NO_HASH, end_point};
use crate::target::{Socket, Stream};

impl Socket for TlsStream<TcpStream> {
    fn end_point(&self) -> Result<Vec<u8>, &'static str> {
        let (_, session) = self.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        shown
            .and_then(|certificate| end_point::of(certificate))
            .ok_or(NO_HASH)
    }
}

/// The encrypted stream, and the protocol that was agreed on.
///
/// # Errors
///
/// An [`io::Error`](std::io::Error) where the way to the server failed, and anything else where the encryption did.
pub(super) async fn handshake(
    terms: Terms,
    stream: TcpStream,
    host: &str,
) -> Result<(Stream, Option<Vec<u8>>), Problem> {
    let connector = TlsConnector::from(Arc::new(client(&terms)?));
    let name = ServerName::try_from(host.to_owned())?;
    match connector.connect(name, stream).await {
        Ok(stream) => {
            let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            Ok((Box::new(stream), protocol))
        }
        Err(error) => match error.downcast::<Error>() {
            Ok(error) => Err(error.into()),
            Err(error) => Err(error.into()),
        },
    }
}

fn client(terms: &Terms) -> Result<ClientConfig, Problem> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier(terms, provider)?);
    let mut client = match &terms.identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificates, key }) => {
            let read = PrivateKeyDer::from_pem_slice(&key.text);
            let read = read
                .map_err(|error| key.problem(format!("no key that is not encrypted: {error}")))?;
            builder.with_client_auth_cert(certificates.certificates(parse)?, read)?
        }
    };
    if terms.is_direct {
        client.alpn_protocols.push(PROTOCOL.into());
    }
    Ok(client)
}

fn verifier(
    terms: &Terms,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Problem> {
    if terms.trust == Trust::Anybody {
        return Ok(Arc::new(Lenient {
            provider,
            authority: None,
        }));
    }
    let mut roots = RootCertStore::empty();
    match &terms.roots {
        Some(pem) => {
            for certificate in pem.certificates(parse)? {
                roots.add(certificate)?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build()?;
    if terms.trust == Trust::Host {
        return Ok(verifier);
    }
    Ok(Arc::new(Lenient {
        provider,
        authority: Some(verifier),
    }))
}

fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

/// Does not ask for the host's name, and without an authority for nothing but that the other
/// end has the key of the certificate it shows.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    authority: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name is looked at last: whoever fails for that is trusted.
        match authority.verify_server_cert(certificate, chain, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
