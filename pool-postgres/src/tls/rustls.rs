//! The handshake by rustls, with the provider `ring`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{SslMode, Tls, end_point};
use crate::error::PgError;
use crate::target::{Socket, Stream, Target};

impl Socket for TlsStream<TcpStream> {
    fn end_point(&self) -> Result<Vec<u8>, &'static str> {
        let (_, session) = self.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        shown
            .and_then(|certificate| end_point::of(certificate))
            .ok_or(super::NO_HASH)
    }
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

pub(super) async fn begin(
    tls: &Tls,
    stream: TcpStream,
    host: &str,
    target: &Target,
) -> Result<Stream, PgError> {
    let failed = |error: Problem| PgError::Tls {
        address: target.to_string(),
        error,
    };
    let config = tls.client().await.map_err(failed)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(error.into()))?;
    let connector = TlsConnector::from(Arc::new(config));
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => match error.get_ref() {
            Some(inner) if inner.is::<Error>() => Err(failed(error.into())),
            _ => Err(target.unreachable(error)),
        },
    }
}

impl Tls {
    async fn client(&self) -> Result<ClientConfig, Problem> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(provider).await?);
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(builder.with_no_client_auth());
        };
        let key = PrivateKeyDer::from_pem_slice(&read(key).await?)?;
        Ok(builder.with_client_auth_cert(certificates(certificate).await?, key)?)
    }

    async fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Problem> {
        let asks_for_none = match self.mode {
            SslMode::Disable | SslMode::Prefer => true,
            SslMode::Require => self.root.is_none(),
            SslMode::VerifyCa | SslMode::VerifyFull => false,
        };
        if asks_for_none {
            return Ok(Arc::new(Lenient {
                provider,
                authority: None,
            }));
        }
        let mut roots = RootCertStore::empty();
        match &self.root {
            Some(file) => {
                for certificate in certificates(file).await? {
                    roots.add(certificate)?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.build()?;
        if self.mode == SslMode::VerifyFull {
            return Ok(verifier);
        }
        Ok(Arc::new(Lenient {
            provider,
            authority: Some(verifier),
        }))
    }
}

async fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let pem = read(file).await?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| format!("{}: {error}", file.display()))?;
    if certificates.is_empty() {
        return Err(format!("{} holds no certificate", file.display()).into());
    }
    Ok(certificates)
}

async fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    let read = tokio::fs::read(file).await;
    Ok(read.map_err(|error: io::Error| format!("cannot read {}: {error}", file.display()))?)
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
